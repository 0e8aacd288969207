/**
 * Choosing the next token from logits. The filters apply in this order, each to what the one before left:
 * temperature (divides the logits), top-k (the k largest), top-p (the fewest most likely tokens that hold at least p together),
 * min-p (tokens at least min-p times as likely as the most likely one), then a draw from the softmax of what is left.
 * Temperature 0 takes the largest logit, ties to the lower id. The order is that of Hugging Face transformers.
 */
import { ExitCode, PeelError, type Diagnostic } from '../compiler/diagnostics.ts';

export interface SamplingOptions {
  /** 0 (the default) is greedy. */
  readonly temperature?: number;
  /** Absent or 0: no limit. */
  readonly topK?: number;
  /** In (0, 1]; 1 keeps all. */
  readonly topP?: number;
  /** In [0, 1]; 0 keeps all. */
  readonly minP?: number;
  /** Equal seeds give equal text on the same device. Drawn at random if absent. */
  readonly seed?: number;
}

/** What is out of range in `options`, all at once. */
export function samplingProblems(options: SamplingOptions): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const check = (name: string, value: number | undefined, fine: (v: number) => boolean, range: string): void => {
    if (value === undefined || fine(value)) return;
    problems.push({ code: 'E020', severity: 'error', path: `/${name}`, message: `must be ${range}, found ${value}` });
  };
  check('temperature', options.temperature, (v) => v >= 0 && v <= 100, 'from 0 to 100');
  check('top-k', options.topK, (v) => Number.isSafeInteger(v) && v >= 0, 'a whole number, 0 or more');
  check('top-p', options.topP, (v) => v > 0 && v <= 1, 'above 0 and at most 1');
  check('min-p', options.minP, (v) => v >= 0 && v <= 1, 'from 0 to 1');
  check('seed', options.seed, (v) => Number.isSafeInteger(v) && v >= 0, 'a whole number, 0 or more');
  return problems;
}

/** Uniform numbers in [0, 1) from a seed: sfc32 (Chris Doty-Humphrey, PractRand), seeded through splitmix32. */
export function randomSource(seed: number): () => number {
  let mix = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  const next = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) | 0;
  };
  let a = next(), b = next(), c = next(), counter = 1;
  return () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

/** Whether the options ask for anything but the largest logit. */
export function isGreedy(options: SamplingOptions): boolean {
  return (options.temperature ?? 0) === 0 || options.topK === 1;
}

/** Index of the largest of `logits`, ties to the lower; -1 where one is NaN or the largest is infinite. */
export function argmax(logits: Float32Array): number {
  let best = -1, value = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    const x = logits[i] ?? NaN;
    if (Number.isNaN(x)) return -1;
    if (x > value) { value = x; best = i; }
  }
  return value < Infinity ? best : -1;
}

/** A function that draws a token from f32[vocab] logits. -1 where the logits hold NaN. Throws PeelError (exit code 2) for options out of range. */
export function sampler(options: SamplingOptions): (logits: Float32Array) => number {
  const problems = samplingProblems(options);
  if (problems.length > 0) throw new PeelError(ExitCode.usage, problems);
  if (isGreedy(options)) return argmax;
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = options;
  const random = randomSource(options.seed ?? Math.floor(Math.random() * 2 ** 32));
  return (logits) => {
    const largest = argmax(logits);
    if (largest < 0) return -1;
    const peak = logits[largest] ?? 0;
    // Most likely first, ties to the lower id; only as many as the filters can keep are sorted.
    let order = Array.from({ length: logits.length }, (_, i) => i).filter((i) => (logits[i] ?? 0) > -Infinity);
    order.sort((i, j) => (logits[j] ?? 0) - (logits[i] ?? 0) || i - j);
    if (topK > 0) order = order.slice(0, topK);
    let weights = order.map((i) => Math.exp(((logits[i] ?? 0) - peak) / temperature));
    if (topP < 1) {
      const total = weights.reduce((x, y) => x + y, 0);
      let sum = 0;
      const keep = weights.findIndex((w) => (sum += w) >= topP * total) + 1;
      if (keep > 0) weights = weights.slice(0, keep);
    }
    if (minP > 0) {
      const keep = weights.findIndex((w) => w < minP);
      if (keep > 0) weights = weights.slice(0, keep);
    }
    const total = weights.reduce((x, y) => x + y, 0);
    let rest = random() * total;
    for (const [i, w] of weights.entries()) {
      rest -= w;
      if (rest < 0) return order[i] ?? largest;
    }
    return order[weights.length - 1] ?? largest;
  };
}
