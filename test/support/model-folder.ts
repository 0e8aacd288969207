/** Opens Hugging Face folders for tests: the spec in models/ that their model_type picks, lowered, with their weights. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { compileSpec } from '../../compiler/compile.ts';
import { loadSpec, readHeader } from '../../compiler/load.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { locate } from '../../runtime/locate.ts';
import { compileInput } from '../../runtime/model.ts';
import { configProblems, weightProblems } from '../../runtime/problems.ts';
import { openModelFolder, openWeights } from '../../runtime/weights/folder.ts';
import { RecipeProvider } from '../../runtime/weights/provider.ts';
import type { Diagnostic } from '../../compiler/diagnostics.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import type { Model, ParamValue, WeightRecipe } from '../../compiler/model.ts';
import type { WeightProvider } from '../../runtime/backend.ts';
import type { ReadFile } from '../../compiler/load.ts';

export const modelsFolder = fileURLToPath(new URL('../../models', import.meta.url));
export const goldenFolder = fileURLToPath(new URL('../golden', import.meta.url));
/** Checkpoints of families that test/golden has not. */
export const furtherFolder = fileURLToPath(new URL('../golden-more', import.meta.url));
/** Checkpoints with config.json switches that those leave alone. */
export const variantsFolder = fileURLToPath(new URL('../variants', import.meta.url));

/** The folders of checkpoints in a folder, by name. */
export function checkpointNames(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);
}

export const readDisk: ReadFile = (file) => (existsSync(file) ? readFileSync(file) : undefined);

export interface OpenedModel {
  readonly model: Model;
  readonly graph: Graph;
  readonly weights: WeightProvider;
  /** Warnings of resolution: config.json keys that nothing reads. */
  readonly warnings: readonly Diagnostic[];
  dispose(): Promise<void>;
}

function throwErrors(diagnostics: readonly Diagnostic[]): void {
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((d) => formatDiagnostic(d, true)).join('\n'));
}

/** The spec in models/ for a model_type. */
export function specFor(modelType: string): string {
  // Most often the file is called like the type: looking there first spares reading them all.
  const likely = `${modelType}.yaml`;
  const names = readdirSync(modelsFolder).filter((n) => n.endsWith('.yaml') && !n.endsWith('.test.yaml')).sort((a, b) => Number(b === likely) - Number(a === likely));
  for (const name of names) {
    const file = path.join(modelsFolder, name);
    const { spec } = loadSpec(file, readDisk, modelsFolder);
    if (spec && readHeader(spec.root).modelTypes.includes(modelType)) return file;
  }
  throw new Error(`no spec for ${modelType}`);
}

/** Opens a folder with its own spec, or with `specFile`. */
export async function openModel(folder: string, specFile?: string): Promise<OpenedModel> {
  const { config } = await openModelFolder(folder);
  const loaded = loadSpec(specFile ?? specFor(String(config['model_type'])), readDisk, modelsFolder);
  throwErrors(loaded.diagnostics);
  if (!loaded.spec) throw new Error('the spec did not load');
  const resolved = resolveModel(loaded.spec, { config }, 'huggingface');
  throwErrors(resolved.diagnostics);
  if (!resolved.model?.recipes) throw new Error('the spec did not resolve');
  const lowered = lowerModel(resolved.model);
  throwErrors(lowered.diagnostics);
  if (!lowered.graph) throw new Error('the model did not lower');
  const source = await openWeights(folder);
  return {
    model: resolved.model,
    graph: lowered.graph,
    weights: new RecipeProvider(source, lowered.graph.weights, resolved.model.recipes, folder),
    warnings: resolved.diagnostics,
    dispose: () => source.dispose(),
  };
}

/** Opens a GGUF file with the spec in models/ that its architecture picks; `set` gives params that its metadata have no keys for. */
export async function openGguf(file: string, set: Readonly<Record<string, ParamValue>> = {}): Promise<OpenedModel> {
  const options = { path: file, set, models: modelsFolder };
  const located = await locate(file, options);
  const compiled = compileSpec(compileInput(located, options));
  const warnings = [...compiled.diagnostics, ...await configProblems(compiled, located)];
  throwErrors(warnings);
  const { model, graph } = compiled;
  if (!model || !graph) throw new Error(`${file} did not compile`);
  const source = await openWeights(file);
  const recipes = (slot: string): WeightRecipe | undefined => model.recipes?.(slot);
  const problems = weightProblems(compiled, source);
  if (problems.length > 0) await source.dispose();
  throwErrors(problems);
  await source.prepare?.();
  return { model, graph, weights: new RecipeProvider(source, graph.weights, recipes, file), warnings, dispose: () => source.dispose() };
}
