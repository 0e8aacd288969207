/** The stages in order: spec text -> Model -> Graph. Planning (build-plan.ts) follows for a device. */
import type { Diagnostic } from './diagnostics.ts';
import type { Graph } from './graph/types.ts';
import { loadSpec, type ReadFile } from './load.ts';
import { lowerModel } from './lower/lower-model.ts';
import type { Model } from './model.ts';
import type { ParamSources } from './resolve/params.ts';
import { resolveModel, type WeightFormat } from './resolve.ts';

export interface CompileInput {
  /** Path of the spec, as `readFile` understands it. */
  readonly spec: string;
  readonly readFile: ReadFile;
  /** Where `extends: name` is looked for, besides the spec's own folder. */
  readonly modelsFolder?: string;
  readonly sources?: ParamSources;
  /** Weights get recipes for this format. */
  readonly format?: WeightFormat;
}

export interface Compiled {
  readonly model?: Model;
  readonly graph?: Graph;
  /** Everything found; `graph` is absent where one is an error. */
  readonly diagnostics: readonly Diagnostic[];
  /** The spec and what it extends. */
  readonly files: readonly string[];
}

/** Reads, resolves and lowers a spec. Never throws for a mistake in it: all are in `diagnostics`. */
export function compileSpec(input: CompileInput): Compiled {
  const loaded = loadSpec(input.spec, input.readFile, input.modelsFolder);
  if (!loaded.spec || loaded.diagnostics.some((d) => d.severity === 'error')) return { diagnostics: loaded.diagnostics, files: loaded.spec?.files ?? [input.spec] };
  const resolved = resolveModel(loaded.spec, input.sources ?? {}, input.format);
  const diagnostics = [...loaded.diagnostics, ...resolved.diagnostics];
  if (!resolved.model) return { diagnostics, files: loaded.spec.files };
  const lowered = lowerModel(resolved.model);
  return {
    model: resolved.model, ...(lowered.graph ? { graph: lowered.graph } : {}), diagnostics: [...diagnostics, ...lowered.diagnostics], files: loaded.spec.files,
  };
}
