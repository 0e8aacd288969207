/** A model from files to running: opened (spec, config, headers), planned, loaded on a device. */
import { compileSpec, type Compiled, type CompileInput } from '../compiler/compile.ts';
import { ExitCode, PeelError, type Diagnostic } from '../compiler/diagnostics.ts';
import type { WeightFormat } from '../compiler/formats.ts';
import { chooseQuantisation, storedAs, type Quantisation, type QuantisationChoice } from '../compiler/quantise-choice.ts';
import type { Graph, Shape, WeightSlot } from '../compiler/graph/types.ts';
import type { Model, ParamValue } from '../compiler/model.ts';
import { buildPlan, defaultOutputs, type PlanOptions } from '../compiler/build-plan.ts';
import { locateDiagnostics } from '../compiler/locate.ts';
import { tapGraph } from '../compiler/taps.ts';
import type { MapNode } from '../compiler/source.ts';
import type { Capacity, ExecutionPlan, Target } from '../compiler/plan.ts';
import type { Executor, StepInput, WeightProvider } from './backend.ts';
import { openDevice, type DeviceOptions } from './device.ts';
import { fitOf, fitReference, refuse, type Fit } from './fit/fit.ts';
import type { Otherwise } from './fit/otherwise.ts';
import { thisMachine, type MachineMemory } from './fit/machine.ts';
import { asMemoryError } from './fit/out-of-memory.ts';
import { locate, modelsFolder, readSpecFile, shown, type Located } from './locate.ts';
import { configProblems, weightProblems, withoutConfig } from './problems.ts';
import { referenceBackend } from './reference/executor.ts';
import { firstNotFinite } from './reference/first-not-finite.ts';
import { ConstraintEngine, grammarOf, type Constraint, type ConstraintSource } from './constrain/engine.ts';
import { conversationIds, type ConversationMessage } from './generation/conversation.ts';
import { generateText, type GeneratedText, type TextOptions } from './generation/text.ts';
import { lengthKey } from './generation/length-key.ts';
import { Session, type SessionModel } from './session.ts';
import { endIds, loadTokenizer } from './tokenizer/load.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';
import { readJsonObject } from './weights/json.ts';
import { openWeights } from './weights/folder.ts';
import { RecipeProvider } from './weights/provider.ts';
import { QuantisingProvider } from './weights/quantising.ts';
import { RandomProvider } from './weights/random.ts';
import type { TensorSource } from './weights/safetensors.ts';

export interface ModelOptions {
  /** A Hugging Face folder, a GGUF file, the path of a spec, or the name of a spec in models/ or of a model in models/nano. */
  readonly path: string;
  /** Weights for a spec: a folder, a .safetensors or a .gguf file. */
  readonly weights?: string;
  /** A spec for a folder, instead of the one that its model_type picks. */
  readonly spec?: string;
  /** Values for the spec's params, before those of config.json. */
  readonly set?: Readonly<Record<string, ParamValue>>;
  /** Seed of random weights, for a spec without any. */
  readonly random?: number;
  /** A config.json that gives a spec's params their values, in place of one beside the weights. */
  readonly config?: string;
  /** Where specs are looked up by name; the package's own if absent. */
  readonly models?: string;
  /** Leave weights alone but for their headers: the model can be planned, not run. */
  readonly headersOnly?: boolean;
  /** Quantise the matrices of products and the token table while they are loaded; those that are quantised already stay as they are. */
  readonly quantize?: Quantisation;
  /** With `quantize`: slots to leave alone, as patterns in which `*` stands for anything (`output.*`). */
  readonly keep?: readonly string[];
}

export interface SessionOptions extends DeviceOptions {
  /** Most tokens that a sequence may have: the model's own context, at most 4096, if absent. */
  readonly context?: number;
  /** Most tokens of one prefill step: 128 if absent. */
  readonly maxTokens?: number;
  /** Most trailing rows whose logits one step gives; 1 if absent. */
  readonly logitRows?: number;
  /** Outputs that steps can bring back: `all`, or those whose names the list holds. The model's result (logits) alone if absent. */
  readonly outputs?: 'all' | readonly string[];
  /**
   * Values inside the model that steps can bring back besides, by name: `layers.3.attention.probs`, `layers.*.ffn.{up,gate}`. The spec's own `taps` if
   * absent. What they cost: a value that is kept is stored, and what would have been one kernel with it may be two.
   */
  readonly taps?: readonly string[];
  /** Another graph of this model, such as one that names more values (compiler/lens.ts). */
  readonly graph?: Graph;
  /** Load the model though it takes more memory than is free. What its device could never hold is refused all the same. */
  readonly force?: boolean;
  /** The memory that is free, in place of what this machine says. */
  readonly machine?: MachineMemory;
  /** Passes to leave out. */
  readonly plan?: Pick<PlanOptions, 'fuse' | 'passes' | 'onGraphPass' | 'onPass'>;
}

/** Fails with all errors if there is one. */
function throwErrors(diagnostics: readonly Diagnostic[], exitCode: ExitCode): void {
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.length > 0) throw new PeelError(exitCode, errors);
}

/** Shapes of the graph's outputs: of all, or of those that are kept. */
function outputShapes(graph: Graph, kept?: readonly string[]): ReadonlyMap<string, Shape> {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node.shape]));
  return new Map(graph.outputs.filter(({ name }) => !kept || kept.includes(name)).map(({ name, node }) => [name, nodes.get(node) ?? []]));
}

function isBidirectional(model: Model): boolean {
  return model.layers.some((layer) => layer.steps.some((step) => step.branches.some(({ body }) => (body.kind === 'attention' || body.kind === 'mla') && body.mask === 'bidirectional')));
}

/** Most tokens that the model can hold at all, and the context it says it was made for. */
function contextOf(model: Model): { hard: number; trained: number | undefined } {
  const position = model.embeddings.position;
  return { hard: position?.kind === 'learned' ? position.rows : Infinity, trained: model.context };
}

/** What headers tell of the weights, of models that cannot be run as well. */
interface WeightHeaders {
  /** The form in which a slot comes without quantising. */
  readonly stored: (slot: string) => WeightFormat;
  readonly keep: readonly string[];
  readonly weights: WeightProvider | undefined;
  readonly unquantised: WeightProvider | undefined;
}

/** What `--quantize` takes, nearest to the exact weights first. */
const bestFirst: readonly Quantisation[] = ['q8_0', 'q4_K', 'q4_0'];

/** What this process has of memory. */
const residentBytes = (): number => (typeof process === 'undefined' ? 0 : process.memoryUsage().rss);

export class LoadedModel {
  private readonly sessions = new Set<Session>();
  private tokenizerPromise: Promise<Tokenizer> | undefined;
  private main: Promise<Session> | undefined;
  private engine: ConstraintEngine | undefined;

  constructor(
    readonly located: Located, private readonly root: MapNode, readonly model: Model, readonly graph: Graph, readonly warnings: readonly Diagnostic[],
    private readonly weights: WeightProvider | undefined, private readonly source: TensorSource | undefined, private readonly defaults: SessionOptions,
    private readonly formats: (slot: string) => WeightFormat,
    /** What `quantize` does to which weights. */
    readonly quantisation: QuantisationChoice | undefined,
    private readonly provide: ((model: Model, slots: readonly WeightSlot[]) => WeightProvider | undefined) | undefined,
    private readonly headers: WeightHeaders,
    /** The model that the spec gives with other values of params, for the same weights; `undefined` where it gives none. */
    readonly withParams: (set: Readonly<Record<string, ParamValue>>) => Model | undefined,
  ) {}

  /** Slots of this model, changed, from the same weights as they come; `undefined` where these do not have them all. */
  weightsFor(model: Model, slots: readonly WeightSlot[]): WeightProvider | undefined {
    return this.provide?.(model, slots);
  }

  /** A place in the spec, by its JSON pointer. */
  placeOf(path: string): Diagnostic['location'] {
    return locateDiagnostics(this.root, [{ code: '', severity: 'error', path, message: '' }])[0]?.location;
  }

  get name(): string { return this.model.name; }
  /** Whether every token sees every other: a sequence is one step. */
  get bidirectional(): boolean { return isBidirectional(this.model); }

  /** The tokenizer, read at the first call. */
  tokenizer(): Promise<Tokenizer> {
    const { located } = this;
    this.tokenizerPromise ??= loadTokenizer(this.model.tokenizer, { specFile: located.spec, folder: located.folder, metadata: located.metadata, eos: endIds(located.generation, located.config) });
    return this.tokenizerPromise;
  }

  /** Sizes for a session. Throws PeelError (exit code 2) for a context that the model cannot have. */
  capacity(options: SessionOptions = {}): Capacity {
    const { hard, trained } = contextOf(this.model);
    const context = options.context ?? Math.min(trained ?? 2048, hard, 4096);
    const wrong = (path: string, message: string): never => { throw new PeelError(ExitCode.usage, [{ code: 'E027', severity: 'error', path, message }]); };
    if (!Number.isSafeInteger(context) || context < 1 || context > 1 << 24) wrong('/context', `must be a whole number from 1 to ${1 << 24}, found ${context}`);
    if (context > hard) wrong('/context', `${context} tokens were asked for, the model has ${hard} positions`);
    const maxTokens = Math.min(context, isBidirectional(this.model) ? context : options.maxTokens ?? 128);
    return { context, maxTokens, maxLogitRows: Math.max(1, Math.min(options.logitRows ?? 1, maxTokens)) };
  }

  /** The plan for a target. */
  plan(target: Target, options: SessionOptions = {}): ExecutionPlan {
    const { graph, kept } = this.tapped(options);
    return buildPlan(graph, target, this.capacity(options), { ...options.plan, formats: this.formats, outputs: kept });
  }

  /** The graph with what `taps` names among its outputs, and the outputs to keep. Throws PeelError (exit code 2) for a pattern that fits nothing. */
  private tapped({ outputs, taps = this.model.taps, graph: given = this.graph }: SessionOptions): { readonly graph: Graph; readonly taps: readonly string[]; readonly kept: readonly string[] } {
    const { graph, names, diagnostics } = tapGraph(given, taps, () => '/taps');
    throwErrors(diagnostics, ExitCode.usage);
    const results = outputs === undefined ? defaultOutputs(given) : given.outputs.map((o) => o.name).filter((name) => outputs === 'all' || outputs.includes(name));
    return { graph, taps: names, kept: [...new Set([...results, ...names])] };
  }

  /** Every value inside the model that has a name, in the order of computation, with its shape: T tokens of a step, S of the sequence, R rows of logits. */
  get values(): readonly { readonly name: string; readonly dtype: 'f32' | 'i32'; readonly shape: Shape }[] {
    const nodes = new Map(this.graph.nodes.map((node) => [node.id, node]));
    return this.graph.values.flatMap(({ name, node }) => {
      const found = nodes.get(node);
      return found ? [{ name, dtype: found.dtype, shape: found.shape }] : [];
    });
  }

  /**
   * What a plan of this model takes of memory, whether that is free, and what would fit if not; of the reference interpreter where there is no plan.
   * Nothing of the weights is read but their headers. `resident`: what the process has at present; `later`: what it will have besides, such as a tokenizer.
   */
  async fit(plan: ExecutionPlan | undefined, options: SessionOptions = {}, process: { readonly resident: number; readonly later?: number } = { resident: residentBytes() }): Promise<Fit> {
    const { weights } = this.headers;
    const { resident, later = 0 } = process;
    const machine = options.machine ?? await thisMachine();
    const need = { weights, machine, resident, process: resident + later, quantised: () => this.quantised() };
    return plan ? fitOf(plan, need) : fitReference(this.tapped(options).graph, this.capacity(options), need);
  }

  /** The weights with each `--quantize` that changes something. */
  private quantised(): Map<Quantisation, Otherwise> {
    const { stored, keep, unquantised } = this.headers;
    return new Map(bestFirst.flatMap((wanted) => {
      const { forms } = chooseQuantisation(this.graph, wanted, keep, stored);
      if (forms.size === 0 || wanted === this.quantisation?.wanted) return [];
      const formats = (slot: string): WeightFormat => { const form = forms.get(slot); return form === undefined ? stored(slot) : storedAs(form); };
      return [[wanted, { formats, weights: unquantised && new QuantisingProvider(unquantised, this.graph.weights, forms) }]];
    }));
  }

  private sessionModel(tapped?: { readonly graph: Graph; readonly taps: readonly string[]; readonly kept?: readonly string[] }): SessionModel {
    const { model } = this;
    const key = lengthKey(model);
    return {
      name: model.name, vocab: model.embeddings.token.rows, outputs: this.graph.outputs.some((o) => o.name === 'logits') ? model.output.linear?.rows ?? 0 : 0,
      layers: model.layers.length, bidirectional: isBidirectional(model), ...(model.context === undefined ? {} : { trainedContext: model.context }),
      ...(key === undefined ? {} : { lengthKey: key }),
      ...(tapped ? { taps: tapped.taps, outputShapes: outputShapes(tapped.graph, tapped.kept) } : {}),
    };
  }

  /** Loads the model on a device. Each session holds one sequence; dispose it, or the model, to free it. */
  async session(options: SessionOptions = {}): Promise<Session> {
    const all = { ...this.defaults, ...options };
    if (!this.weights) {
      throw new PeelError(ExitCode.usage, [{ code: 'E011', severity: 'error', path: '', message: `the spec ${shown(this.located.spec)} comes without weights`, hint: 'give --weights PATH, or --random SEED to try it untrained' }]);
    }
    const capacity = this.capacity(all);
    const tapped = this.tapped(all);
    const { backend, reason } = await openDevice(all);
    let executor: Executor;
    let plan: ExecutionPlan | undefined;
    try {
      plan = backend && this.plan(backend.target, all);
      refuse(await this.fit(plan, all), all.force === true);
      executor = backend && plan ? await backend.load(plan, this.weights, reason) : await referenceBackend.load(tapped.graph, this.weights, reason);
    } catch (error) {
      await backend?.dispose();
      throw await asMemoryError(error, `while ${this.name} was being loaded`);
    }
    const { profile } = executor;
    const session: Session = new Session({
      report: executor.report, step: (input, outputs) => executor.step(input, outputs),
      ...(all.profile && profile ? { profile: (input: StepInput) => profile.call(executor, input) } : {}),
      dispose: async () => {
        this.sessions.delete(session);
        await executor.dispose();
        await backend?.dispose();
      },
    }, this.sessionModel(backend ? tapped : { graph: tapped.graph, taps: tapped.taps }), capacity, (ids) => this.explainNotFinite(ids), plan);
    this.sessions.add(session);
    return session;
  }

  /** Which operator gives the first value that is not a number, where in the spec, and by which weight. */
  private async explainNotFinite(ids: readonly number[]): Promise<Diagnostic | undefined> {
    const found = this.weights && await firstNotFinite(this.graph, this.weights, ids);
    if (!found) return undefined;
    const { node: { id, operator, origin }, value, weight } = found;
    const layer = origin.layer === undefined ? '' : ` in layer ${origin.layer}`;
    const holds = weight ? `; its weight \`${weight.slot}\` holds NaN or infinity, first at element ${weight.element}` : '';
    const diagnostic: Diagnostic = {
      code: 'E736', severity: 'error', path: origin.path ?? '',
      message: `the logits are not numbers: \`${operator.op}\` of ${origin.label}${layer} (%${id}) is the first operator to give ${Number.isNaN(value) ? 'NaN' : value}${holds}`,
      hint: weight ? 'peel check --values looks through all weights' : 'do the weights belong to this model?',
    };
    return locateDiagnostics(this.root, [diagnostic])[0];
  }

  /** The session of `write` and `reply`, made at the first call with the options that the model was loaded with. */
  private mainSession(): Promise<Session> {
    // Text is all that comes of it.
    this.main ??= this.session({ taps: [] });
    return this.main;
  }

  /** Continues a text, piece by piece; returns the whole of it, its tokens, and why it ended. */
  async *write(prompt: string, options: TextOptions = {}): AsyncGenerator<string, GeneratedText, undefined> {
    const tokenizer = await this.tokenizer();
    return yield* generateText(await this.mainSession(), tokenizer, tokenizer.encode(prompt), options);
  }

  /**
   * The next message of a conversation in the model's chat template, piece by piece. Give all messages each time, replies with their `ids`: what
   * the session holds of them is not computed again. Throws PeelError (exit code 12) for a model without a template.
   */
  async *reply(messages: readonly ConversationMessage[], options: TextOptions = {}): AsyncGenerator<string, GeneratedText, undefined> {
    const tokenizer = await this.tokenizer();
    const session = await this.mainSession();
    return yield* generateText(session, tokenizer, conversationIds(tokenizer, messages), { ...options, fresh: true });
  }

  /**
   * What `generate`, `write` and `reply` take as `constraint`: only texts that match are written. For one text at a time, any number after each
   * other. Throws PeelError (exit code 2) for a source that is wrong, not supported, too large or too slow.
   */
  async constraint(source: ConstraintSource): Promise<Constraint> {
    // What is wrong with it is said before anything is started.
    const grammar = grammarOf(source);
    const tokenizer = await this.tokenizer();
    this.engine ??= new ConstraintEngine(tokenizer, this.sessionModel().outputs);
    return this.engine.constraint(source, grammar);
  }

  /** Frees the sessions; the model can open others. */
  async closeSessions(): Promise<void> {
    await this.main?.catch(() => undefined);
    this.main = undefined;
    for (const session of [...this.sessions]) await session.dispose();
  }

  /** Frees the sessions and closes the weights. */
  async dispose(): Promise<void> {
    await this.closeSessions();
    await this.source?.dispose();
  }
}

/** What compiling needs, from what was located and the options. */
export function compileInput(located: Located, options: ModelOptions): CompileInput {
  return {
    spec: shown(located.spec), readFile: readSpecFile, modelsFolder: shown(options.models ?? modelsFolder()),
    sources: {
      ...(located.config ? { config: located.config } : {}), ...located.metadata?.sources(), ...(options.set ? { set: options.set } : {}),
    },
    ...(located.weights === undefined ? {} : { format: located.metadata ? 'gguf' as const : 'huggingface' as const }),
  };
}

/**
 * Opens a model: finds its spec, resolves it with config.json, lowers it, and checks that the weights' headers hold every tensor.
 * Nothing large is read yet. Throws PeelError: 10 for the spec, 11 for the weights, 14 for files, with everything found at once.
 */
export async function loadModel(options: ModelOptions & SessionOptions): Promise<LoadedModel> {
  const located = await locateModel(options);
  return loadCompiled(located, compileSpec(compileInput(located, options)), options);
}

/** The files that the options name. */
export async function locateModel(options: ModelOptions): Promise<Located> {
  const located = await locate(options.path, options);
  return options.config === undefined ? located : { ...located, configFile: options.config, config: await readJsonObject(options.config) };
}

/** Opens a model whose spec is compiled already. */
export async function loadCompiled(located: Located, compiled: Compiled, options: ModelOptions & SessionOptions): Promise<LoadedModel> {
  const diagnostics = [...compiled.diagnostics, ...await configProblems(compiled, located)];
  throwErrors(withoutConfig(located, diagnostics), ExitCode.spec);
  const { spec, model, graph } = compiled;
  if (!spec || !model || !graph) throw new PeelError(ExitCode.spec, compiled.diagnostics);
  const loaded = (weights: WeightProvider | undefined, source: TensorSource | undefined): LoadedModel => {
    const stored = (slot: string): WeightFormat => weights?.formatOf?.(slot) ?? 'f32';
    const choice = options.quantize === undefined ? undefined : chooseQuantisation(graph, options.quantize, options.keep ?? [], stored);
    const formats = (slot: string): WeightFormat => {
      const form = choice?.forms.get(slot);
      return form === undefined ? stored(slot) : storedAs(form);
    };
    const given = weights && choice ? new QuantisingProvider(weights, graph.weights, choice.forms) : weights;
    const withParams = (set: Readonly<Record<string, ParamValue>>): Model | undefined => {
      const other = compileSpec(compileInput(located, { ...options, set: { ...options.set, ...set } }));
      return other.diagnostics.some((d) => d.severity === 'error') ? undefined : other.model;
    };
    const provide = (other: Model, slots: readonly WeightSlot[]): WeightProvider | undefined => {
      if (!source) return options.random === undefined ? undefined : new RandomProvider(slots, options.random);
      const recipes = new RecipeProvider(source, slots, (slot) => other.recipes?.(slot), located.weights ?? '');
      return recipes.check().length === 0 ? recipes : undefined;
    };
    return new LoadedModel(located, spec.root, model, graph, diagnostics, options.headersOnly ? undefined : given, source, options, formats, choice, provide,
      { stored, keep: options.keep ?? [], weights: given, unquantised: weights }, withParams);
  };
  if (located.weights === undefined) return loaded(options.random === undefined ? undefined : new RandomProvider(graph.weights, options.random), undefined);
  const provider = (source: TensorSource): WeightProvider => new RecipeProvider(source, graph.weights, (slot) => model.recipes?.(slot), located.weights ?? '');
  if (options.headersOnly) {
    // How weights are stored decides their kernels; where there are none to look at, a plan counts them as f32.
    const source = await openWeights(located.weights).catch((error: unknown) => { if (error instanceof PeelError) return undefined; throw error; });
    return loaded(source && provider(source), source);
  }
  const source = await openWeights(located.weights);
  try {
    // A tensor that nothing uses does not keep a model from running: `check` reports it as an error, here it is a warning.
    const problems = weightProblems(compiled, source).map((d): Diagnostic => (d.code === 'E704' ? { ...d, severity: 'warning' } : d));
    diagnostics.push(...problems);
    throwErrors(problems, ExitCode.weights);
    await source.prepare?.();
  } catch (error) {
    await source.dispose();
    throw error;
  }
  return loaded(provider(source), source);
}
