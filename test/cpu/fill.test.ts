import { describe, expect, test } from 'vitest';
import { fillMemory } from '../../runtime/cpu/fill.ts';
import { storedBytes, storedElements, type Format } from '../../runtime/cpu/layout.ts';
import type { PlacedBuffer } from '../../runtime/cpu/place.ts';
import type { WeightProvider } from '../../runtime/backend.ts';
import { packerFor } from '../support/pack.ts';

/** Rows of k in block order, number by number. */
function inBlocks(values: ArrayLike<number>, k: number): number[] {
  const rows = values.length / k;
  const blocks = new Array<number>(Math.ceil(rows / 8) * 8 * k).fill(0);
  for (let n = 0; n < values.length; n++) {
    const [row, column] = [Math.floor(n / k), n % k];
    blocks[((row >> 3) * k + column) * 8 + (row & 7)] = values[n] ?? NaN;
  }
  return blocks;
}

const shapes = [[8, 4], [40, 103], [13, 7], [61, 2], [3, 1], [64, 32]] as const;

describe('block order', () => {
  test('a matrix of 10 rows: two blocks of 8 rows, column by column, the second filled up with zeros', async () => {
    const source = Float32Array.from({ length: 30 }, (_, i) => 100 * Math.floor(i / 3) + (i % 3));
    const { packer, memory, first } = await packerFor(['blocks'], 1024, 1);
    packer.packFloats(source, 3, first);
    const target = new Float32Array(memory.buffer, first, 48);
    expect([...target.subarray(0, 10)]).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 1, 101]);
    expect([...target.subarray(24, 36)]).toEqual([800, 900, 0, 0, 0, 0, 0, 0, 801, 901, 0, 0]);
  });

  test.each(shapes)('%d rows of %d, by parts of two blocks', async (rows, k) => {
    const { packer, memory, first } = await packerFor(['blocks'], 4 * k * 16, 2);
    const values = Float32Array.from({ length: rows * k }, (_, i) => i + 1);
    packer.packFloats(values, k, first);
    expect([...new Float32Array(memory.buffer, first, storedElements([rows, k], 'blocks'))]).toEqual(inBlocks(values, k));
  });

  test.each(shapes)('%d rows of %d numbers of 16 bits', async (rows, k) => {
    const { packer, memory, first } = await packerFor(['blocks', { packed: 'f16' }], 2 * k * 64, 2);
    const { staging } = packer;
    const values = new Uint16Array(staging.fill(0xff).buffer, staging.byteOffset, rows * k).map((_, i) => 65535 - 3 * i);
    new Uint16Array(staging.buffer, staging.byteOffset, rows * k).set(values);
    packer.pack({ packed: 'bf16' }, rows, k, first);
    expect([...new Uint16Array(memory.buffer, first, storedElements([rows, k], 'blocks'))]).toEqual(inBlocks(values, k));
  });

  test('what was in staging memory is gone afterwards', async () => {
    const { packer } = await packerFor(['blocks'], 1024, 1);
    packer.staging.fill(1);
    packer.packFloats(Float32Array.of(1, 2, 3), 1, 8192);
    packer.clear();
    expect(packer.staging.every((byte) => byte === 0)).toBe(true);
  });
});

/** The bytes of a weight w that a provider fills. */
async function filled(shape: readonly number[], format: Format, provider: WeightProvider, staging: number, part?: number): Promise<Uint8Array> {
  const bytes = storedBytes(shape, format);
  const { packer, memory, first } = await packerFor(format === 'rows' ? [] : [format], staging, Math.ceil((4096 + staging + bytes) / 65536));
  const placed: PlacedBuffer = { address: first, format, capacity: shape, buffer: { id: 0, role: 'weight', name: 'w', dtype: 'f32', shape } };
  await fillMemory(memory, { buffers: new Map([[0, placed]]), loaded: 0, end: 0 }, provider, packer, part);
  return new Uint8Array(memory.buffer, first, bytes).slice();
}

test.each([
  ['a matrix', [40, 103]], ['rows as they are', [7, 301]], ['a stack of matrices', [3, 9, 71]],
] as const)('%s in parts is what it is in one piece', async (name, shape) => {
  const format = name === 'rows as they are' ? 'rows' as const : 'blocks' as const;
  const count = shape.reduce<number>((p, d) => p * d, 1);
  const values = Float32Array.from({ length: count }, (_, i) => (i * 31) % 1009);
  const row = count / shape[0];
  let parts = 0;
  const read = (): Promise<Float32Array> => Promise.resolve(values);
  const readRows = (_: string, from: number, to: number): Promise<Float32Array> => (parts++, Promise.resolve(values.slice(from * row, to * row)));
  const one = await filled(shape, format, { read }, 65536);
  const other = await filled(shape, format, { read, readRows }, 4096, 1000);
  expect(parts).toBeGreaterThan(1);
  expect(one.some((byte) => byte !== 0)).toBe(true);
  expect(Buffer.compare(one, other)).toBe(0);
});

test.each([['a matrix', [61, 20]], ['a stack of matrices', [3, 19, 7]]] as const)('%s of 16-bit numbers, read as it is stored, into staging memory or elsewhere', async (_, shape) => {
  const k = shape.at(-1) ?? 1;
  const rows = shape.at(-2) ?? 1;
  const values = Uint16Array.from({ length: shape.reduce<number>((p, d) => p * d, 1) }, (_, i) => i);
  const bytes = new Uint8Array(values.buffer);
  const expected = Array.from({ length: values.length / (rows * k) }, (_, m) => inBlocks(values.subarray(m * rows * k, (m + 1) * rows * k), k)).flat();
  let reads = 0;
  for (const own of [true, false]) {
    const found = await filled(shape, { packed: 'f16' }, {
      read: () => Promise.reject(new Error('not asked for')),
      readStored: (_, from, to, scratch) => {
        reads++;
        const rowBytes = bytes.subarray(from * 2 * k, to * 2 * k);
        if (own || !scratch) return Promise.resolve(rowBytes.slice());
        scratch.set(rowBytes);
        return Promise.resolve(scratch.subarray(0, rowBytes.length));
      },
    }, 2 * k * 16);
    expect([...new Uint16Array(found.buffer)]).toEqual(expected);
  }
  expect(reads).toBeGreaterThan(6);
});
