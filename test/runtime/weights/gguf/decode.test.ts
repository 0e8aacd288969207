/** Every tensor type is decoded as the Python package `gguf` decodes it, bit for bit; what is kept in another form holds the same numbers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatBlock, type WeightFormat } from '../../../../compiler/formats.ts';
import { decode, halfValues } from '../../../../runtime/weights/gguf/decode.ts';
import { openGgufFile, type GgufSource } from '../../../../runtime/weights/gguf/file.ts';
import type { GgufTensor } from '../../../../runtime/weights/gguf/head.ts';
import { ggmlBlock, ggmlTypes, type GgmlType } from '../../../../runtime/weights/gguf/types.ts';
import { ggufFile } from '../../../support/gguf-file.ts';
import { temporaryFolder } from '../files.ts';
import { readTensor } from '../../../../runtime/weights/safetensors.ts';

let source: GgufSource;
beforeAll(async () => { source = await openGgufFile('test/runtime/weights/gguf/blocks.gguf'); });
afterAll(() => source.dispose());

/** Bits, with one pattern for all values that are not numbers. */
function bits(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)].map((word, i) => (Number.isNaN(values[i]) ? -1 : word));
}
const tensor = (name: string): GgufTensor => {
  const info = source.tensors.get(name);
  if (!info) throw new Error(`no tensor ${name}`);
  return info;
};
const recorded = ggmlTypes.filter((type) => type !== 'F32');

describe('every type', () => {
  test.each(recorded)('%s', async (type) => {
    const values = await readTensor(source, type);
    expect(tensor(type).dtype).toBe(type);
    expect(bits(values)).toEqual(bits(await readTensor(source, `${type}.f32`)));
  });

  test.each(recorded)('%s, ranges that begin and end anywhere', async (type) => {
    const whole = await readTensor(source, type);
    for (const [from, to] of [[0, 1], [1, 3], [whole.length - 1, whole.length], [5, whole.length - 3], [31, 33], [255, 290]] as const) {
      if (from < 0 || to > whole.length || to <= from) continue;
      const part = new Float32Array(to - from);
      await source.readInto(tensor(type), from, part);
      expect(bits(part)).toEqual(bits(whole.slice(from, to)));
    }
  });
});

/** A kept form's ggml type: its own, since the layouts are the same. */
const typeOf: Readonly<Partial<Record<WeightFormat, GgmlType>>> = { f16: 'F16', bf16: 'BF16', q8_0: 'Q8_0', q4_0: 'Q4_0', q4_1: 'Q4_1', q4_K: 'Q4_K', q5_K: 'Q5_K', q6_K: 'Q6_K' };

/** Elements `from`..`to` as stored, decoded. */
async function kept(name: string, from: number, to: number): Promise<Float32Array> {
  const format = source.formatOf(tensor(name));
  const type = typeOf[format];
  if (!type) throw new Error(`${name} is not kept`);
  const block = formatBlock(format);
  const stored = new Uint8Array(((to - from) / block.elements) * block.bytes);
  await source.readStored(tensor(name), from, to - from, stored);
  const values = new Float32Array(to - from);
  decode(type, stored, values, halfValues());
  return values;
}

describe('what is kept', () => {
  test.each([
    ['F16', 'f16'], ['BF16', 'bf16'], ['Q4_0', 'q4_0'], ['Q4_1', 'q4_1'], ['Q5_0', 'q8_0'], ['Q8_0', 'q8_0'], ['Q3_K', 'q6_K'], ['Q4_K', 'q4_K'], ['Q5_K', 'q5_K'], ['Q6_K', 'q6_K'], ['IQ4_NL', 'q8_0'], ['TQ1_0', 'q4_0'], ['TQ2_0', 'q4_0'],
  ] as const)('%s as %s, with the same numbers', async (type, format) => {
    expect(source.formatOf(tensor(type))).toBe(format);
    const whole = await readTensor(source, type);
    // -0 counts as 0: 8 bits have no such number.
    const same = (values: Float32Array): number[] => bits(values.map((value) => value + 0));
    expect(same(await kept(type, 0, whole.length))).toEqual(same(whole));
    const { elements } = ggmlBlock(type);
    if (whole.length >= 4 * elements) expect(same(await kept(type, elements, 3 * elements))).toEqual(same(whole.slice(elements, 3 * elements)));
  });

  test.each(['F64', 'I8', 'I16', 'I32', 'I64', 'Q5_1', 'Q2_K', 'IQ4_XS'] as const)('%s is not', async (type) => {
    expect(source.formatOf(tensor(type))).toBe('f32');
    await expect(source.readStored(tensor(type), 0, 256, new Uint8Array(1024))).rejects.toThrow('cannot be read as it is stored');
  });

  test('MXFP4 is where all its scales are f16, which takes a look at the data', async () => {
    // Without one, which a plan goes without, what is likely.
    expect(source.formatOf(tensor('MXFP4'))).toBe('q8_0');
    await source.prepare?.();
    expect(source.formatOf(tensor('MXFP4'))).toBe('f32');
  });
});

test('MXFP4 whose scales are f16 is kept as q8_0, with the same numbers', async () => {
  const folder = temporaryFolder();
  // Exponents that f16 holds, those that the numbers can take up, and one beyond whose numbers are all zero.
  const exponents = [104, 120, 127, 128, 143, 144, 146, 255, 0];
  const data = Uint8Array.from(exponents.flatMap((exponent) => [exponent, ...Array.from({ length: 16 }, (_, j) => (exponent % 255 === 0 ? [0, 8, 128, 136][j % 4] ?? 0 : (j * 37 + exponent) & 255))]));
  const file = folder.file('mx.gguf', ggufFile({ tensors: [{ name: 'mx', type: 39, sizes: [32, exponents.length], data }] }));
  const other = await openGgufFile(file);
  const info = other.tensors.get('mx')!;
  await other.prepare?.();
  expect(other.formatOf(info)).toBe('q8_0');
  const stored = new Uint8Array(34 * exponents.length);
  await other.readStored(info, 0, 32 * exponents.length, stored);
  const values = new Float32Array(32 * exponents.length);
  decode('Q8_0', stored, values, halfValues());
  expect([...values]).toEqual([...await readTensor(other, 'mx')].map((value) => value + 0));
  await other.dispose();
  folder.remove();
});
