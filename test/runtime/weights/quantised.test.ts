import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatBytes, type WeightFormat } from '../../../compiler/formats.ts';
import { dequantiser } from '../../../runtime/weights/dequantise.ts';
import { storedAs, type QuantisedForm } from '../../../compiler/quantise-choice.ts';
import { quantised } from '../../../runtime/weights/quantise.ts';

/** What ggml and its Python package make of the same rows: see quantised.py. */
const recorded = JSON.parse(readFileSync(new URL('quantised.json', import.meta.url), 'utf8')) as {
  columns: number; rows: string; blocks: Record<string, string>; random: Record<string, { blocks: string; values: string }>;
};
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
const floatsOf = (text: string): Float32Array => new Float32Array(bytesOf(text).buffer);
const rows = floatsOf(recorded.rows);
const { columns } = recorded;
const dequantise = dequantiser();

function values(format: WeightFormat, blocks: Uint8Array, count: number): Float32Array {
  const target = new Float32Array(count);
  dequantise(format, blocks, target);
  return target;
}

/** Root of the mean square of the difference, for each row. */
function errors(format: WeightFormat, blocks: Uint8Array): number[] {
  const found = values(format, blocks, rows.length);
  return Array.from({ length: rows.length / columns }, (_, r) => {
    let sum = 0;
    for (let i = r * columns; i < (r + 1) * columns; i++) sum += ((found[i] ?? NaN) - (rows[i] ?? NaN)) ** 2;
    return Math.sqrt(sum / columns);
  });
}

describe('quantised blocks', () => {
  it.each(Object.keys(recorded.random))('%s: random blocks mean what ggml says', (name) => {
    const { blocks, values: expected } = recorded.random[name] ?? { blocks: '', values: '' };
    const want = floatsOf(expected);
    expect(want.length).toBeGreaterThan(0);
    expect(values(name as WeightFormat, bytesOf(blocks), want.length)).toEqual(want);
  });

  it.each(['q8_0', 'q4_0', 'q4_1'] as const)('%s: the bytes are ggml\'s', (format) => {
    expect(Buffer.from(quantised(format, rows)).equals(bytesOf(recorded.blocks[format] ?? ''))).toBe(true);
  });

  it('q4_K: each row is as near as ggml\'s own search brings it', () => {
    const ours = errors('q4_K', quantised('q4_K', rows));
    const theirs = errors('q4_K', bytesOf(recorded.blocks['q4_K'] ?? ''));
    const ratios = ours.map((error, r) => error === 0 ? 1 : error / (theirs[r] ?? 0));
    for (const [r, ratio] of ratios.entries()) expect(ratio, `row ${r}`).toBeLessThan(1.015);
    expect(ratios.reduce((sum, x) => sum + x, 0) / ratios.length).toBeLessThan(1.002);
  });

  it('a fitted q4_1 is nearer than q4_K and than the plain q4_1', () => {

    const first = rows.slice(0, columns);
    const error = (form: QuantisedForm): number => {
      const found = values(storedAs(form), quantised(form, first), columns);
      return Math.sqrt(found.reduce((sum, x, i) => sum + (x - (first[i] ?? 0)) ** 2, 0) / columns);
    };

    expect(error('q4_1_fitted')).toBeLessThan(error('q4_1'));
    expect(error('q4_1_fitted')).toBeLessThanOrEqual(error('q4_K'));
  });

  it('a row of zeros stays zero', () => {
    for (const form of ['q8_0', 'q4_0', 'q4_1', 'q4_1_fitted', 'q4_K'] as const) {
      const blocks = quantised(form, new Float32Array(256));
      expect(blocks.length).toBe(formatBytes(storedAs(form), [256]));
      expect(values(storedAs(form), blocks, 256).every((x) => x === 0)).toBe(true);
    }
  });
});
