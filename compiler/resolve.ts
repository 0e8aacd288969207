/** A loaded spec and the values from outside -> a Model, or everything that is wrong. */
import type { Diagnostic } from './diagnostics.ts';
import type { LoadedSpec } from './load.ts';
import type { Model, ParamValue } from './model.ts';
import { Reporter } from './resolve/context.ts';
import { Cursor } from './resolve/cursor.ts';
import { activationDefinitions, blockDefinitions } from './resolve/definitions.ts';
import { resolveEmbeddings } from './resolve/embeddings.ts';
import { resolveLayer } from './resolve/layer.ts';
import { resolveDefaultNorm } from './resolve/norm.ts';
import { resolveOutput } from './resolve/output.ts';
import { resolveParams } from './resolve/params.ts';
import type { ParamSources } from './resolve/params.ts';
import { resolveTokenizer } from './resolve/tokenizer.ts';
import { validateSchema } from './validate.ts';
import { weightRecipes } from './weight-map.ts';

export type WeightFormat = 'huggingface' | 'gguf';
const MOST_LAYERS = 4096;

export interface ResolveResult {
  /** Absent where there are errors. */
  readonly model?: Model;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Validates the spec and gives every field its value: params from `sources`, expressions evaluated layer by layer, defaults filled in.
 * With `format`, weights get recipes for that file format. Reports all problems at once.
 */
export function resolveModel(spec: LoadedSpec, sources: ParamSources, format?: WeightFormat): ResolveResult {
  const reporter = new Reporter(validateSchema(spec.root));
  const params = resolveParams(reporter, spec.root, sources);
  const root = new Cursor(reporter, params.values, spec.root, '');
  const norm = resolveDefaultNorm(root.get('normalization'));
  const activations = activationDefinitions(root.get('activations'));
  const blocks = blockDefinitions(root.get('blocks'));
  const activationNames = new Set(Object.keys(activations));
  const { embeddings, dim } = resolveEmbeddings(root.get('embeddings'), norm);
  const layersField = root.get('layers');
  const count = layersField.present ? layersField.get('repeat').requiredDimension(0, MOST_LAYERS) : 0;
  if (!layersField.present) layersField.missing();
  const scopes = Array.from({ length: count }, (_, index) => params.inLayer(index));
  const definitions = new Map(root.get('blocks').entries());
  const layers = scopes.map((scope, index) => resolveLayer(layersField.at(scope).get('residual'), { index, dim, norm, activations: activationNames, blocks: definitions }));
  const output = resolveOutput(root.get('output'), embeddings, dim, norm, activationNames);
  const tokenizer = resolveTokenizer(root.get('tokenizer'), embeddings.token.rows);
  const map = format && weightRecipes(root.get('weights').get(format), params.values, scopes);
  if (format && !root.get('weights').get(format).present) {
    root.get('weights').report('E705', `the spec has no weight names for ${format === 'gguf' ? 'GGUF files' : 'Hugging Face folders'} (weights.${format})`);
  }
  const diagnostics = reporter.diagnostics();
  if (reporter.failed) return { diagnostics };
  const values: Record<string, ParamValue> = {};
  for (const [name, value] of params.values.entries()) values[name] = value ?? null;
  const context = values['context'];
  const model: Model = {
    name: spec.name, params: values, dim, embeddings, layers, output, blocks, activations, tokenizer,
    ...(typeof context === 'number' ? { context } : {}),
    ...(map ? { recipes: map.recipes } : {}),
    ignoredTensors: [...(map?.ignored ?? []), ...(map && output.linear?.tied ? map.namesOf('output.linear.weight') : [])],
  };
  return { model, diagnostics };
}
