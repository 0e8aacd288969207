/** What can be said about how the next token is chosen, and what is out of range in it. */
import type { Diagnostic } from '../../compiler/diagnostics.ts';

/** Applied in the order of `chain` (sampler.ts), whatever their order here. */
export interface SamplingOptions {
  /** 0 (the default) is greedy: the largest logit after biases and penalties. At most 100. */
  readonly temperature?: number;
  /** The k largest logits; absent or 0: no limit. */
  readonly topK?: number;
  /** In (0, 1]; 1 keeps all. */
  readonly topP?: number;
  /** In [0, 1]; 0 keeps all. */
  readonly minP?: number;
  /** Locally typical sampling (Meister et al., arXiv 2202.00666). In (0, 1]; 1 keeps all. */
  readonly typicalP?: number;
  /** Divides the logits above 0 of tokens in the window, multiplies the others (CTRL, arXiv 1909.05858). Above 0; 1 changes nothing. */
  readonly repetitionPenalty?: number;
  /** Taken from a token's logit for each time that it is in the window. From -100 to 100. */
  readonly frequencyPenalty?: number;
  /** Taken from a token's logit if it is in the window. From -100 to 100. */
  readonly presencePenalty?: number;
  /** The last tokens, of the prompt and the text, that penalties look at: 64 if absent; -1: all. */
  readonly penaltyWindow?: number;
  /** Added to the logits of ids, from -1000 to 1000; -Infinity forbids a token. */
  readonly logitBias?: Readonly<Record<number, number>>;
  /** Equal seeds give equal text on the same device and plan. Drawn at random if absent. */
  readonly seed?: number;
}

/** What is out of range in `options`, all at once. `outputs`: how many ids there are, for the biases. */
export function samplingProblems(options: SamplingOptions, outputs = Infinity): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const check = (name: string, value: number | undefined, fine: (v: number) => boolean, range: string): void => {
    if (value === undefined || (typeof value === 'number' && fine(value))) return;
    problems.push({ code: 'E020', severity: 'error', path: `/${name}`, message: `must be ${range}, found ${String(value)}` });
  };
  const within = (least: number, most: number) => (v: number): boolean => v >= least && v <= most;
  const share = (v: number): boolean => v > 0 && v <= 1;
  check('temperature', options.temperature, within(0, 100), 'from 0 to 100');
  check('top-k', options.topK, (v) => Number.isSafeInteger(v) && v >= 0, 'a whole number, 0 or more');
  check('top-p', options.topP, share, 'above 0 and at most 1');
  check('min-p', options.minP, within(0, 1), 'from 0 to 1');
  check('typical-p', options.typicalP, share, 'above 0 and at most 1');
  check('repetition-penalty', options.repetitionPenalty, (v) => v > 0 && v <= 100, 'above 0 and at most 100');
  check('frequency-penalty', options.frequencyPenalty, within(-100, 100), 'from -100 to 100');
  check('presence-penalty', options.presencePenalty, within(-100, 100), 'from -100 to 100');
  check('penalty-window', options.penaltyWindow, (v) => Number.isSafeInteger(v) && v >= -1, 'a whole number, 0 or more, or -1 for all');
  check('seed', options.seed, (v) => Number.isSafeInteger(v) && v >= 0, 'a whole number, 0 or more');
  for (const [key, bias] of Object.entries(options.logitBias ?? {})) {
    const id = Number(key);
    if (!Number.isSafeInteger(id) || id < 0 || id >= outputs) {
      problems.push({ code: 'E020', severity: 'error', path: `/logit-bias/${key}`, message: `must be the id of a token${outputs === Infinity ? '' : ` from 0 to ${outputs - 1}`}, found ${key}` });
    } else check(`logit-bias/${key}`, bias, (v) => v === -Infinity || within(-1000, 1000)(v), 'from -1000 to 1000, or -Infinity');
  }
  return problems;
}

export function penalises({ repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, penaltyWindow = 64 }: SamplingOptions): boolean {
  return penaltyWindow !== 0 && (repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0);
}

/** Whether the options ask for nothing but the largest logit as the model gives it. */
export function isPlainGreedy(options: SamplingOptions): boolean {
  return (options.temperature ?? 0) === 0 && !penalises(options) && Object.keys(options.logitBias ?? {}).length === 0;
}
