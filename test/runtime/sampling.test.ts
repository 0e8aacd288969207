import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { argmax, randomSource, sampler, samplingProblems } from '../../runtime/sampling.ts';

const logits = Float32Array.from([Math.log(0.5), Math.log(0.25), Math.log(0.15), Math.log(0.1)]);
function frequencies(options: Parameters<typeof sampler>[0], n = 20000): number[] {
  const draw = sampler({ temperature: 1, seed: 7, ...options });
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) { const id = draw(logits); counts[id] = (counts[id] ?? 0) + 1 / n; }
  return counts;
}
const near = (got: number[], want: number[]): void => got.forEach((g, i) => expect(Math.abs(g - (want[i] ?? 0))).toBeLessThan(0.015));

describe('sampling', () => {
  it('follows the softmax, and temperature, top-k, top-p and min-p each in turn', () => {
    near(frequencies({}), [0.5, 0.25, 0.15, 0.1]);
    near(frequencies({ temperature: 0.5 }), [0.25, 0.0625, 0.0225, 0.01].map((p) => p / 0.345));
    near(frequencies({ topK: 2 }), [2 / 3, 1 / 3, 0, 0]);
    near(frequencies({ topP: 0.7 }), [2 / 3, 1 / 3, 0, 0]);
    near(frequencies({ topP: 0.01 }), [1, 0, 0, 0]);
    near(frequencies({ minP: 0.25 }), [0.5, 0.25, 0.15, 0].map((p) => p / 0.9));
    // top-k first: of the two that are left, the first alone holds 2/3 >= 0.6.
    near(frequencies({ topK: 2, topP: 0.6 }), [1, 0, 0, 0]);
  });
  it('is greedy at temperature 0, ties to the lower id, and says -1 for NaN', () => {
    expect(sampler({})(Float32Array.from([1, 3, 3]))).toBe(1);
    expect(argmax(Float32Array.from([1, NaN]))).toBe(-1);
    expect(sampler({ temperature: 1, seed: 1 })(Float32Array.from([NaN, 1]))).toBe(-1);
    expect(sampler({ temperature: 1, seed: 1 })(Float32Array.from([-Infinity, 2, -Infinity]))).toBe(1);
  });
  it('gives an id that the filters allow, whatever the numbers', () => {
    fc.assert(fc.property(fc.array(fc.float({ noNaN: true, min: -50, max: 50 }), { minLength: 1, maxLength: 20 }), fc.double({ min: 0.01, max: 5, noNaN: true }),
      fc.nat(5), fc.double({ min: 0.01, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(), (list, temperature, topK, topP, minP, seed) => {
        const values = Float32Array.from(list);
        const id = sampler({ temperature, topK, topP, minP, seed })(values);
        const rank = values.filter((x) => x > (values[id] ?? NaN)).length;
        expect(id).toBeGreaterThanOrEqual(0);
        if (topK > 0) expect(rank).toBeLessThan(topK);
      }));
  });
  it('draws uniform numbers that a seed fixes', () => {
    const random = randomSource(2 ** 40 + 5);
    const list = Array.from({ length: 10000 }, random);
    expect(Math.abs(list.reduce((a, b) => a + b, 0) / list.length - 0.5)).toBeLessThan(0.02);
    expect(list.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(randomSource(5)()).not.toBe(randomSource(2 ** 40 + 5)());
  });
  it('names every option out of range', () => {
    expect(samplingProblems({ temperature: NaN, topK: 1.5, topP: 2, minP: -1, seed: -1 }).map((d) => d.path)).toEqual(['/temperature', '/top-k', '/top-p', '/min-p', '/seed']);
  });
});
