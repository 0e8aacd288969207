/** What is wrong between a spec and the files that it is to run with. */
import { checkConfig } from '../compiler/config-check.ts';
import type { Compiled } from '../compiler/compile.ts';
import type { Diagnostic } from '../compiler/diagnostics.ts';
import { checkMetadata } from '../compiler/metadata-check.ts';
import { preflight } from '../compiler/preflight.ts';
import { shown, type Located } from './locate.ts';
import { readText } from './weights/files.ts';
import type { TensorSource } from './weights/safetensors.ts';

/** Where params lack values because there is no config.json, says where they would come from. */
export function withoutConfig(located: Located, diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  if (located.config !== undefined || located.metadata !== undefined || !diagnostics.some((d) => d.code === 'E501')) return diagnostics;
  const file = shown(located.spec);
  return [...diagnostics, {
    code: 'E501', severity: 'error', path: '/params', message: `no config.json gives ${file} its values`, location: { file, line: 1, column: 1 },
    hint: 'give --weights FOLDER with a config.json, or --set each param',
  }];
}

/** What does not fit between a compiled spec and the tensors of its weights. */
export function weightProblems({ spec, model, graph }: Compiled, source: TensorSource): readonly Diagnostic[] {
  return spec && model && graph ? preflight(model, graph.weights, [...source.tensors.values()], spec.root) : [];
}

/** What the config or the metadata says that the spec does not describe. */
export async function configProblems({ spec }: Compiled, { config, configFile, metadata }: Located): Promise<readonly Diagnostic[]> {
  if (spec && metadata) return checkMetadata(spec, { name: shown(metadata.file), values: metadata.sources().gguf, columnOf: (key) => metadata.columnOf(key) });
  if (!spec || !config || configFile === undefined) return [];
  return checkConfig(spec, { name: shown(configFile), value: config, text: await readText(configFile) });
}
