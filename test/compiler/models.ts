/** Reads the specs in models/ and the configurations of the golden checkpoints, for tests. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { loadSpec } from '../../compiler/load.ts';
import type { LoadedSpec, LoadResult } from '../../compiler/load.ts';
import type { Model } from '../../compiler/model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import type { ParamSources } from '../../compiler/resolve/params.ts';

export const modelsFolder = fileURLToPath(new URL('../../models', import.meta.url));
export const readFile = (path: string): Uint8Array | undefined => (existsSync(path) ? readFileSync(path) : undefined);

export function loadShipped(name: string): LoadedSpec {
  const { spec, diagnostics } = loadSpec(`${modelsFolder}/${name}.yaml`, readFile, modelsFolder);
  if (!spec || diagnostics.length > 0) throw new Error(diagnostics.map((d) => formatDiagnostic(d, true)).join('\n'));
  return spec;
}

/** A spec given as text, with other files beside it. */
export function loadText(text: string, others: Readonly<Record<string, string>> = {}): LoadResult {
  return loadSpec('test.yaml', (path) => (path === 'test.yaml' ? text : others[path]));
}

export function resolved(spec: LoadedSpec, sources: ParamSources): Model {
  const { model, diagnostics } = resolveModel(spec, sources, 'huggingface');
  if (!model) throw new Error(diagnostics.map((d) => formatDiagnostic(d, true)).join('\n'));
  return model;
}
