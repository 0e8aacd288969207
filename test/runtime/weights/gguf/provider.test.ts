/** Slots cut out of quantised tensors: parts of fused ones, experts, permuted rows, as they are stored and as f32. */
import { afterAll, describe, expect, it } from 'vitest';
import { formatBytes, type WeightFormat } from '../../../../compiler/formats.ts';
import type { WeightRecipe } from '../../../../compiler/model.ts';
import { decode, halfValues } from '../../../../runtime/weights/gguf/decode.ts';
import { openGguf } from '../../../../runtime/weights/gguf/split.ts';
import { ggmlBlock, ggmlType, type GgmlType } from '../../../../runtime/weights/gguf/types.ts';
import { RecipeProvider } from '../../../../runtime/weights/provider.ts';
import type { TensorSource } from '../../../../runtime/weights/safetensors.ts';
import { ggufFile } from '../../../support/gguf-file.ts';
import { temporaryFolder } from '../files.ts';

const folder = temporaryFolder();
const open: TensorSource[] = [];
afterAll(async () => {
  await Promise.all(open.map((source) => source.dispose()));
  folder.remove();
});

const number: Readonly<Record<string, number>> = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [ggmlType(n) ?? '', n]));
const typeOf: Readonly<Partial<Record<WeightFormat, GgmlType>>> = { q8_0: 'Q8_0', q4_0: 'Q4_0', q4_K: 'Q4_K', q6_K: 'Q6_K' };
let files = 0;

/** A provider of one slot, cut out of a tensor of random blocks (with scales that are numbers). */
async function provider(type: GgmlType, fileShape: readonly number[], slot: { slot: string; shape: readonly number[] }, recipe: Partial<WeightRecipe>): Promise<RecipeProvider> {
  const { elements, bytes } = ggmlBlock(type);
  const blocks = fileShape.reduce((a, b) => a * b, 1) / elements;
  // Bytes below 0x78 are no part of an infinity or of something that is not a number.
  const data = Uint8Array.from({ length: blocks * bytes }, (_, i) => (Math.imul(i + 7, 2654435761) >>> 11) % 0x70);
  const file = folder.file(`p${files++}.gguf`, ggufFile({ tensors: [{ name: 'w', type: number[type] ?? -1, sizes: [...fileShape].reverse(), data }] }));
  const source = await openGguf(file);
  open.push(source);
  return new RecipeProvider(source, [slot], () => ({ names: ['w'], path: '/w', ...recipe }), file);
}

/** Holds all ways to read a slot to each other: as stored, row by row and all at once, and as f32. */
async function check(weights: RecipeProvider, { slot, shape }: { slot: string; shape: readonly number[] }, format: WeightFormat): Promise<void> {
  expect(weights.formatOf(slot)).toBe(format);
  const whole = await weights.read(slot);
  expect(new Set(whole).size).toBeGreaterThan(8);
  const k = shape.at(-1) ?? 1;
  const rows = whole.length / k;
  const type = typeOf[format];
  if (!type) throw new Error(`no type is ${format}`);
  const decoded = (bytes: Uint8Array, count: number): number[] => {
    const values = new Float32Array(count);
    decode(type, bytes, values, halfValues());
    return [...values];
  };
  const stored = await weights.readStored(slot, 0, rows);
  expect(stored.length).toBe(formatBytes(format, shape));
  const plain = (values: Float32Array): number[] => [...values].map((value) => value + 0);
  expect(decoded(stored, whole.length).map((value) => value + 0)).toEqual(plain(whole));
  for (const [from, to] of [[0, 1], [1, 3], [rows - 1, rows]] as const) {
    expect(decoded(await weights.readStored(slot, from, to), (to - from) * k).map((value) => value + 0)).toEqual(plain(whole.slice(from * k, to * k)));
  }
}

describe('a slot', () => {
  const matrix = { slot: 'layers.0.attention.k.weight', shape: [4, 64] };
  it.each([['Q8_0', 'q8_0'], ['Q4_0', 'q4_0'], ['Q5_0', 'q8_0'], ['IQ4_NL', 'q8_0']] as const)('is a part of a fused tensor of %s', async (type, format) => {
    await check(await provider(type, [14, 64], matrix, { unpack: { outer: 1, parts: [6, 4, 4], inner: 1, take: 1 } }), matrix, format);
    await check(await provider(type, [12, 64], matrix, { unpack: { outer: 2, parts: [1, 1, 1], inner: 2, take: 2 } }), matrix, format);
  });
  it.each([['Q4_K', 'q4_K'], ['Q3_K', 'q6_K'], ['Q6_K', 'q6_K']] as const)('is a part of a fused tensor of %s', async (type, format) => {
    const wide = { slot: 'layers.0.ffn.up.weight', shape: [4, 512] };
    await check(await provider(type, [8, 512], wide, { unpack: { outer: 1, parts: [4, 4], inner: 1, take: 1 } }), wide, format);
  });
  it('is all experts, and a half of each', async () => {
    const experts = { slot: 'layers.0.ffn.experts.up.weight', shape: [3, 4, 64] };
    await check(await provider('Q4_0', [3, 4, 64], experts, { batched: true }), experts, 'q4_0');
    await check(await provider('Q8_0', [3, 8, 64], experts, { batched: true, unpack: { outer: 1, parts: [4, 4], inner: 1, take: 1 } }), experts, 'q8_0');
  });
  it('whose rows are transposed or not whole blocks is f32', async () => {
    const turned = { slot: 'layers.0.ffn.up.weight', shape: [64, 32] };
    const weights = await provider('Q8_0', [32, 64], turned, { transpose: true });
    expect(weights.formatOf(turned.slot)).toBe('f32');
    const [a, b] = [await weights.read(turned.slot), await (await provider('Q8_0', [32, 64], { slot: turned.slot, shape: [32, 64] }, {})).read(turned.slot)];
    expect(a[5 * 32 + 3]).toBe(b[3 * 64 + 5]);
  });
});
