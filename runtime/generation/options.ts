/** What generation takes and gives. */
import type { Diagnostic } from '../../compiler/diagnostics.ts';
import type { TokenLogProbability } from '../sampling/log-probabilities.ts';
import { samplingProblems, type SamplingOptions } from '../sampling/options.ts';
import type { DecodeStream } from '../tokenizer/tokenizer.ts';
import type { TokenMask } from '../sampling/sampler.ts';

/** Says which tokens may come next. For one text at a time; whoever made it disposes of it. */
export interface TokenConstraint {
  /** A new text begins. */
  begin?(): void;
  /** The tokens allowed now: bit id % 32 of word id / 32. `complete`: the text is whole, and nothing can follow. */
  next(): Promise<{ readonly mask: TokenMask; readonly complete: boolean }>;
  /** The token that was chosen among them. */
  accept(id: number): void;
  /** Whether a text, as a whole, is one that it asks for. */
  matches?(text: string): boolean;
  /** Decodes its tokens; the tokenizer does so if absent. */
  stream?(): DecodeStream;
}

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate: 128 if absent. */
  readonly maxTokens?: number;
  /** Ids after which generation ends; the id itself is given too. */
  readonly stop?: readonly number[];
  /** Ends the generation before the next token, or the next chunk of the prompt. */
  readonly signal?: AbortSignal;
  /** Log probabilities of each token, and of this many of the most likely ones: 0 to 100. None if absent. */
  readonly logprobs?: number;
  /** Only what this allows is generated. */
  readonly constraint?: TokenConstraint;
  /**
   * Where the context is full: keeps the first `keep` tokens (1 if `true`), drops the older half of the others, feeds what is left again from
   * position `keep` on, and goes on. Right for every kind of position, at the price of that work. Off if absent: generation ends there.
   */
  readonly contextShift?: boolean | { readonly keep: number };
  /** Called with how much of the prompt is in the state: what was reused, then after each chunk. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Why a generation ended: maxTokens, a stop id, a full context, the signal, or a constraint that nothing can follow. */
export type StopReason = 'length' | 'stop' | 'context' | 'aborted' | 'complete';

export interface GeneratedToken {
  readonly id: number;
  /** ln p of the token in the model's own distribution; with `logprobs`. */
  readonly logprob?: number;
  /** The most likely tokens at its place, most likely first; with `logprobs` above 0. */
  readonly top?: readonly TokenLogProbability[];
}

/** What is out of range in `options`, all at once. */
export function generationProblems(options: GenerateOptions, outputs: number, context: number): Diagnostic[] {
  const problems = samplingProblems(options, outputs);
  const whole = (path: string, value: number | undefined, least: number, most: number, range: string): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return;
    problems.push({ code: 'E020', severity: 'error', path, message: `must be a whole number, ${range}, found ${value}` });
  };
  whole('/max-tokens', options.maxTokens, 0, Infinity, '0 or more');
  whole('/logprobs', options.logprobs, 0, 100, 'from 0 to 100');
  whole('/context-shift/keep', typeof options.contextShift === 'object' ? options.contextShift.keep : undefined, 0, context - 1, `from 0 to ${context - 1}, below the context of ${context}`);
  return problems;
}
