/** What cases share: equal models are compiled and planned once, and what one case opened is closed before the next. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { loadSpec } from '../../compiler/load.ts';
import { parserWithMemory } from '../../compiler/parse-once.ts';
import { targets } from '../../compiler/targets.ts';
import { loadTestFile } from '../../runtime/graph-tests/load.ts';
import { runCase } from '../../runtime/graph-tests/run-case.ts';
import { SharedWork } from '../../runtime/graph-tests/shared.ts';
import { folderWith, tiny } from './files.ts';

const file = `peel: 1
spec: tiny
tests:
  - { name: first, expect: { parameters: 8272 } }
  - { name: same model, target: webgpu, context: 64, expect: { kernels: { attention: layers } } }
  - { name: other values, with: { layers: 1 }, expect: { kernels: { attention: 1 } } }
  - { name: other weights, with: { layers: 1 }, seed: 2, expect: { agree: { causal: true } } }
`;

it('compiles and plans a model once for the cases that follow each other', async () => {
  const { cases } = loadTestFile(path.join(folderWith({ 'a.test.yaml': file }), 'a.test.yaml'));
  const shared = new SharedWork();
  const models = [];
  for (const test of cases) models.push(await shared.modelOf(test));
  expect(models[1]).toBe(models[0]);
  expect(new Set(models).size).toBe(3);
  const [model] = models;
  expect(await model?.plan(targets.cpu, { context: 32 })).toBe(await model?.plan(targets.cpu, { context: 32 }));
  expect(await model?.plan(targets.cpu, { context: 64 })).not.toBe(await model?.plan(targets.cpu, { context: 32 }));
  expect((await model?.plan({ ...targets.cpu, maxStorageBuffers: 5 }, { context: 32 }))?.target.maxStorageBuffers).toBe(5);
});

it('gives every case its own result, and closes the sessions that it opened', async () => {
  const { cases } = loadTestFile(path.join(folderWith({ 'a.test.yaml': file }), 'a.test.yaml'));
  const shared = new SharedWork();
  for (const test of cases) expect(await runCase(test, { update: false }, shared)).toMatchObject({ name: test.name, status: 'passed', findings: [] });
  const last = cases.at(-1);
  if (!last) throw new Error('there are cases');
  const model = await (await shared.modelOf(last)).model();
  const session = await model.session({ device: 'reference', context: 8 });
  expect((await session.logits([1, 2])).length).toBe(64);
  await (await shared.modelOf(last)).endCase();
  await expect(session.logits([1, 2])).rejects.toThrow('E025');
  // The model is there for the next case all the same.
  expect((await (await model.session({ device: 'reference', context: 8 })).logits([1])).length).toBe(32);
  await shared.dispose();
});

it('parses a file again only when its text has changed', () => {
  const parse = parserWithMemory();
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const first = parse(bytes(tiny), 'tiny.yaml');
  expect(parse(bytes(tiny), 'tiny.yaml')).toBe(first);
  expect(parse(bytes(tiny), 'other.yaml')).not.toBe(first);
  expect(parse(bytes(tiny.replace('rmsnorm', 'lmsnorm')), 'tiny.yaml')).not.toBe(first);
  expect(parse('- 1', 'tiny.yaml', 'a test file').diagnostics[0]?.message).toContain('a test file is a map');
  let reads = 0;
  const counting: typeof parse = (...args) => { reads++; return parse(...args); };
  const texts: Readonly<Record<string, string>> = { 'a.yaml': 'peel: 1\nextends: base\n', 'base.yaml': tiny };
  expect(loadSpec('a.yaml', (name) => texts[name], undefined, counting).spec?.files).toEqual(['a.yaml', 'base.yaml']);
  expect(reads).toBe(2);
});

it('takes bytes as people write them', async () => {
  const { cases, diagnostics } = loadTestFile(path.join(folderWith({ 'a.test.yaml': `peel: 1
spec: tiny
tests:
  - { name: fits, context: 64, expect: { peak_bytes: { max: 1 MiB }, state_bytes: 8 KiB } }
  - { name: does not, expect: { weight_bytes: { max: 1 KiB } } }
` }), 'a.test.yaml'));
  expect(diagnostics).toEqual([]);
  const shared = new SharedWork();
  const results = [];
  for (const test of cases) results.push(await runCase(test, { update: false }, shared));
  const [fits, not] = results;
  expect(fits?.findings).toEqual([]);
  expect(not).toMatchObject({ status: 'failed', findings: [{ kind: 'failed', location: { line: 5, column: 49 } }] });
  await shared.dispose();
});
