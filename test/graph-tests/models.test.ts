/** The graph tests of the specs that Peel comes with, as `peel test models/` runs them. */
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { prepare, peel } from '../cli/peel.ts';

beforeAll(prepare);

it('every spec in models/ passes its tests', async () => {
  const { code, out, err } = await peel('test', 'models', '--json');
  expect(err).toBe('');
  const { counts, cases } = JSON.parse(out) as { readonly counts: Readonly<Record<string, number>>; readonly cases: readonly { readonly status: string }[] };
  expect(cases.filter(({ status }) => status !== 'passed')).toEqual([]);
  expect({ code, ...counts }).toEqual({ code: 0, passed: cases.length, failed: 0, inPart: 0, written: 0, errors: 0, notRun: 0 });
  expect(cases.length).toBeGreaterThan(200);
}, 240_000);

it('every spec in models/ has tests', () => {
  const files = readdirSync('models').filter((file) => file.endsWith('.yaml'));
  const named = files.filter((file) => file.endsWith('.test.yaml')).map((file) => readFileSync(`models/${file}`, 'utf8')).join('\n');
  const without = files.filter((file) => !file.endsWith('.test.yaml')).map((file) => file.slice(0, -5)).filter((name) => !new RegExp(`(- |spec: |[[,] ?)${name}(\\n|,|\\])`).test(named));
  // What families extend is no model by itself.
  expect(without).toEqual(['base']);
});
