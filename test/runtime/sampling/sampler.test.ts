import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { logProbabilities } from '../../../runtime/sampling/log-probabilities.ts';
import { isPlainGreedy, samplingProblems, type SamplingOptions } from '../../../runtime/sampling/options.ts';
import { randomSource } from '../../../runtime/sampling/random.ts';
import { argmax, Sampler } from '../../../runtime/sampling/sampler.ts';

const probabilities = [0.5, 0.25, 0.15, 0.1];
const logits = Float32Array.from(probabilities, Math.log);
function frequencies(options: SamplingOptions, history: readonly number[] = [], n = 20000, values = logits): number[] {
  const sampler = new Sampler({ temperature: 1, seed: 7, ...options });
  const counts = Array.from(values, () => 0);
  for (let i = 0; i < n; i++) { const id = sampler.choose(values, history); counts[id] = (counts[id] ?? 0) + 1 / n; }
  return counts;
}
const near = (got: number[], want: number[]): void => got.forEach((g, i) => expect(Math.abs(g - (want[i] ?? 0)), `${i}: ${got.join()}`).toBeLessThan(0.015));
const normal = (list: number[]): number[] => list.map((x) => x / list.reduce((a, b) => a + b, 0));

/** The whole chain in the space of probabilities, written from the definitions: the distribution that a draw must follow. */
function expected(start: readonly number[], o: SamplingOptions, history: readonly number[]): number[] {
  // Penalties work on logits; the constant that separates log p from a logit matters for the repetition penalty, so logits are log p here.
  const window = o.penaltyWindow === -1 ? history : o.penaltyWindow === 0 ? [] : history.slice(-(o.penaltyWindow ?? 64));
  let p = start.map((x, id) => {
    const n = window.filter((h) => h === id).length;
    let l = Math.log(x) + (o.logitBias?.[id] ?? 0);
    if (n > 0) l = (l > 0 ? l / (o.repetitionPenalty ?? 1) : l * (o.repetitionPenalty ?? 1)) - n * (o.frequencyPenalty ?? 0) - (o.presencePenalty ?? 0);
    return Math.exp(l);
  });
  const only = (keep: (id: number) => boolean): void => { p = p.map((x, id) => (keep(id) ? x : 0)); };
  const share = (order: number[], limit: number, over: boolean): void => {
    const q = normal(p), kept = new Set<number>();
    let sum = 0;
    for (const id of order) { kept.add(id); sum += q[id] ?? 0; if (over ? sum > limit : sum >= limit) break; }
    only((id) => kept.has(id));
  };
  const ids = (): number[] => p.flatMap((x, id) => (x > 0 ? [id] : []));
  const likely = (): number[] => ids().sort((a, b) => (p[b] ?? 0) - (p[a] ?? 0));
  if (o.topK) { const kept = likely().slice(0, o.topK); only((id) => kept.includes(id)); }
  if ((o.typicalP ?? 1) < 1) {
    const q = normal(p);
    const entropy = -q.reduce((h, x) => h + (x > 0 ? x * Math.log(x) : 0), 0);
    share(ids().sort((a, b) => Math.abs(-Math.log(q[a] ?? 0) - entropy) - Math.abs(-Math.log(q[b] ?? 0) - entropy)), o.typicalP ?? 1, true);
  }
  if ((o.topP ?? 1) < 1) share(likely(), o.topP ?? 1, false);
  if (o.minP) { const top = Math.max(...p); only((id) => (p[id] ?? 0) >= (o.minP ?? 0) * top); }
  return normal(p.map((x) => x ** (1 / (o.temperature ?? 1))));
}

describe('sampling', () => {
  it('follows the softmax, and each filter alone', () => {
    near(frequencies({}), probabilities);
    near(frequencies({ temperature: 0.5 }), normal(probabilities.map((p) => p * p)));
    near(frequencies({ topK: 2 }), [2 / 3, 1 / 3, 0, 0]);
    near(frequencies({ topP: 0.7 }), [2 / 3, 1 / 3, 0, 0]);
    near(frequencies({ topP: 0.01 }), [1, 0, 0, 0]);
    near(frequencies({ minP: 0.25 }), normal([0.5, 0.25, 0.15, 0]));
    // H = 1.208; -ln p = 0.693, 1.386, 1.897, 2.303: the second is the most typical token, then the first.
    near(frequencies({ typicalP: 0.2 }), [0, 1, 0, 0]);
    near(frequencies({ typicalP: 0.6 }), [2 / 3, 1 / 3, 0, 0]);
  });
  it('applies them in the order of the chain', () => {
    // top-k first: of the two that are left, the first alone holds 2/3 >= 0.6.
    near(frequencies({ topK: 2, topP: 0.6 }), [1, 0, 0, 0]);
    // typical before top-p: the second token alone, whatever top-p would keep.
    near(frequencies({ typicalP: 0.2, topP: 0.5 }), [0, 1, 0, 0]);
    // temperature last: at 0.1 the first token would hold 0.999 and be alone, at 10 all four would pass min-p.
    near(frequencies({ temperature: 0.5, topP: 0.7 }), normal([0.25, 0.0625, 0, 0]));
    near(frequencies({ temperature: 10, minP: 0.4 }), normal([0.5 ** 0.1, 0.25 ** 0.1, 0, 0]));
    // penalties before top-k: the first token falls behind the second.
    near(frequencies({ topK: 1, presencePenalty: 2 }, [0]), [0, 1, 0, 0]);
  });
  it('penalises what the window holds, by occurrences and once', () => {
    const history = [0, 0, 1, 3, 3];
    near(frequencies({ frequencyPenalty: 0.5 }, history), normal([0.5 * Math.exp(-1), 0.25 * Math.exp(-0.5), 0.15, 0.1 * Math.exp(-1)]));
    near(frequencies({ presencePenalty: 0.5 }, history), normal([0.5 * Math.exp(-0.5), 0.25 * Math.exp(-0.5), 0.15, 0.1 * Math.exp(-0.5)]));
    near(frequencies({ presencePenalty: 0.5, penaltyWindow: 2 }, history), normal([0.5, 0.25, 0.15, 0.1 * Math.exp(-0.5)]));
    near(frequencies({ presencePenalty: 0.5, penaltyWindow: 0 }, history), probabilities);
    // A repetition penalty divides logits above 0 and multiplies those below.
    const mixed = Float32Array.from([1, 0.5, -1]);
    near(frequencies({ repetitionPenalty: 2 }, [0, 2], 20000, mixed), normal([Math.exp(0.5), Math.exp(0.5), Math.exp(-2)]));
    near(frequencies({ logitBias: { 0: -Infinity, 3: 1 } }), normal([0, 0.25, 0.15, 0.1 * Math.E]));
    const many = Array.from({ length: 200 }, (_, i) => (i < 100 ? 0 : 1));
    near(frequencies({ presencePenalty: 1 }, many), normal([0.5, 0.25 / Math.E, 0.15, 0.1]));
    near(frequencies({ presencePenalty: 1, penaltyWindow: -1 }, many), normal([0.5 / Math.E, 0.25 / Math.E, 0.15, 0.1]));
  });
  it('follows the distribution of the definitions, for any mixture of options', () => {
    fc.assert(fc.property(
      fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 12 }), fc.array(fc.nat(11), { maxLength: 10 }),
      fc.record({
        temperature: fc.double({ min: 0.2, max: 3, noNaN: true }), topK: fc.nat(8), topP: fc.double({ min: 0.05, max: 1, noNaN: true }), minP: fc.double({ min: 0, max: 0.5, noNaN: true }),
        typicalP: fc.double({ min: 0.05, max: 1, noNaN: true }), repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }), frequencyPenalty: fc.double({ min: -1, max: 1, noNaN: true }),
        presencePenalty: fc.double({ min: -1, max: 1, noNaN: true }), penaltyWindow: fc.integer({ min: -1, max: 6 }),
      }), fc.nat(),
      (weights, history, options, seed) => {
        // Distinct values, so that no tie decides.
        const p = normal(weights.map((w, i) => w + i / 1000));
        const want = expected(p, options, history);
        const values = Float32Array.from(p, Math.log);
        const sampler = new Sampler({ ...options, seed });
        const n = 400;
        const counts = p.map(() => 0);
        for (let i = 0; i < n; i++) { const id = sampler.choose(values, history); counts[id] = (counts[id] ?? 0) + 1; }
        // Nothing that is left out is ever drawn; what is drawn keeps within 5.5 standard deviations.
        counts.forEach((count, id) => {
          const w = want[id] ?? 0;
          if (w === 0) expect(count).toBe(0);
          else expect(Math.abs(count / n - w)).toBeLessThan(5.5 * Math.sqrt((w * (1 - w)) / n) + 3 / n);
        });
      }), { numRuns: 150, seed: 11 });
  });
  it('sorts a large vocabulary no further than it must, with the same result', () => {
    const random = randomSource(3);
    const values = Float32Array.from({ length: 3000 }, () => 12 * random());
    const p = normal(Array.from(values, (x) => Math.exp(x)));
    for (const options of [{ topK: 20 }, { topP: 0.9 }, { topP: 0.9999999 }, { topK: 2500, topP: 0.5 }, { minP: 0.1 }, { typicalP: 0.3 }] satisfies SamplingOptions[]) {
      const want = expected(p, options, []);
      const sampler = new Sampler({ temperature: 1, seed: 5, ...options });
      for (let i = 0; i < 25; i++) expect(want[sampler.choose(values)]).toBeGreaterThan(0);
    }
  });
  it('is greedy at temperature 0, ties to the lower id, after biases and penalties; and says -1 for NaN', () => {
    const greedy = (options: SamplingOptions, values: number[], history: number[] = []): number => new Sampler(options).choose(Float32Array.from(values), history);
    expect(greedy({}, [1, 3, 3])).toBe(1);
    expect(greedy({ logitBias: { 1: -5 } }, [1, 3, 2])).toBe(2);
    expect(greedy({ repetitionPenalty: 4 }, [1, 3, 2], [1])).toBe(2);
    expect(greedy({ topK: 1, topP: 0.1, typicalP: 0.01 }, [1, 3, 2])).toBe(1);
    expect(argmax(Float32Array.from([1, NaN]))).toBe(-1);
    expect(greedy({ temperature: 1 }, [NaN, 1])).toBe(-1);
    expect(greedy({ temperature: 1 }, [-Infinity, 2, -Infinity])).toBe(1);
    expect([{}, { topK: 3, seed: 1 }, { penaltyWindow: 9 }, { repetitionPenalty: 2, penaltyWindow: 0 }].map(isPlainGreedy)).toEqual([true, true, true, true]);
    expect([{ temperature: 1 }, { repetitionPenalty: 2 }, { logitBias: { 1: 1 } }].map(isPlainGreedy)).toEqual([false, false, false]);
  });
  it('chooses only what a mask allows, greedily and not', () => {
    const values = Float32Array.from({ length: 70 }, (_, i) => i / 10);
    const mask = Int32Array.from([1 << 3, 1 << 31, 0]);
    expect(new Sampler({}).choose(values, [], mask)).toBe(63);
    const sampler = new Sampler({ temperature: 20, seed: 1 });
    expect(new Set(Array.from({ length: 100 }, () => sampler.choose(values, [], mask)))).toEqual(new Set([3, 63]));
    expect(new Sampler({}).choose(values, [], Int32Array.from([0]))).toBe(-1);
  });
  it('draws uniform numbers that a seed fixes', () => {
    const random = randomSource(2 ** 40 + 5);
    const list = Array.from({ length: 10000 }, random);
    expect(Math.abs(list.reduce((a, b) => a + b, 0) / list.length - 0.5)).toBeLessThan(0.02);
    expect(list.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(randomSource(5)()).not.toBe(randomSource(2 ** 40 + 5)());
  });
  it('gives log probabilities of the model\'s own distribution', () => {
    const { logprob, top } = logProbabilities(Float32Array.from(probabilities, (p) => Math.log(p) + 3), 2, 2);
    expect(logprob).toBeCloseTo(Math.log(0.15), 6);
    expect(top.map((t) => t.id)).toEqual([0, 1]);
    expect(top[1]?.logprob).toBeCloseTo(Math.log(0.25), 6);
  });
  it('names every option out of range, with the range and the value', () => {
    const wrong: SamplingOptions = { temperature: NaN, topK: 1.5, topP: 2, minP: -1, typicalP: 0, repetitionPenalty: 0, frequencyPenalty: 101, presencePenalty: Infinity, penaltyWindow: -2, seed: -1, logitBias: { 9: 1, 2: NaN } };
    expect(samplingProblems(wrong, 4).map((d) => d.path)).toEqual(['/temperature', '/top-k', '/top-p', '/min-p', '/typical-p', '/repetition-penalty', '/frequency-penalty',
      '/presence-penalty', '/penalty-window', '/seed', '/logit-bias/2', '/logit-bias/9']);
    expect(samplingProblems({ temperature: 200, logitBias: { 9: 1 } }, 4).map((d) => d.message)).toEqual(['must be from 0 to 100, found 200', 'must be the id of a token from 0 to 3, found 9']);
    expect(() => new Sampler(wrong, 4)).toThrow(/E020/);
  });
});
