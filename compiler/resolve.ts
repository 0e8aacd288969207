/** A loaded spec and the values from outside -> a Model, or everything that is wrong. */
import { capDiagnostics } from './diagnostics.ts';
import type { Diagnostic } from './diagnostics.ts';
import { checkExpressions } from './expression-check.ts';
import type { LoadedSpec } from './load.ts';
import type { Model, ParamValue } from './model.ts';
import { Reporter } from './resolve/context.ts';
import type { Values } from './resolve/context.ts';
import { Cursor } from './resolve/cursor.ts';
import { activationDefinitions, blockDefinitions } from './resolve/definitions.ts';
import { resolveEmbeddings } from './resolve/embeddings.ts';
import { resolveLayer } from './resolve/layer.ts';
import { resolveDefaultNorm } from './resolve/norm.ts';
import { resolveOutput } from './resolve/output.ts';
import { resolveParams } from './resolve/params.ts';
import type { ParamSources, ResolvedParams } from './resolve/params.ts';
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
  return resolve(spec, sources, format, false);
}

/**
 * Everything wrong with a spec that can be known without a model's config: schema, expressions, names, and the rules between
 * fields whose values are known.
 */
export function checkSpec(spec: LoadedSpec): readonly Diagnostic[] {
  return resolve(spec, {}, undefined, true).diagnostics;
}

function resolve(spec: LoadedSpec, sources: ParamSources, format: WeightFormat | undefined, partial: boolean): ResolveResult {
  const reporter = new Reporter(validateSchema(spec.root));
  checkExpressions(reporter, spec.root);
  const params = resolveParams(reporter, spec.root, sources, partial);
  const root = new Cursor(reporter, params.values, spec.root, '');
  const norm = resolveDefaultNorm(root.get('normalization'));
  const activations = activationDefinitions(root.get('activations'));
  const blocks = blockDefinitions(root.get('blocks'));
  const activationNames = new Set(Object.keys(activations));
  const { embeddings, dim } = resolveEmbeddings(root.get('embeddings'), norm);
  const scopes = layerScopes(root.get('layers'), params, partial);
  const definitions = new Map(root.get('blocks').entries());
  const layers = scopes.map((scope, index) => resolveLayer(root.get('layers').at(scope).get('residual'), {
    index, dim, norm, activations: activationNames, blocks: definitions, params: record(params.layered.map((name) => [name, scope.get(name)])),
  }));
  const output = resolveOutput(root.get('output'), embeddings, dim, norm, activationNames);
  const tokenizer = resolveTokenizer(root.get('tokenizer'), embeddings.token.rows);
  const mapField = format && root.get('weights').get(format);
  if (mapField && !mapField.present) mapField.report('E705', `the spec has no weight names for ${format === 'gguf' ? 'GGUF files' : 'Hugging Face folders'}`);
  const map = mapField && weightRecipes(mapField, params.values, scopes);
  const diagnostics = capDiagnostics(reporter.diagnostics());
  if (reporter.failed || partial) return { diagnostics };
  const values = record(params.values.entries());
  const context = values['context'];
  const model: Model = {
    name: spec.name, params: values, dim, embeddings, layers, output, blocks, activations, tokenizer,
    taps: root.get('taps').items().flatMap((item) => item.text() ?? []),
    ...(typeof context === 'number' ? { context } : {}),
    ...(map ? { recipes: map.recipes } : {}),
    ignoredTensors: [...(map?.ignored ?? []), ...(map && output.linear?.tied ? map.namesOf('output.linear.weight') : [])],
  };
  return { model, diagnostics };
}

/** The values of names in each layer. Where the number of layers is unknown: one layer without a number. */
function layerScopes(field: Cursor, params: ResolvedParams, partial: boolean): Values[] {
  if (!field.present) field.missing();
  const count = field.present ? field.get('repeat').requiredDimension(0, MOST_LAYERS) : 0;
  if (partial) return [params.inLayer(undefined)];
  return Array.from({ length: count > 0 ? count : 0 }, (_, index) => params.inLayer(index));
}

function record(entries: Iterable<readonly [string, ParamValue | undefined]>): Record<string, ParamValue> {
  const values: Record<string, ParamValue> = {};
  for (const [name, value] of entries) values[name] = value ?? null;
  return values;
}
