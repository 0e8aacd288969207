/** One sequence on a loaded model: prompts in chunks, logits for ids, generation. */
import { ExitCode, PeelError, type Diagnostic } from '../compiler/diagnostics.ts';
import { nearest } from '../compiler/nearest.ts';
import type { Capacity, ExecutionPlan } from '../compiler/plan.ts';
import type { Shape } from '../compiler/kernels/scalar.ts';
import type { DeviceReport, Executor, StepResult, StepTimes } from './backend.ts';
import type { GeneratedToken, GenerateOptions, StopReason } from './generation/options.ts';
import { generateTokens, takeTurn, type Sequence } from './generation/tokens.ts';
import { joinSteps, type Joined, type StepPart } from './join-steps.ts';

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
  /** Lengths of equal keys rotate positions alike; absent where the length does not matter. */
  readonly lengthKey?: (length: number) => string;
  /** The outputs that steps can bring back, with their shapes; `logits` and `probabilities` have rows for trailing tokens (R), others as they say. Any, with a row a token, if absent. */
  readonly outputShapes?: ReadonlyMap<string, Shape>;
  /** Those of them that `taps` asked for, in the order of computation. */
  readonly taps?: readonly string[];
}

export interface FeedOptions {
  /** Outputs to bring back: `logits`, and what the session keeps (`outputs`, `taps`). */
  readonly outputs?: readonly string[];
  /** Trailing tokens that `logits` and `probabilities` have rows for; 1 if absent. */
  readonly logitRows?: number;
  /** Most tokens of a step; as many as the session takes if absent. */
  readonly chunk?: number;
  readonly ropeLength?: number;
  readonly follow?: boolean;
}

export interface FeedResult extends StepResult {
  /** The sizes of each output: [tokens, ...], or [tokens, heads, keys], or [keys, ...] as its value has them. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

function usage(code: string, path: string, message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code, severity: 'error', path, message, ...(hint === undefined ? {} : { hint }) }]);
}

/** Outputs with a row for each of the trailing tokens that `logitRows` names, where shapes are not known; the others have one for every token. */
const headOutputs: ReadonlySet<string> = new Set(['logits', 'probabilities']);

export class Session implements Sequence {
  private past = 0;
  private busy = false;
  private disposed = false;

  /** The ids in the state, and for each the length that its rotation saw, as a key. */
  private readonly sequence: number[] = [];
  private readonly lengthKeys: string[] = [];
  /** Ids of the last step. */
  private lastStep = 0;

  /** `explain` finds the first operator that gives no numbers for a sequence, when a step's logits are none. */
  constructor(
    private readonly executor: Executor, readonly model: SessionModel, private readonly capacity: Capacity,
    private readonly explain?: (ids: readonly number[]) => Promise<Diagnostic | undefined>,
    /** What runs a step, where a plan does. */
    readonly plan?: ExecutionPlan,
  ) {}

  /** What runs the model, and why. */
  get device(): DeviceReport { return this.executor.report; }
  /** Tokens in the state: the position of the next one. */
  get position(): number { return this.past; }
  /** Most tokens that fit. */
  get context(): number { return this.capacity.context; }
  /** Width of the logits. */
  get outputs(): number { return this.model.outputs; }
  /** Values inside the model that `feed` can bring back besides its results: those that `taps` named, in the order of computation. */
  get taps(): readonly string[] { return this.model.taps ?? []; }
  /** The ids in the state. */
  get ids(): readonly number[] { return this.sequence; }

  /** Goes back to a sequence of `position` tokens, at most the present ones. */
  rewind(position = 0): void {
    if (!Number.isSafeInteger(position) || position < 0 || position > this.past) {
      throw usage('E021', '/position', `must be a whole number from 0 to ${this.past}, found ${position}`);
    }
    this.past = position;
    this.sequence.length = position;
    this.lengthKeys.length = Math.min(this.lengthKeys.length, position);
  }

  /**
   * How many tokens of the state `generate` would keep for a sequence of `ids`: those that both begin with. The last id is always fed, for its
   * logits. Where rotations depend on the sequence's length, only what was rotated as this length asks for.
   */
  commonPrefix(ids: ArrayLike<number>): number {
    const most = Math.min(this.past, ids.length - 1);
    const key = this.model.lengthKey?.(ids.length);
    let n = 0;
    while (n < most && this.sequence[n] === ids[n] && (key === undefined || this.lengthKeys[n] === key)) n++;
    return n;
  }

  private checkIds(ids: ArrayLike<number>, past = this.past): void {
    if (ids.length === 0) throw usage('E022', '/ids', 'the prompt is empty: at least one token is needed', 'give text, or --ids');
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? NaN;
      if (!Number.isSafeInteger(id) || id < 0 || id >= this.model.vocab) {
        throw usage('E023', `/ids/${i}`, `token id ${id} is not from 0 to ${this.model.vocab - 1}`, 'does the tokenizer belong to this model?');
      }
    }
    if (past + ids.length > this.capacity.context) {
      const before = past > 0 ? ` after ${past} tokens` : '';
      throw usage('E024', '/ids', `the prompt has ${ids.length} tokens${before}, the context holds ${this.capacity.context}`,
        'give a longer --context, if the model allows it');
    }
  }

  /**
   * Appends ids to the sequence, in as many steps as the plan's capacity needs, and gives the named outputs for all of them, row-major.
   * `logits` and `probabilities` have `logitRows` trailing rows (1 if absent), other outputs one row a token. Values with an axis over keys
   * ([T, h, S]) have all keys of the last step: with several steps, those that came after a row's own are 0. Values of the whole sequence
   * ([S, g, d]) have a row for each token of it. Whole numbers (the choice of experts) come as floats.
   * `ropeLength`: the whole length that length-dependent rotary scaling should see; that of the sequence so far and `ids` if absent.
   * `follow`: the most likely token will probably be fed next.
   */
  async feed(ids: ArrayLike<number>, options: FeedOptions = {}): Promise<FeedResult> {
    this.checkIds(ids);
    this.checkOutputs(options.outputs ?? []);
    if (this.disposed) throw usage('E025', '', 'the session is disposed');
    if (this.busy) throw usage('E025', '', 'the session is busy: await one call before the next');
    this.busy = true;
    try {
      return await this.steps(Int32Array.from(ids), options);
    } finally {
      this.busy = false;
    }
  }

  private checkOutputs(names: readonly string[]): void {
    const known = this.model.outputShapes;
    const unknown = known && names.find((name) => !known.has(name));
    if (known && unknown !== undefined) {
      const close = nearest(unknown, known.keys());
      throw usage('E030', '/outputs', `the session does not keep \`${unknown.slice(0, 200)}\``, close === undefined ? 'name it in its `taps`' : `did you mean \`${close}\`? What it should keep besides is named in its \`taps\``);
    }
  }

  private async steps(ids: Int32Array, options: FeedOptions): Promise<FeedResult> {
    const { outputs = [], logitRows = 1 } = options;
    const { maxTokens, maxLogitRows } = this.capacity;
    const length = options.ropeLength ?? this.past + ids.length;
    const firstLogit = ids.length - Math.min(logitRows, ids.length);
    const limit = Math.max(1, Math.min(options.chunk ?? maxTokens, maxTokens));
    if (this.model.bidirectional && ids.length > limit) {
      throw usage('E024', '/ids', `the text has ${ids.length} tokens, one step holds ${limit}`, 'this model reads a text in one step');
    }
    const parts = new Map<string, StepPart[]>(outputs.map((name) => [name, []]));
    let argmax = -1;
    for (let at = 0; at < ids.length;) {
      let count = Math.min(limit, ids.length - at);
      // Trailing tokens of this step whose logits are wanted; a step may give at most maxLogitRows of them.
      const wanted = Math.min(count, Math.max(0, at + count - firstLogit));
      if (wanted > maxLogitRows) count -= wanted - maxLogitRows;
      const rows = Math.min(wanted, maxLogitRows);
      const live = rows > 0 ? outputs : outputs.filter((name) => !this.hasHeadRows(name));
      const result = await this.executor.step(
        { ids: ids.subarray(at, at + count), past: this.past, logitRows: Math.max(1, rows), ropeLength: Math.max(length, this.past + count), ...(options.follow && at + count === ids.length ? { follow: true } : {}) }, live);
      const sizes = { T: count, P: this.past, S: this.past + count, R: Math.max(1, rows), L: Math.max(length, this.past + count) };
      for (const [name, data] of result.outputs) parts.get(name)?.push({ data, sizes });
      argmax = result.argmax;
      this.sequence.length = this.past;
      this.sequence.push(...ids.subarray(at, at + count));
      if (this.model.lengthKey) {
        const key = this.model.lengthKey(Math.max(length, this.past + count));
        for (let i = 0; i < count; i++) this.lengthKeys[this.past + i] = key;
      }
      this.lastStep = count;
      this.past += count;
      at += count;
    }
    const joined = [...parts].map(([name, list]) => [name, this.joined(name, list)] as const);
    return { argmax, outputs: new Map(joined.map(([name, { data }]) => [name, data])), shapes: new Map(joined.map(([name, { shape }]) => [name, shape])) };
  }

  /** Whether an output has a row for each of the trailing tokens that `logitRows` names. */
  private hasHeadRows(name: string): boolean {
    const shape = this.model.outputShapes?.get(name);
    return shape ? shape[0] === 'R' : headOutputs.has(name);
  }

  private joined(name: string, parts: readonly StepPart[]): Joined {
    const known = this.model.outputShapes?.get(name);
    const first = parts[0];
    const rows = this.hasHeadRows(name) ? 'R' : 'T';
    return joinSteps(known ?? (first ? [rows, first.data.length / first.sizes[rows]] : [rows]), parts);
  }

  /**
   * How long each kernel takes in a step of `ids` after what the state holds, which stays as it is: for a session opened with `profile`. At most the
   * tokens of one step.
   */
  async profile(ids: ArrayLike<number>): Promise<StepTimes> {
    this.checkIds(ids);
    if (this.disposed) throw usage('E025', '', 'the session is disposed');
    if (this.busy) throw usage('E025', '', 'the session is busy: await one call before the next');
    if (!this.executor.profile) throw usage('E025', '', 'the session was not opened for profiling');
    if (ids.length > this.capacity.maxTokens) throw usage('E024', '/ids', `${ids.length} tokens, one step holds ${this.capacity.maxTokens}`);
    this.busy = true;
    try {
      return await this.executor.profile({ ids: Int32Array.from(ids), past: this.past, logitRows: 1 });
    } finally {
      this.busy = false;
    }
  }

  /** Logits f32[ids.length * vocab] of a fresh sequence of `ids`, row-major. The state is that sequence afterwards. */
  async logits(ids: ArrayLike<number>): Promise<Float32Array> {
    this.rewind(0);
    const result = await this.feed(ids, { outputs: ['logits'], logitRows: ids.length });
    return result.outputs.get('logits') ?? new Float32Array(0);
  }

  /**
   * Makes the sequence `ids`: keeps what the state has of it, feeds the rest in chunks, and gives the outputs of the last chunk. `undefined`
   * where `signal` ended it between two chunks; what was fed stays.
   */
  async extendTo(ids: readonly number[], options: { outputs?: readonly string[]; signal?: AbortSignal; onProgress?: (done: number, total: number) => void } = {}): Promise<StepResult | undefined> {
    this.checkIds(ids, 0);
    const { outputs = [], signal, onProgress } = options;
    const from = this.commonPrefix(ids);
    this.rewind(from);
    onProgress?.(from, ids.length);
    const chunk = this.capacity.maxTokens;
    for (let at = from; ; at += chunk) {
      const end = Math.min(at + chunk, ids.length);
      const result = await this.feed(ids.slice(at, end), { outputs: end === ids.length ? outputs : [], ropeLength: ids.length });
      onProgress?.(end, ids.length);
      if (end === ids.length) return result;
      await takeTurn();
      if (signal?.aborted) return undefined;
    }
  }

  /**
   * Gives the tokens that follow `ids`, the whole text so far, one by one until `maxTokens`, a stop id, or a full context; returns why it ended.
   * What the state has of `ids` is not fed again: to go on with a conversation, give all of it. Breaking out of the loop stops it.
   */
  async *generate(ids: ArrayLike<number>, options: GenerateOptions = {}): AsyncGenerator<number, StopReason, undefined> {
    const tokens = this.tokens(ids, options);
    for (;;) {
      const { value, done } = await tokens.next();
      if (done) return value;
      yield value.id;
    }
  }

  /** As `generate`, with each token's log probabilities where `logprobs` asks for them. */
  tokens(ids: ArrayLike<number>, options: GenerateOptions = {}): AsyncGenerator<GeneratedToken, StopReason, undefined> {
    return generateTokens(this, Array.from(ids), options);
  }

  /** Fails for a model that generates no text. */
  checkGenerates(): void {
    if (this.model.outputs === 0 || this.model.bidirectional) {
      throw usage('E026', '', `model '${this.model.name}' does not generate text: it ${this.model.outputs === 0 ? 'has no output head' : 'is bidirectional'}`);
    }
  }

  /** The error for logits that are not numbers: names the first operator whose result is not, or else the first output of a layer. Repeats the last step. */
  async notNumbers(): Promise<PeelError> {
    const explained = await this.explain?.([...this.sequence]);
    if (explained) return new PeelError(ExitCode.weights, [explained]);
    const names = ['embeddings', ...Array.from({ length: this.model.layers }, (_, i) => `hidden.${i}`), 'final', 'logits'];
    let first = 'logits';
    try {
      const ids = this.sequence.slice(this.past - this.lastStep);
      this.rewind(this.past - this.lastStep);
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
