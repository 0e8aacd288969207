/** The stages in order: spec text -> Model -> Graph -> ExecutionPlan. Each is a pure function whose result can be looked at. */
import { buildPlan, type PlanOptions } from './build-plan.ts';
import { ExitCode, PeelError, type Diagnostic } from './diagnostics.ts';
import { printGraph } from './graph/print.ts';
import { verifyGraph } from './graph/verify.ts';
import { printSchedule } from './kernels/print.ts';
import { printPlan } from './print-plan.ts';
import type { Capacity, ExecutionPlan, Target } from './plan.ts';
import type { Schedule } from './kernels/types.ts';
import type { Graph } from './graph/types.ts';
import { loadSpec, type LoadedSpec, type ReadFile } from './load.ts';
import { locateDiagnostics } from './locate.ts';
import type { ParseSpec } from './parse-once.ts';
import { lowerModel } from './lower/lower-model.ts';
import type { Model } from './model.ts';
import type { ParamSources } from './resolve/params.ts';
import { resolveModel, type WeightFormat } from './resolve.ts';
import { tapGraph } from './taps.ts';

export interface CompileInput {
  /** Path of the spec, as `readFile` understands it. */
  readonly spec: string;
  readonly readFile: ReadFile;
  /** Where `extends: name` is looked for, besides the spec's own folder. */
  readonly modelsFolder?: string;
  /** How texts are parsed; a parser with memory where the same specs are compiled again and again. */
  readonly parse?: ParseSpec;
  readonly sources?: ParamSources;
  /** Weights get recipes for this format. */
  readonly format?: WeightFormat;
}

export interface Compiled {
  /** The spec with what it extends merged in. */
  readonly spec?: LoadedSpec;
  readonly model?: Model;
  readonly graph?: Graph;
  /** Everything found; `graph` is absent where one is an error. */
  readonly diagnostics: readonly Diagnostic[];
  /** The spec and what it extends. */
  readonly files: readonly string[];
}

/** Reads, resolves and lowers a spec. Never throws for a mistake in it: all are in `diagnostics`. */
export function compileSpec(input: CompileInput): Compiled {
  const loaded = loadSpec(input.spec, input.readFile, input.modelsFolder, input.parse);
  if (!loaded.spec || loaded.diagnostics.some((d) => d.severity === 'error')) return { diagnostics: loaded.diagnostics, files: loaded.spec?.files ?? [input.spec] };
  const resolved = resolveModel(loaded.spec, input.sources ?? {}, input.format);
  const diagnostics = [...loaded.diagnostics, ...resolved.diagnostics];
  const { spec } = loaded;
  if (!resolved.model) return { spec, diagnostics, files: spec.files };
  const lowered = lowerModel(resolved.model);
  const taps = lowered.graph ? tapGraph(lowered.graph, resolved.model.taps, (n) => `/taps/${n}`).diagnostics : [];
  return {
    spec, model: resolved.model, ...(lowered.graph && taps.length === 0 ? { graph: lowered.graph } : {}), files: spec.files,
    diagnostics: [...diagnostics, ...locateDiagnostics(spec.root, [...lowered.diagnostics, ...taps])],
  };
}

export interface PlanInput extends CompileInput {
  readonly target: Target;
  readonly capacity: Capacity;
  readonly plan?: PlanOptions;
  /** Called with each stage's result as text: model, graph, schedule, every pass over graph and kernels by name, plan. */
  readonly dump?: (stage: string, text: () => string) => void;
}

/** From a spec to a plan. Throws PeelError with everything that is wrong with the spec. */
export function compilePlan(input: PlanInput): ExecutionPlan {
  const { model, graph, diagnostics } = compileSpec(input);
  if (!graph) throw new PeelError(ExitCode.spec, diagnostics);
  input.dump?.('model', () => JSON.stringify(model, undefined, 2));
  input.dump?.('graph', () => printGraph(verifyGraph(graph, 'lower')));
  // Looking at a pass verifies its result, which takes time: only where somebody looks.
  const onPass = input.dump ? {
    onGraphPass: (name: string, after: Graph): void => input.dump?.(name, () => printGraph(after)),
    onPass: (name: string, schedule: Schedule): void => input.dump?.(name, () => printSchedule(schedule)),
  } : {};
  const plan = buildPlan(graph, input.target, input.capacity, { ...onPass, ...input.plan });
  input.dump?.('plan', () => printPlan(plan));
  return plan;
}
