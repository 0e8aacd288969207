/** When two greedy replies are said to agree. */
import { describe, expect, it } from 'vitest';
import { deviationOf, distanceOf, limits, verdict } from '../../bench/agree-verdict.mjs';

const own = { ids: [1, 2], tokens: [5, 6, 7, 8] };
const other = { ids: [1, 2], tokens: [5, 6, 9, 8] };
const difference = { at: 2, gap: 0.3, deviation: 3, behind: [0.1, 0] };

describe('the verdict on two replies', () => {
  it('is equal for equal tokens, also where one was to write fewer', () => {
    expect(verdict(own, own, undefined, 0, 4)).toEqual({ word: 'equal', idsEqual: true, equal: 4 });
    expect(verdict({ ids: [1, 2], tokens: [5, 6] }, own, undefined, 0, 2)).toEqual({ word: 'equal', idsEqual: true, equal: 2 });
  });
  it('is a near tie where the gap is within the limit, in deviations', () => {
    expect(verdict(own, other, difference, 0.11, 4)).toEqual({ word: 'near tie', idsEqual: true, equal: 2, distance: 0.1 });
    expect(verdict(own, other, difference, 0.09, 4).word).toBe('DIFFERENT');
    expect(verdict(own, other, difference, limits.none, 4).word).toBe('DIFFERENT');
  });
  it('is DIFFERENT where a later token of the other reply is far below the largest, where prompts differ, where one ends before', () => {
    expect(verdict(own, other, { ...difference, behind: [0.1, 0.5] }, 0.11, 4)).toMatchObject({ word: 'DIFFERENT', distance: 0.5 });
    expect(verdict(own, { ...own, ids: [1] }, undefined, 1, 4)).toMatchObject({ word: 'DIFFERENT', idsEqual: false });
    expect(verdict(own, { ids: [1, 2], tokens: [5, 6] }, undefined, 1, 4)).toMatchObject({ word: 'DIFFERENT', equal: 2 });
  });
  it('is DIFFERENT where a logit is no number', () => {
    expect(verdict(own, other, { ...difference, gap: NaN }, 1, 4).word).toBe('DIFFERENT');
    expect(verdict(own, other, { ...difference, behind: [0.1, NaN] }, 1, 4).word).toBe('DIFFERENT');
  });
  it('measures distances in deviations, whatever constant is added', () => {
    const b = Float32Array.from([1, -1, 3, -3]);
    expect(deviationOf(b)).toBeCloseTo(Math.sqrt(5), 12);
    expect(distanceOf(b.map((x) => x + 7), b)).toBe(0);
    expect(distanceOf(Float32Array.from([2, -2, 3, -3]), b)).toBeCloseTo(Math.sqrt(0.5 / 5), 6);
  });
});
