/** Files of graph tests: what they mean, and everything that is wrong with them at once. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { formatDiagnostic, orderDiagnostics } from '../../compiler/diagnostics.ts';
import { bytesOf } from '../../compiler/sizes.ts';
import { targets } from '../../compiler/targets.ts';
import { expectations } from '../../runtime/graph-tests/expect/index.ts';
import { findTestFiles } from '../../runtime/graph-tests/find.ts';
import { loadTestFile } from '../../runtime/graph-tests/load.ts';
import schema from '../../schema/test.schema.json' with { type: 'json' };
import { folderWith, tiny } from './files.ts';

/** Of a file beside tiny.yaml, what is wrong with it: place, code, path and message, without the folder. */
function problems(text: string): string[] {
  const folder = folderWith({ 'a.test.yaml': text });
  const { diagnostics } = loadTestFile(path.join(folder, 'a.test.yaml'));
  return orderDiagnostics(diagnostics).map((d) => formatDiagnostic(d).replaceAll(`${folder}/`, ''));
}

it('describes every expectation in the schema', () => {
  expect(expectations.map(({ key }) => key).sort()).toEqual(Object.keys(schema.$defs.expect.properties).sort());
});

it('merges defaults under cases, key by key', () => {
  const folder = folderWith({ 'a.test.yaml': `peel: 1
spec: tiny
defaults: { with: { dim: 32, heads: 2 }, seed: 5, context: 64, target: { device: webgpu, f16: false, max_binding_bytes: 128 MiB }, expect: { valid: true, parameters: { min: dim } } }
tests:
  - name: as it is
  - { name: changed, with: { dim: 64 }, seed: 7, target: cpu, expect: { parameters: 3 } }
` });
  const { cases, diagnostics } = loadTestFile(path.join(folder, 'a.test.yaml'));
  expect(diagnostics).toEqual([]);
  const [first, second] = cases;
  expect(first).toMatchObject({ name: 'as it is', with: { dim: 32, heads: 2 }, seed: 5, context: 64, target: { ...targets.webgpu, f16: false, maxBindingBytes: 128 * 1024 * 1024 } });
  expect(first?.expect.map(({ key, value, path: at }) => [key, value, at])).toEqual([['valid', true, '/defaults/expect/valid'], ['parameters', { min: 'dim' }, '/defaults/expect/parameters']]);
  expect(second).toMatchObject({ with: { dim: 64, heads: 2 }, seed: 7, context: 64, target: targets.cpu, location: { line: 6, column: 13 } });
  expect(second?.expect.map(({ key, value, path: at }) => [key, value, at])).toEqual([['valid', true, '/defaults/expect/valid'], ['parameters', 3, '/tests/1/expect/parameters']]);
});

it('runs a case with each of several specs, and looks specs up beside the file and in models/', () => {
  const folder = folderWith({ 'more/other.yaml': tiny, 'a.test.yaml': 'peel: 1\nspec: [tiny, more/other.yaml, llama]\ntests: [{ name: works }]\n' });
  const { cases, diagnostics } = loadTestFile(path.join(folder, 'a.test.yaml'));
  expect(diagnostics).toEqual([]);
  expect(cases.map(({ name }) => name)).toEqual(['works [tiny]', 'works [other]', 'works [llama]']);
  expect(cases.map(({ spec }) => path.basename(spec))).toEqual(['tiny.yaml', 'other.yaml', 'llama.yaml']);
});

it('finds test files and specs with tests, and nothing in node_modules', () => {
  const tests = 'tests: [{ name: a }]\n';
  const folder = folderWith({ 'b.yaml': tiny + tests, 'sub/a.test.yaml': `peel: 1\n${tests}`, 'node_modules/x/a.test.yaml': tests, 'ci.yaml': tests });
  expect(findTestFiles([folder]).map((file) => path.relative(folder, path.resolve(file)))).toEqual(['b.yaml', 'sub/a.test.yaml']);
  expect(loadTestFile(path.join(folder, 'b.yaml'))).toMatchObject({ diagnostics: [], cases: [{ name: 'a', spec: path.join(folder, 'b.yaml') }] });
});

it('says everything that is wrong at once', () => {
  expect(problems(`peel: 1
spec: tiny
defaults: { wiht: {} }
tests:
  - name: one
    with: { layrs: 2 }
    expect: { parameters: vocb * 2, valdi: true }
  - name: one
    target: webgpuu
  - expect: { parameters: { near: 3 } }
  - name: x
    target: { device: cpu, max_binding_bytes: 128 MIB }
    weights: nothing
    spec: tinny
`)).toEqual([
    'a.test.yaml:3:13 E201 /defaults/wiht `wiht` is not a key of `defaults`; did you mean `with`?',
    'a.test.yaml:6:13 E503 /tests/0/with/layrs the spec tiny.yaml has no param `layrs` to set; did you mean `layers`?',
    'a.test.yaml:7:27 E403 /tests/0/expect/parameters in `vocb * 2`: no parameter is called `vocb`; did you mean `vocab`?',
    'a.test.yaml:7:37 E201 /tests/0/expect/valdi `valdi` is not a key of `expect`; did you mean `valid`?',
    "a.test.yaml:8:11 E310 /tests/1/name a case is called 'one' already, on line 5",
    "a.test.yaml:9:13 E204 /tests/1/target `target` must be cpu or webgpu or webgpu-software, or a map with a `device`, not the text 'webgpuu'; did you mean `webgpu`?",
    'a.test.yaml:10:5 E202 /tests/2 `tests[2]` needs the key `name`',
    'a.test.yaml:10:15 E205 /tests/2/expect/parameters `parameters` has the key `near`, which needs `within` beside it',
    "a.test.yaml:12:47 E204 /tests/3/target/max_binding_bytes `max_binding_bytes` must be a number of bytes, or a text such as 128 MiB, not the text '128 MIB'",
    'a.test.yaml:13:14 E721 /tests/3/weights there is no file or folder nothing',
    expect.stringMatching(/^a\.test\.yaml:14:11 E120 \/tests\/3\/spec no spec `tinny` is beside a\.test\.yaml or in .*models$/),
  ]);
});

it('reads sizes', () => {
  expect(['12 B', '128 MiB', '1.5GB', '2 KB', '1 TiB', '3 MIB', '5', ''].map(bytesOf)).toEqual([12, 134217728, 1.5e9, 2000, 1099511627776, undefined, undefined, undefined]);
});
