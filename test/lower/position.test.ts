import { describe, expect, test } from 'vitest';
import { sinusoids } from '../../compiler/lower/embeddings.ts';
import { alibiSlopes, bucketStarts, roundToBf16 } from '../../compiler/lower/position.ts';

describe('ALiBi', () => {
  test('slopes of a power of two fall geometrically', () => {
    expect(alibiSlopes(4, 8)).toEqual([2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8]);
    expect(alibiSlopes(2, 4)).toEqual([2 ** -2, 2 ** -4]);
  });
  test('other counts take every second slope of the next power of two, then those between', () => {
    expect(alibiSlopes(6, 8)).toEqual([2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8, 2 ** -1, 2 ** -3]);
    expect(alibiSlopes(3, 8)).toEqual([2 ** -4, 2 ** -8, 2 ** -2]);
    expect(alibiSlopes(1, 8)).toEqual([2 ** -8]);
  });
  test('bfloat16 keeps 8 significant bits, ties to even', () => {
    expect(roundToBf16(Math.SQRT1_2)).toBe(0.70703125);
    expect(roundToBf16(257)).toBe(256);
    expect(roundToBf16(259)).toBe(260);
    expect(roundToBf16(-0.1)).toBe(-0.10009765625);
    expect(roundToBf16(0)).toBe(0);
  });
});

describe('relative bias', () => {
  // Least distances of each bucket, from transformers' T5 in float32.
  test.each([
    [16, 128, [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]],
    [32, 128, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]],
    [8, 20, [0, 1, 2, 3, 4, 6, 9, 14]],
  ])('%i buckets up to %i', (buckets, most, starts) => {
    expect(bucketStarts(buckets, most)).toEqual(starts);
  });
});

describe('sinusoidal positions', () => {
  test('interleaved: sine and cosine in turn', () => {
    const { frequencies, cosine } = sinusoids('interleaved', 4, 10000);
    expect(frequencies.map((f) => Number(f.toFixed(9)))).toEqual([1, 1, 0.01, 0.01]);
    expect(cosine).toEqual([0, 1, 0, 1]);
  });
  test('halves: sines, then cosines', () => {
    const { frequencies, cosine } = sinusoids('halves', 4, 10000);
    expect(frequencies.map((f) => Number(f.toFixed(9)))).toEqual([1, 0.01, 1, 0.01]);
    expect(cosine).toEqual([0, 0, 1, 1]);
  });
  test('halves_minus_one: the last pair has frequency 1 / theta', () => {
    const { frequencies, cosine } = sinusoids('halves_minus_one', 7, 10000);
    expect(frequencies.map((f) => Number(f.toFixed(9)))).toEqual([1, 0.01, 0.0001, 1, 0.01, 0.0001, 0]);
    expect(cosine).toEqual([0, 0, 0, 1, 1, 1, 0]);
  });
});
