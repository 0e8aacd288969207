/** A family's spec and one model -> a spec of that model alone, as text. What is written is compiled again and compared. */
import type { Graph } from './graph/types.ts';
import { loadSpec, type LoadedSpec } from './load.ts';
import { lowerModel } from './lower/lower-model.ts';
import type { Model } from './model.ts';
import { resolveModel, type WeightFormat } from './resolve.ts';
import { Reporter } from './resolve/context.ts';
import { resolveParams, type ParamSources } from './resolve/params.ts';
import type { MapEntry, MapNode, ScalarValue } from './source.ts';
import { withConstants } from './write/constants.ts';
import { foldSpec } from './write/fold-spec.ts';
import { foldWeights } from './write/fold-weights.ts';
import { printSpec } from './write/print-spec.ts';
import { withoutUnused } from './write/unused.ts';

export interface WriteInput {
  readonly spec: LoadedSpec;
  readonly sources: ParamSources;
  readonly format: WeightFormat;
  /** The model, where the spec and its sources give one. */
  readonly compiled?: { readonly model: Model; readonly graph: Graph };
  /** Names of the file's tensors. */
  readonly tensors: readonly string[];
  readonly name: string;
  readonly description: string;
  /** Comment lines before the spec. */
  readonly head: readonly string[];
}

export interface Written {
  readonly text: string;
  /** How far it was reduced; `constants`: only params were filled in, as for a model that does not compile. */
  readonly form: 'reduced' | 'folded' | 'constants';
}

/**
 * The spec of one model: stands by itself, params are constants, and what the model does not use is left out as far as the result
 * still is the same model: the same graph, from the same tensors.
 */
export function writeSpec(input: WriteInput): Written {
  const { spec, sources, format, compiled } = input;
  const resolved = resolveParams(new Reporter(), spec.root, sources);
  const notes = new Map([...resolved.origins].map(([name, key]) => [name, key]));
  const layers = compiled?.model.layers.map(({ index }) => resolved.inLayer(index)) ?? [];
  const root = described(withConstants(spec.root, resolved, layers), input);
  const print = (tree: MapNode): string => printSpec(tree, { head: input.head, paramNotes: notes });
  if (!compiled) return { text: print(root), form: 'constants' };
  const known = { shared: resolved.values, layers };
  const fitted = { format, model: compiled.model, slots: compiled.graph.weights, tensors: input.tensors };
  for (const form of ['reduced', 'folded', 'constants'] as const) {
    const drop = form === 'reduced';
    const folded = form === 'constants' ? root : withoutUnused(foldWeights(foldSpec(root, known, drop), fitted, drop));
    const text = print(folded);
    if (form === 'constants' || sameModel(text, input, compiled)) return { text, form };
  }
  return { text: print(root), form: 'constants' };
}

/** The tree as a spec of its own: it extends nothing, is found by no model type, and reads nothing of config.json or metadata. */
function described(root: MapNode, input: WriteInput): MapNode {
  const place = root.place;
  const text = (value: ScalarValue): MapEntry => ({ key: place, value: { kind: 'scalar', value, place } });
  const everything: MapEntry = { key: place, value: { kind: 'map', place, entries: new Map([['ignore', { key: place, value: { kind: 'list', items: [text('*').value], place } }]]) } };
  const dropped = new Set(['peel', 'name', 'description', 'model_types', 'gguf_architectures', 'extends', 'tests', 'config', 'metadata']);
  const inherited = [...root.entries].filter(([key]) => !dropped.has(key));
  const params = inherited.filter(([key]) => key === 'params');
  return { ...root, entries: new Map([
    ['peel', text(1)], ['name', text(input.name)], ['description', text(input.description)],
    ...params, [input.format === 'gguf' ? 'metadata' : 'config', everything], ...inherited.filter(([key]) => key !== 'params'),
  ]) };
}

/** Whether a written spec gives the graph of the model it was written for, with every weight cut from the same tensor in the same way. */
function sameModel(text: string, { format, tensors }: WriteInput, { model, graph }: { readonly model: Model; readonly graph: Graph }): boolean {
  const files = new Set(tensors);
  const loaded = loadSpec('written.yaml', (file) => (file === 'written.yaml' ? text : undefined));
  if (!loaded.spec || loaded.diagnostics.length > 0) return false;
  const again = resolveModel(loaded.spec, {}, format);
  if (!again.model || again.diagnostics.length > 0) return false;
  const lowered = lowerModel(again.model);
  if (!lowered.graph) return false;
  const recipes = (of: Model): unknown => graph.weights.map(({ slot }) => {
    const recipe = of.recipes?.(slot);
    return recipe && { ...recipe, names: [recipe.names.find((name) => files.has(name.replaceAll('{e}', '0')))] };
  });
  const rest = ({ context, tokenizer, embeddings, output }: Model): unknown => ({ context, tokenizer, embeddings, output });
  return same({ ...graph, name: '' }, { ...lowered.graph, name: '' }) && same(recipes(model), recipes(again.model)) && same(rest(model), rest(again.model));
}

/** Equal but for where in a spec things stand, and how it spells their sizes. */
function same(a: unknown, b: unknown): boolean {
  const bare = (value: unknown): string => JSON.stringify(value, (key, inner: unknown) => (key === 'path' || key === 'origin' || key === 'derivation' ? undefined : ArrayBuffer.isView(inner) ? [...new Uint8Array(inner.buffer, inner.byteOffset, inner.byteLength)] : inner));
  return bare(a) === bare(b);
}
