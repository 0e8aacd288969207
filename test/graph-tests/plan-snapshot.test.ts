/** `plan: snapshot`: written by --update, compared afterwards, with a readable difference. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { loadTestFile } from '../../runtime/graph-tests/load.ts';
import { runCase } from '../../runtime/graph-tests/run-case.ts';
import { SharedWork } from '../../runtime/graph-tests/shared.ts';
import type { CaseResult } from '../../runtime/graph-tests/case.ts';
import { folderWith, tiny } from './files.ts';

const file = `peel: 1
spec: tiny
tests:
  - { name: stays, context: 64, expect: { plan: snapshot } }
  - { name: stays on a small GPU, target: webgpu, context: 64, expect: { plan: { file: saved/gpu.yaml } } }
  - { name: 'stays, on a small GPU', context: 64, expect: { plan: snapshot } }
`;

async function run(folder: string, update = false): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const test of loadTestFile(path.join(folder, 'a.test.yaml')).cases) results.push(await runCase(test, { update }, new SharedWork()));
  return results;
}
const told = (results: readonly CaseResult[], folder: string): string[][] => results.map(({ findings }) => findings.map(({ kind, message }) => `${kind}: ${message.replaceAll(`${folder}${path.sep}`, '')}`));

it('fails without a snapshot, is written where that is asked for, and holds as long as nothing changes', async () => {
  const folder = folderWith({ 'a.test.yaml': file });
  expect(told(await run(folder), folder)[0]).toEqual(['failed: there is no snapshot __snapshots__/a.stays.plan.yaml; `peel test --update` writes it']);
  expect(told(await run(folder, true), folder)).toEqual([['written: __snapshots__/a.stays.plan.yaml'], ['written: saved/gpu.yaml'], [expect.stringMatching(/^written: __snapshots__\/a.stays-on-a-small-GPU-[0-9a-f]{6}.plan.yaml$/)]]);
  expect((await run(folder)).map((r) => r.status)).toEqual(['passed', 'passed', 'passed']);
  expect(told(await run(folder, true), folder)).toEqual([[], [], []]);

  const snapshot = path.join(folder, '__snapshots__', 'a.stays.plan.yaml');
  const text = readFileSync(snapshot, 'utf8');
  writeFileSync(snapshot, text.replaceAll('\n', '\r\n'));
  writeFileSync(path.join(folder, 'tiny.yaml'), tiny.replace('theta: 10000', 'theta: 500000').replace('activation: silu', 'activation: gelu'));
  const [first] = told(await run(folder), folder);
  const lines = first?.[0]?.split('\n') ?? [];
  expect(lines[0]).toBe('failed: the plan is not that of the snapshot (peel test --update takes the new one)');
  expect(lines.filter((line) => /^ {2}[~+-] /.test(line)).map((line) => line.slice(0, 86))).toEqual([
    '  ~   linear    layers.{i}.ffn.up  4.4 kFLOP -> 4.6 kFLOP',
    '  -       %layers.{i}.ffn.activation[t, n] for n in 0..64 = acc[t, n*2 + 1] * sigmoid(',
    '  +       %layers.{i}.ffn.activation[t, n] for n in 0..64 = 0.5 * acc[t, n*2 + 1] * (1',
    '  ~ constant rope.angles: 1 0.01 -> 1 0.00141421',
  ]);
  writeFileSync(snapshot, 'kind: plan');
  expect(told(await run(folder), folder)[0]).toEqual([expect.stringMatching(/E906 .*__snapshots__\/a.stays.plan.yaml: this is no saved plan/)]);
  expect(existsSync(path.join(folder, 'saved', 'gpu.yaml'))).toBe(true);
});
