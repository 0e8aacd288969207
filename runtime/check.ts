/** The preflight: a spec, its config and the headers of its weights, without reading any weight. */
import { compileSpec } from '../compiler/compile.ts';
import { ExitCode, PeelError, type Diagnostic } from '../compiler/diagnostics.ts';
import { compileInput, type ModelOptions } from './model.ts';
import { configProblems, weightProblems } from './problems.ts';
import { checkSpec } from '../compiler/resolve.ts';
import { locate } from './locate.ts';
import { openWeights } from './weights/folder.ts';
import { weightProblem } from './weights/problem.ts';
import { RecipeProvider } from './weights/provider.ts';
import type { TensorSource } from './weights/safetensors.ts';

export interface CheckResult {
  readonly diagnostics: readonly Diagnostic[];
  /** 0, or 10 for errors in the spec or config, 11 for weights that do not fit. */
  readonly exitCode: ExitCode;
  /** What the model is; absent where the spec has errors. */
  readonly summary?: {
    readonly name: string; readonly layers: number; readonly dim: number; readonly parameters: number; readonly tensors?: number;
    /** How many of the tensors are of which type, the most frequent first. */
    readonly types?: Readonly<Record<string, number>>;
  };
}

/** Everything found, at once; with `values`, all weights are read and looked through for NaN and infinity. Throws PeelError only where a file cannot be read at all. */
export async function checkModel(options: ModelOptions & { readonly values?: boolean }): Promise<CheckResult> {
  const located = await locate(options.path, options);
  const compiled = compileSpec(compileInput(located, options));
  const { model, graph } = compiled;
  // A family's spec has no values of its own: without a config, what can be known without them is checked.
  const alone = located.config === undefined && located.metadata === undefined && compiled.spec && compiled.diagnostics.some((d) => d.code === 'E501') ? compiled.spec : undefined;
  const diagnostics = alone ? [...checkSpec(alone)] : [...compiled.diagnostics, ...await configProblems(compiled, located)];
  const wrong = diagnostics.some((d) => d.severity === 'error');
  let exitCode: ExitCode = wrong ? ExitCode.spec : ExitCode.done;
  let tensors: number | undefined;
  let types: Record<string, number> = {};
  if (located.weights !== undefined) {
    let source: TensorSource | undefined;
    try {
      source = await openWeights(located.weights);
      tensors = source.tensors.size;
      types = countTypes(source);
      if (model && graph) {
        const found = [...weightProblems(compiled, source)];
        if (options.values && found.every((d) => d.severity !== 'error')) {
          const provider = new RecipeProvider(source, graph.weights, (slot) => model.recipes?.(slot), located.weights);
          for (const { slot, path } of graph.weights) {
            const at = (await provider.read(slot)).findIndex((x) => !Number.isFinite(x));
            if (at >= 0) found.push(weightProblem('E736', located.weights, `slot '${slot}' holds NaN or infinity, first at element ${at}`, { path: path ?? '' }));
          }
        }
        diagnostics.push(...found);
        if (exitCode === ExitCode.done && found.some((d) => d.severity === 'error')) exitCode = ExitCode.weights;
      }
    } catch (error) {
      if (!(error instanceof PeelError)) throw error;
      diagnostics.push(...error.diagnostics);
      if (exitCode === ExitCode.done) exitCode = error.exitCode;
    } finally {
      await source?.dispose();
    }
  }
  if (!model || !graph) return { diagnostics, exitCode };
  const parameters = graph.weights.reduce((sum, slot) => sum + slot.shape.reduce((a, b) => a * b, 1), 0);
  const fits = exitCode === ExitCode.done && tensors !== undefined;
  return { diagnostics, exitCode, summary: { name: model.name, layers: model.layers.length, dim: model.dim, parameters, ...(fits ? { tensors: tensors ?? 0, types } : {}) } };
}

function countTypes({ tensors }: TensorSource): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { dtype } of tensors.values()) counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}
