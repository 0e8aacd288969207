/** Generation on a session: the loop of feeding and choosing. */
import { ExitCode, InternalError, PeelError } from '../../compiler/diagnostics.ts';
import type { StepResult } from '../backend.ts';
import { logProbabilities } from '../sampling/log-probabilities.ts';
import { isPlainGreedy } from '../sampling/options.ts';
import { argmax, Sampler, type TokenMask } from '../sampling/sampler.ts';
import { generationProblems, type GeneratedToken, type GenerateOptions, type StopReason } from './options.ts';

/** A sequence in a model's state, as generation needs it. */
export interface Sequence {
  readonly outputs: number;
  readonly context: number;
  readonly position: number;
  feed(ids: ArrayLike<number>, options: { outputs?: readonly string[]; follow?: boolean }): Promise<StepResult>;
  extendTo(ids: readonly number[], options: { outputs?: readonly string[]; signal?: AbortSignal; onProgress?: (done: number, total: number) => void }): Promise<StepResult | undefined>;
  /** Fails for a model that generates no text. */
  checkGenerates(): void;
  /** The error for logits that are not numbers. */
  notNumbers(): Promise<PeelError>;
}

/** `ids` without the older half of what follows the first `keep`, as often as it takes to make them shorter than `context`. */
export function shifted(ids: readonly number[], keep: number, context: number): number[] {
  let left = [...ids];
  const kept = Math.min(keep, context - 1);
  while (left.length >= context) {
    const rest = left.length - kept;
    left = [...left.slice(0, kept), ...left.slice(kept + Math.max(1, Math.floor(rest / 2)))];
  }
  return left;
}

/** Lets timers, signals and input be heard: a step on the CPU may take no turn of the event loop, and then nothing could stop a generation. */
export function takeTurn(): Promise<void> {
  return new Promise((resolve) => { if (typeof setImmediate === 'function') setImmediate(resolve); else setTimeout(resolve); });
}

/** The tokens that follow `prompt`, and at last why they end. The greedy choice is made on the device where nothing else is asked for. */
export async function* generateTokens(sequence: Sequence, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<GeneratedToken, StopReason, undefined> {
  const { maxTokens = 128, stop = [], signal, constraint, logprobs, onProgress } = options;
  const problems = generationProblems(options, sequence.outputs, sequence.context);
  if (problems.length > 0) throw new PeelError(ExitCode.usage, problems);
  sequence.checkGenerates();
  const keep = options.contextShift === undefined || options.contextShift === false ? undefined : options.contextShift === true ? 1 : options.contextShift.keep;
  constraint?.begin?.();
  const sampler = new Sampler(options, sequence.outputs);
  const onDevice = isPlainGreedy(options) && constraint === undefined && logprobs === undefined;
  const outputs = onDevice ? [] : ['logits'];
  /** The whole text, for the penalties; what is in the state may have been shifted. */
  const history = [...prompt];
  const state = keep !== undefined && prompt.length > sequence.context ? shifted(prompt, keep, sequence.context) : [...prompt];
  let next: number | undefined;
  let position = 0;
  for (let made = 0; made < maxTokens; made++) {
    await takeTurn();
    if (signal?.aborted) return 'aborted';
    if (next !== undefined && position !== sequence.position) {
      throw new PeelError(ExitCode.usage, [{ code: 'E025', severity: 'error', path: '', message: 'the session was used for something else while a text was generated', hint: 'one session holds one text: make another session' }]);
    }
    const allowed = constraint?.next();
    allowed?.catch(() => undefined); // Awaited below; until then the step below is under way.
    let result: StepResult | undefined;
    if (next === undefined) {
      result = await sequence.extendTo(state, { outputs, ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) });
    } else if (state.length <= sequence.context) {
      result = await sequence.feed([next], { outputs, follow: onDevice && made + 1 < maxTokens });
    } else {
      if (keep === undefined) return 'context';
      state.splice(0, state.length, ...shifted(state, keep, sequence.context));
      result = await sequence.extendTo(state, { outputs, ...(signal ? { signal } : {}) });
    }
    if (!result) return 'aborted';
    position = sequence.position;
    const mask = await allowed;
    if (mask?.complete) return 'complete';
    const logits = result.outputs.get('logits');
    const id = onDevice ? result.argmax : sampler.choose(logits ?? new Float32Array(0), history, mask?.mask);
    if (id < 0) throw await noChoice(sequence, logits, mask?.mask);
    constraint?.accept(id);
    yield { id, ...(logprobs === undefined || !logits ? {} : logProbability(logits, id, logprobs)) };
    if (stop.includes(id)) return 'stop';
    next = id;
    history.push(id);
    state.push(id);
  }
  return constraint && (await constraint.next()).complete ? 'complete' : 'length';
}

function logProbability(logits: Float32Array, id: number, count: number): Omit<GeneratedToken, 'id'> {
  const { logprob, top } = logProbabilities(logits, id, count);
  return { logprob, ...(count > 0 ? { top } : {}) };
}

/** Why there is no token: the logits are none, or biases forbid all that a constraint allows. */
async function noChoice(sequence: Sequence, logits: Float32Array | undefined, mask: TokenMask | undefined): Promise<PeelError> {
  if (!logits || argmax(logits) < 0) return sequence.notNumbers();
  if (mask?.every((word) => word === 0)) throw new InternalError('generation', 'a constraint allows no token and is not complete');
  return new PeelError(ExitCode.usage, [{ code: 'E020', severity: 'error', path: '/logit-bias', message: 'forbids every token that could come next' }]);
}
