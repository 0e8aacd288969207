/**
 * Choosing the next token from logits. The order is that of llama.cpp's default chain (common/common.h, `samplers`), each step seeing what
 * the one before left:
 *   logit bias, the mask of a constraint, penalties (repetition, frequency, presence), top-k, typical, top-p, min-p, temperature,
 * then a draw from the softmax of what is left. So the filters see the model's own distribution, whatever the temperature.
 * Temperature 0 takes the largest logit after biases, mask and penalties, ties to the lower id.
 */
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { draw, minP, topK, topP, typical } from './filters.ts';
import { samplingProblems, type SamplingOptions } from './options.ts';
import { applyBias, applyPenalties } from './penalties.ts';
import { randomSource } from './random.ts';

/** Index of the largest of `logits`, ties to the lower; -1 where one is NaN or the largest is infinite. */
export function argmax(logits: Float32Array | Float64Array): number {
  let best = -1, value = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    const x = logits[i] ?? NaN;
    if (Number.isNaN(x)) return -1;
    if (x > value) { value = x; best = i; }
  }
  return value < Infinity ? best : -1;
}

/** Bit id % 32 of word id / 32 says whether a token may be chosen; ids past the end may not. */
export type TokenMask = Int32Array;

export class Sampler {
  private readonly random: () => number;
  private work = new Float64Array(0);

  /** `outputs`: how many logits there are, if that is known. Throws PeelError (exit code 2) for options out of range. */
  constructor(private readonly options: SamplingOptions, outputs?: number) {
    const problems = samplingProblems(options, outputs);
    if (problems.length > 0) throw new PeelError(ExitCode.usage, problems);
    this.random = randomSource(options.seed ?? Math.floor(Math.random() * 2 ** 32));
  }

  /**
   * A token id from f32[outputs] logits. `history`: the tokens so far, for the penalties. -1 where the logits hold NaN or +Infinity, or
   * leave nothing to choose. Takes one random number a call, unless the temperature is 0.
   */
  choose(logits: Float32Array, history: readonly number[] = [], mask?: TokenMask): number {
    const { temperature = 0, topK: k = 0, topP: p = 1, minP: least = 0, typicalP = 1 } = this.options;
    if (argmax(logits) < 0) return -1;
    if (this.work.length !== logits.length) this.work = new Float64Array(logits.length);
    const { work } = this;
    work.set(logits);
    applyBias(work, this.options.logitBias);
    if (mask) for (let id = 0; id < work.length; id++) if ((((mask[id >> 5] ?? 0) >>> (id & 31)) & 1) === 0) work[id] = -Infinity;
    applyPenalties(work, history, this.options);
    if (temperature === 0) return argmax(work);
    let ids = allowed(work);
    if (k > 0) ids = topK(ids, work, k);
    if (typicalP < 1) ids = typical(ids, work, typicalP);
    if (p < 1) ids = topP(ids, work, p);
    if (least > 0) ids = minP(ids, work, least);
    return draw(ids, work, temperature, this.random);
  }
}

function allowed(logits: Float64Array): Int32Array {
  const ids = new Int32Array(logits.length);
  let n = 0;
  for (let id = 0; id < logits.length; id++) if ((logits[id] ?? 0) > -Infinity) ids[n++] = id;
  return ids.subarray(0, n);
}
