/** Biases and penalties: what changes single logits before anything is left out. */
import { penalises, type SamplingOptions } from './options.ts';

/** Adds the biases to `logits`, f64[outputs] by id. */
export function applyBias(logits: Float64Array, bias: SamplingOptions['logitBias']): void {
  for (const [id, amount] of Object.entries(bias ?? {})) logits[Number(id)] = (logits[Number(id)] ?? 0) + amount;
}

/**
 * For each token of the window, the last `penaltyWindow` of `history`, with n occurrences there:
 * logit <- (logit > 0 ? logit / repetition : logit * repetition) - n * frequency - presence.
 */
export function applyPenalties(logits: Float64Array, history: readonly number[], options: SamplingOptions): void {
  if (!penalises(options)) return;
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, penaltyWindow = 64 } = options;
  const counts = new Map<number, number>();
  for (let i = penaltyWindow < 0 ? 0 : Math.max(0, history.length - penaltyWindow); i < history.length; i++) {
    const id = history[i] ?? 0;
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  for (const [id, count] of counts) {
    const logit = logits[id];
    if (logit === undefined) continue; // An id with an embedding and no logit.
    logits[id] = (logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty) - count * frequencyPenalty - presencePenalty;
  }
}
