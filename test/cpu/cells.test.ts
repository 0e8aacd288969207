/** Packing quantised rows: every element can be found again, in either order of words, also where rows do not fill a block. */
import { expect, test } from 'vitest';
import { formatBytes, type WeightFormat } from '../../compiler/formats.ts';
import { cellBytes, isCellFormat, type CellFormat } from '../../compiler/cell-layout.ts';
import { cellElement, packCells } from '../../runtime/cpu/cells.ts';
import { halfValues } from '../../runtime/weights/gguf/decode.ts';
import { generator } from '../conformance/harness.ts';
import { quantisedFormats } from '../conformance/quantised-cases.ts';
import { blockValues, randomBlocks } from '../support/blocks.ts';

const formats = quantisedFormats.filter((f: WeightFormat): f is CellFormat => isCellFormat(f));
const ways = formats.flatMap((format) => (['quads', 'pairs'] as const).map((order) => [format, order] as const));

test.each(ways)('%s in %s', (format, order) => {
  const [rows, k] = [13, 512];
  const stored = randomBlocks(format, rows * k, generator(format));
  const values = blockValues(format, stored);
  // Rows may begin at any byte of what was read.
  const shifted = new Uint8Array(stored.length + 1);
  shifted.set(stored, 1);
  const packed = new Uint8Array(cellBytes(format, [rows, k]));
  expect(packed.length).toBeGreaterThanOrEqual(formatBytes(format, [rows, k]));
  packCells(format, order, shifted.subarray(1), k, packed, halfValues());
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < k; column++) {
      const expected = values[row * k + column] as number;
      expect(Math.abs(cellElement(format, order, packed, k, row, column) - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected) + 1e-6);
    }
  }
});
