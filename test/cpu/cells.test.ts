/** Packing quantised rows: every element can be found again, in either order of words, also where rows do not fill a block. */
import { describe, expect, test } from 'vitest';
import { formatBytes, type WeightFormat } from '../../compiler/formats.ts';
import { cellBytes, isCellFormat, type CellFormat } from '../../compiler/cell-layout.ts';
import { generator } from '../conformance/harness.ts';
import { quantisedFormats } from '../conformance/quantised-cases.ts';
import { blockValues, randomBlocks } from '../support/blocks.ts';
import { cellElement, packCells } from '../support/cells.ts';
import { packerFor } from '../support/pack.ts';

const formats = quantisedFormats.filter((f: WeightFormat): f is CellFormat => isCellFormat(f));
const ways = formats.flatMap((format) => (['quads', 'pairs'] as const).map((order) => [format, order] as const));

describe.each(ways)('%s in %s', (format, order) => {
  const [rows, k] = [13, 512];

  test('has every element', () => {
    const stored = randomBlocks(format, rows * k, generator(format));
    const values = blockValues(format, stored);
    const packed = packCells(format, order, stored, k);
    expect(packed.length).toBe(cellBytes(format, [rows, k]));
    expect(packed.length).toBeGreaterThanOrEqual(formatBytes(format, [rows, k]));
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < k; column++) {
        const expected = values[row * k + column] as number;
        expect(Math.abs(cellElement(format, order, packed, k, row, column) - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected) + 1e-6);
      }
    }
  });

  // The scales of the smaller ones are subnormal, or 0.
  test.each([1, 1e-5])('numbers of about %d are packed in WebAssembly to the same bytes, whatever was there before', async (size) => {
    const stored = randomBlocks(format, rows * k, generator(format), size);
    const { packer, memory, first } = await packerFor([{ packed: format, kind: order === 'quads' ? 'bytes' : 'words' }], formatBytes(format, [16, k]), 2);
    packer.staging.fill(0xff);
    packer.staging.set(stored);
    const target = new Uint8Array(memory.buffer, first, cellBytes(format, [rows, k]) + 64).fill(0xff);
    packer.pack({ packed: format, kind: order === 'quads' ? 'bytes' : 'words' }, rows, k, first);
    const [packed, beyond] = [target.subarray(0, -64), target.subarray(-64)];
    expect(Buffer.compare(packed, packCells(format, order, stored, k))).toBe(0);
    expect([...beyond]).toEqual(new Array(64).fill(0xff));
  });
});

test.each([2, 5])('%d threads pack what one does, piece after piece, also fewer blocks than there are threads', async (threads) => {
  const [k, format] = [256, { packed: 'q6_K', kind: 'bytes' }] as const;
  const { packer, memory, first, team } = await packerFor([format, 'blocks'], 100 * 1024, 8, threads);
  try {
    for (const rows of [403, 8, 33]) {
      const stored = randomBlocks('q6_K', rows * k, generator(`${rows}`));
      packer.staging.set(stored);
      packer.pack(format, rows, k, first);
      expect(Buffer.compare(new Uint8Array(memory.buffer, first, cellBytes('q6_K', [rows, k])), packCells('q6_K', 'quads', stored, k))).toBe(0);
    }
  } finally {
    await team.dispose();
  }
});
