/** Models split into several GGUF files. */
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it, test } from 'vitest';
import { formatDiagnostic } from '../../../../compiler/diagnostics.ts';
import { openGguf, readMetadata } from '../../../../runtime/weights/gguf/split.ts';
import { readTensor } from '../../../../runtime/weights/safetensors.ts';
import { type Bytes, f32Tensor, ggufFile, text, u32, type TensorText, type Value } from '../../../support/gguf-file.ts';
import { problemsOf, temporaryFolder } from '../files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const u16 = (value: number): Value => (bytes: Bytes) => bytes.u32(2).u16(value);
interface Part { readonly no?: number; readonly count?: number; readonly total?: number; readonly tensors: readonly TensorText[] }

/** Writes the files of a split model; gives the first's path. */
function write(name: string, parts: readonly Part[]): string {
  const files = parts.map(({ no, count = parts.length, total = 3, tensors }, index) => folder.file(
    `${name}-${String(index + 1).padStart(5, '0')}-of-${String(parts.length).padStart(5, '0')}.gguf`,
    ggufFile({ metadata: [...(index === 0 ? [['general.architecture', text('llama')] as const] : []), ['split.no', u16(no ?? index)], ['split.count', u16(count)], ['split.tensors.count', u32(total)]], tensors })));
  return files[0] ?? '';
}
const a = f32Tensor('a', [4], [1, 2, 3, 4]);
const b = f32Tensor('b', [2, 2], [5, 6, 7, 8]);
const c = f32Tensor('c', [1], [9]);
const problems = async (file: string): Promise<string[]> => {
  const { exitCode, diagnostics } = await problemsOf(openGguf(file));
  return diagnostics.map((d) => `${exitCode} ${formatDiagnostic(d).replaceAll(`${folder.path}/`, '')}`);
};

describe('files that belong together', () => {
  it('are one model: metadata of the first, tensors of all', async () => {
    const file = write('whole', [{ tensors: [] }, { tensors: [a, b] }, { tensors: [c] }]);
    const source = await openGguf(file);
    expect([...source.tensors.keys()]).toEqual(['a', 'b', 'c']);
    expect([[...await readTensor(source, 'b')], [...await readTensor(source, 'c')]]).toEqual([[5, 6, 7, 8], [9]]);
    expect(source.formatOf(source.tensors.get('a')!)).toBe('f32');
    await source.dispose();
    const metadata = await readMetadata(file);
    expect([metadata.architecture, { ...metadata.sources().tensors }]).toEqual(['llama', { a: [4], b: [2, 2], c: [1] }]);
  });
});

describe('files that do not', () => {
  test('one of them is missing', async () => {
    const file = write('missing', [{ tensors: [a, b] }, { tensors: [c] }]);
    rmSync(file.replace('00001', '00002'));
    expect(await problems(file)).toEqual([expect.stringMatching(/^14 missing-00002-of-00002.gguf:1:1 E721 .*no such file/)]);
  });
  test('another than the first is given', async () => {
    const file = write('second', [{ tensors: [a, b] }, { tensors: [c] }]).replace('00001', '00002');
    expect(await problems(file)).toEqual([expect.stringMatching(/^11 second-00002-of-00002.gguf:1:\d+ E739 .*it is file 2 of 2 of a split model; give the first, second-00001-of-00002.gguf/)]);
  });
  test('a name that does not say so', async () => {
    const file = folder.file('renamed.gguf', ggufFile({ metadata: [['split.count', u16(2)], ['split.no', u16(0)]], tensors: [a] }));
    expect(await problems(file)).toEqual([expect.stringMatching(/E739 .*one of 2 files of a split model, but its name does not say so; the files are called NAME-00001-of-00002.gguf/)]);
  });
  test('a name and a number that differ', async () => {
    expect(await problems(write('number', [{ no: 1, tensors: [a, b] }, { tensors: [c] }]))).toEqual([expect.stringMatching(/E739 .*its name says that it is file 1 of 2, but its metadata that it is file 2/)]);
  });
  test('a part of another model', async () => {
    expect(await problems(write('other', [{ tensors: [a, b] }, { count: 3, tensors: [c] }]))).toEqual([expect.stringMatching(/other-00002-of-00002.gguf:1:1 E739 .*should be file 2 of 2, but its metadata says file 2 of 3/)]);
  });
  test('a tensor twice, and too few of them', async () => {
    expect(await problems(write('twice', [{ tensors: [a, b] }, { tensors: [b] }]))).toEqual([expect.stringMatching(/twice-00002-of-00002.gguf:1:1 E725 .*tensor 'b': is in twice-00001-of-00002.gguf too/)]);
    expect(await problems(write('few', [{ tensors: [a] }, { tensors: [b] }]))).toEqual([expect.stringMatching(/few-00001-of-00002.gguf:1:\d+ E739 .*should have 3 tensors, but its files hold 2/)]);
  });
});
