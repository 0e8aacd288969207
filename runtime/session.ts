/** One sequence on a loaded model: prompts in chunks, logits for ids, generation. */
import { ExitCode, PeelError, type Diagnostic } from '../compiler/diagnostics.ts';
import type { Capacity } from '../compiler/plan.ts';
import type { DeviceReport, Executor, StepResult } from './backend.ts';
import { isGreedy, sampler, samplingProblems, type SamplingOptions } from './sampling.ts';

/** What a session must know of its model. */
export interface SessionModel {
  readonly name: string;
  /** Rows of the token embedding: ids are below it. */
  readonly vocab: number;
  /** Width of the logits; 0 where the model has none. */
  readonly outputs: number;
  readonly layers: number;
  /** Every token sees every other (an encoder): a sequence is one step, and nothing is generated. */
  readonly bidirectional: boolean;
  /** The context the model was made for, if it says one. */
  readonly trainedContext?: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate: 128 if absent. */
  readonly maxTokens?: number;
  /** Ids after which generation ends; the id itself is given too. */
  readonly stop?: readonly number[];
  readonly signal?: AbortSignal;
}

function usage(code: string, path: string, message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code, severity: 'error', path, message, ...(hint === undefined ? {} : { hint }) }]);
}

/** Outputs with a row for each of the trailing tokens that `logitRows` names; the others have one for every token. */
const headOutputs: ReadonlySet<string> = new Set(['logits', 'probabilities']);

export class Session {
  private past = 0;
  private busy = false;
  private disposed = false;

  /** The ids in the state. */
  private readonly sequence: number[] = [];

  /** `explain` finds the first operator that gives no numbers for a sequence, when a step's logits are none. */
  constructor(
    private readonly executor: Executor, readonly model: SessionModel, private readonly capacity: Capacity,
    private readonly explain?: (ids: readonly number[]) => Promise<Diagnostic | undefined>,
  ) {}

  /** What runs the model, and why. */
  get device(): DeviceReport { return this.executor.report; }
  /** Tokens in the state: the position of the next one. */
  get position(): number { return this.past; }
  /** Most tokens that fit. */
  get context(): number { return this.capacity.context; }

  /** Goes back to a sequence of `position` tokens, at most the present ones. */
  rewind(position = 0): void {
    if (!Number.isSafeInteger(position) || position < 0 || position > this.past) {
      throw usage('E021', '/position', `must be a whole number from 0 to ${this.past}, found ${position}`);
    }
    this.past = position;
    this.sequence.length = position;
  }

  private checkIds(ids: ArrayLike<number>): void {
    if (ids.length === 0) throw usage('E022', '/ids', 'the prompt is empty: at least one token is needed', 'give text, or --ids');
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? NaN;
      if (!Number.isSafeInteger(id) || id < 0 || id >= this.model.vocab) {
        throw usage('E023', `/ids/${i}`, `token id ${id} is not from 0 to ${this.model.vocab - 1}`, 'does the tokenizer belong to this model?');
      }
    }
    if (this.past + ids.length > this.capacity.context) {
      const before = this.past > 0 ? ` after ${this.past} tokens` : '';
      throw usage('E024', '/ids', `the prompt has ${ids.length} tokens${before}, the context holds ${this.capacity.context}`,
        'give a longer --context, if the model allows it');
    }
  }

  /**
   * Appends ids to the sequence, in as many steps as the plan's capacity needs, and gives the named outputs for all of them, row-major.
   * `logits` and `probabilities` have `logitRows` trailing rows (1 if absent), other outputs one row a token.
   * `ropeLength`: the whole length that length-dependent rotary scaling should see; that of the sequence so far and `ids` if absent.
   */
  async feed(ids: ArrayLike<number>, options: { outputs?: readonly string[]; logitRows?: number; chunk?: number; ropeLength?: number } = {}): Promise<StepResult> {
    this.checkIds(ids);
    if (this.disposed) throw usage('E025', '', 'the session is disposed');
    if (this.busy) throw usage('E025', '', 'the session is busy: await one call before the next');
    this.busy = true;
    try {
      return await this.steps(Int32Array.from(ids), options);
    } finally {
      this.busy = false;
    }
  }

  private async steps(ids: Int32Array, options: { outputs?: readonly string[]; logitRows?: number; chunk?: number; ropeLength?: number }): Promise<StepResult> {
    const { outputs = [], logitRows = 1 } = options;
    const { maxTokens, maxLogitRows } = this.capacity;
    const length = options.ropeLength ?? this.past + ids.length;
    const firstLogit = ids.length - Math.min(logitRows, ids.length);
    const limit = Math.max(1, Math.min(options.chunk ?? maxTokens, maxTokens));
    if (this.model.bidirectional && ids.length > limit) {
      throw usage('E024', '/ids', `the text has ${ids.length} tokens, one step holds ${limit}`, 'this model reads a text in one step');
    }
    const parts = new Map<string, Float32Array[]>(outputs.map((name) => [name, []]));
    let argmax = -1;
    for (let at = 0; at < ids.length;) {
      let count = Math.min(limit, ids.length - at);
      // Trailing tokens of this step whose logits are wanted; a step may give at most maxLogitRows of them.
      const wanted = Math.min(count, Math.max(0, at + count - firstLogit));
      if (wanted > maxLogitRows) count -= wanted - maxLogitRows;
      const rows = Math.min(wanted, maxLogitRows);
      const live = rows > 0 ? outputs : outputs.filter((name) => !headOutputs.has(name));
      const result = await this.executor.step(
        { ids: ids.subarray(at, at + count), past: this.past, logitRows: Math.max(1, rows), ropeLength: Math.max(length, this.past + count) }, live);
      for (const [name, data] of result.outputs) parts.get(name)?.push(data);
      argmax = result.argmax;
      this.sequence.length = this.past;
      this.sequence.push(...ids.subarray(at, at + count));
      this.past += count;
      at += count;
    }
    return { argmax, outputs: new Map([...parts].map(([name, list]) => [name, join(list)])) };
  }

  /** Logits f32[ids.length * vocab] of a fresh sequence of `ids`, row-major. The state is that sequence afterwards. */
  async logits(ids: ArrayLike<number>): Promise<Float32Array> {
    this.rewind(0);
    const result = await this.feed(ids, { outputs: ['logits'], logitRows: ids.length });
    return result.outputs.get('logits') ?? new Float32Array(0);
  }

  /**
   * Appends `ids`, then gives new tokens one by one until `maxTokens`, a stop id, or a full context. Breaking out of the loop stops it.
   * The greedy choice is made on the device: only the id comes back.
   */
  async *generate(ids: ArrayLike<number>, options: GenerateOptions = {}): AsyncGenerator<number, void, undefined> {
    const { maxTokens = 128, stop = [], signal } = options;
    const problems = samplingProblems(options);
    if (!Number.isSafeInteger(maxTokens) || maxTokens < 0) {
      problems.push({ code: 'E020', severity: 'error', path: '/max-tokens', message: `must be a whole number, 0 or more, found ${maxTokens}` });
    }
    if (problems.length > 0) throw new PeelError(ExitCode.usage, problems);
    if (this.model.outputs === 0 || this.model.bidirectional) {
      throw usage('E026', '', `model '${this.model.name}' does not generate text: it ${this.model.outputs === 0 ? 'has no output head' : 'is bidirectional'}`);
    }
    const greedy = isGreedy(options);
    const choose = sampler(options);
    const outputs = greedy ? [] : ['logits'];
    let next: ArrayLike<number> = ids;
    this.checkIds(ids);
    for (let made = 0; made < maxTokens; made++) {
      if (signal?.aborted || this.past + next.length > this.capacity.context) return;
      const result = await this.feed(next, { outputs });
      const id = greedy ? result.argmax : choose(result.outputs.get('logits') ?? new Float32Array(0));
      if (id < 0) throw await this.notANumber(next);
      yield id;
      if (stop.includes(id)) return;
      next = [id];
    }
  }

  /** The error for logits that are not numbers: names the first operator whose result is not, or else the first output of a layer. Repeats steps. */
  private async notANumber(ids: ArrayLike<number>): Promise<PeelError> {
    const explained = await this.explain?.([...this.sequence]);
    if (explained) return new PeelError(ExitCode.weights, [explained]);
    const names = ['embeddings', ...Array.from({ length: this.model.layers }, (_, i) => `hidden.${i}`), 'final', 'logits'];
    let first = 'logits';
    try {
      this.past = Math.max(0, this.past - ids.length);
      const result = await this.feed(ids, { outputs: names });
      first = names.find((name) => result.outputs.get(name)?.some((x) => !Number.isFinite(x))) ?? first;
    } catch { /* The plan does not bring those outputs back: the logits are all that is known. */ }
    const where = first.startsWith('hidden.') ? `the output of layer ${first.slice(7)}` : first;
    return new PeelError(ExitCode.weights, [{ code: 'E736', severity: 'error', path: '', message: `the logits are not numbers; the first values that are not: ${where}`,
      hint: 'the weights may hold NaN or infinity, or belong to another model' }]);
  }

  /** Frees the device's memory. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.executor.dispose();
  }
}

function join(parts: readonly Float32Array[]): Float32Array {
  const only = parts.length === 1 ? parts[0] : undefined;
  if (only) return only;
  const whole = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}
