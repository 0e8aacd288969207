import { describe, expect, test } from 'vitest';
import { ropeFrequencies } from '../../compiler/lower/rope.ts';
import type { Rope, RopeScaling } from '../../compiler/model.ts';

const rope = (theta: number, scaling: RopeScaling): Rope => ({ kind: 'rope', dims: 12, start: 0, theta, pairing: 'half', scaling });

describe('rotary frequencies', () => {
  // Expected values: transformers' ROPE_INIT_FUNCTIONS, in float32.
  test.each<[string, Rope, readonly number[], number]>([
    ['none', rope(10000, { type: 'none' }), [1, 10000 ** (-1 / 6), 10000 ** (-2 / 6), 0.01, 10000 ** (-4 / 6), 10000 ** (-5 / 6)], 1],
    ['yarn', rope(10000, { type: 'yarn', factor: 4, originalContext: 32, betaFast: 32, betaSlow: 1, truncate: true }),
      [1, 0.13465215, 0.011603971, 0.0024999999, 0.00053860858, 0.00011603974], 1.138629436111989],
    ['yarn, ramp not truncated, both mscales', rope(500, { type: 'yarn', factor: 8, originalContext: 64, betaFast: 8, betaSlow: 2, truncate: false, mscale: 1, mscaleAllDim: 0.5 }),
      [1, 0.17702085, 0.015749013, 0.0055901702, 0.0019842512, 0.00070431741], 1.094179988101349],
    ['llama3', rope(10000, { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContext: 64 }),
      [1, 0.10198934, 0.0058019855, 0.00125, 0.00026930429, 5.8019868e-5], 1],
    ['proportional', rope(10000, { type: 'proportional', factor: 2, partial: 0.5 }), [0.5, 0.10772172, 0.023207942, 0, 0, 0], 1],
    ['longrope up to its context', rope(10000, { type: 'longrope', shortFactor: [1, 2, 3, 4, 5, 6], longFactor: [2, 3, 4, 5, 6, 7], originalContext: 64, factor: 4 }),
      [1, 0.10772172, 0.01547196, 0.0024999999, 0.00043088684, 7.7359829e-5], 1.1547005383792517],
  ])('%s', (_, given, inverse, scale) => {
    const found = ropeFrequencies(given);
    expect(found.inverse.length).toBe(inverse.length);
    inverse.forEach((f, j) => expect(Math.abs((found.inverse[j] ?? NaN) - f)).toBeLessThanOrEqual(f * 3e-7));
    expect(found.scale).toBeCloseTo(scale, 12);
  });

  test('a given attention factor replaces the formula', () => {
    const scaling = { type: 'yarn', factor: 4, originalContext: 32, betaFast: 32, betaSlow: 1, truncate: true, attentionFactor: 1.5 } as const;
    expect(ropeFrequencies(rope(10000, scaling)).scale).toBe(1.5);
  });

  test('longrope switches beyond its context', () => {
    const scaling = { type: 'longrope', shortFactor: [1, 1, 1, 1, 1, 1], longFactor: [2, 2, 2, 2, 2, 2], originalContext: 64 } as const;
    const { inverse, long, scale } = ropeFrequencies(rope(10000, scaling));
    expect(long?.switchAt).toBe(64);
    long?.inverse.forEach((f, j) => expect(f).toBeCloseTo((inverse[j] ?? NaN) / 2, 12));
    expect(scale).toBe(1);
  });

  test('longrope names the weights that divide the frequencies, where a file holds them', () => {
    const found = ropeFrequencies(rope(10000, { type: 'longrope', shortFactor: 'rope.short', longFactor: 'rope.long', originalContext: 64, attentionFactor: 1.25 }));
    expect(found.divisors).toEqual({ short: 'rope.short', long: 'rope.long' });
    expect(found.inverse).toEqual(found.long?.inverse);
    expect(found.scale).toBe(1.25);
  });
});
