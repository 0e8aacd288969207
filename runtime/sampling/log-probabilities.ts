/** Log probabilities of tokens, as the model gives them: of its own logits, before biases, masks, penalties, filters and temperature. */
import { topK } from './filters.ts';

export interface TokenLogProbability {
  readonly id: number;
  /** ln p of the token. */
  readonly logprob: number;
}

/** ln softmax(logits)[id], and that of the `count` most likely tokens, most likely first. */
export function logProbabilities(logits: Float32Array, id: number, count: number): { logprob: number; top: TokenLogProbability[] } {
  let peak = -Infinity;
  for (const x of logits) if (x > peak) peak = x;
  let total = 0;
  for (const x of logits) total += Math.exp(x - peak);
  const normaliser = peak + Math.log(total);
  const of = (i: number): number => (logits[i] ?? -Infinity) - normaliser;
  const best = count === 0 ? new Int32Array(0) : topK(Int32Array.from(logits.keys()), Float64Array.from(logits), count);
  return { logprob: of(id), top: Array.from(best, (i) => ({ id: i, logprob: of(i) })) };
}
