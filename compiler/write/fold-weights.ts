/** A weight map reduced to what one file has: entries that the model uses, the names found there, with their prefix. */
import { expandBraces } from '../braces.ts';
import { matchesGlob } from '../glob.ts';
import type { WeightSlot } from '../graph/types.ts';
import { textList } from '../load.ts';
import type { Model } from '../model.ts';
import type { WeightFormat } from '../resolve.ts';
import type { MapEntry, MapNode, ScalarNode, SourceNode } from '../source.ts';

/** What a weight map is reduced to: the slots of a model, and the names of a file's tensors. */
export interface Fitted {
  readonly format: WeightFormat;
  readonly model: Model;
  readonly slots: readonly WeightSlot[];
  readonly tensors: readonly string[];
}

/** The spec with the map of this format alone; with `narrow`, only with what the file has of it. */
export function foldWeights(root: MapNode, fitted: Fitted, narrow: boolean): MapNode {
  const weights = root.entries.get('weights');
  const map = weights?.value.kind === 'map' ? weights.value.entries.get(fitted.format) : undefined;
  if (!weights || weights.value.kind !== 'map' || map?.value.kind !== 'map') return root;
  const value: MapNode = { ...weights.value, entries: new Map([[fitted.format, { key: map.key, value: narrow ? narrowed(map.value, fitted) : map.value }]]) };
  return { ...root, entries: new Map([...root.entries, ['weights', { key: weights.key, value }]]) };
}

/** Where the names of one entry were found: which prefix, and which of its candidate names; undefined where they are not all alike. */
interface Found { readonly prefix: number | undefined; readonly candidate: number | undefined }

function narrowed(map: MapNode, { model, slots, tensors }: Fitted): MapNode {
  const files = new Set(tensors);
  const entries = map.entries.get('tensors')?.value;
  if (entries?.kind !== 'map') return map;
  const prefixes = map.entries.has('prefixes') ? textList(map.entries.get('prefixes')?.value) : [''];
  const places = new Map<string, Found[]>();
  const owner = new Map([...entries.entries.keys()].flatMap((key) => expandBraces(key).map(({ text }) => [text, key] as const)));
  // A head that is tied may be in the file all the same, where its entry accounts for it.
  const names = [...slots.map(({ slot }) => slot), ...(model.output.linear?.tied ? ['output.linear.weight'] : [])];
  for (const slot of names) {
    const general = slot.replace(/^layers\.\d+\./, 'layers.');
    const key = owner.get(general) ?? owner.get(general.slice(0, general.lastIndexOf('.')));
    const recipe = model.recipes?.(slot);
    if (key === undefined || !recipe) continue;
    const at = recipe.names.findIndex((name) => files.has(name.replaceAll('{e}', '0')));
    if (at < 0 && recipe.fill === undefined && !slots.some((known) => known.slot === slot)) continue;
    places.set(key, [...(places.get(key) ?? []), at < 0 ? { prefix: undefined, candidate: undefined } : { prefix: at % prefixes.length, candidate: Math.floor(at / prefixes.length) }]);
  }
  const used = [...entries.entries].filter(([key]) => places.has(key));
  const alike = new Map(used.map(([key]) => [key, common(places.get(key) ?? [])]));
  const fixed = [...alike.values()].every(({ prefix }) => prefix !== undefined);
  const kept = new Map<string, MapEntry>(used.map(([key, entry]) => {
    const found = alike.get(key);
    return [key, { key: entry.key, value: rename(entry.value, fixed ? prefixes[found?.prefix ?? 0] ?? '' : '', found?.candidate) }];
  }));
  const ignore = map.entries.get('ignore');
  const ignored = ignore?.value.kind === 'list' ? ignore.value.items.filter((item) => matchesSome(item, tensors)) : [];
  const result = new Map<string, MapEntry>();
  for (const [key, entry] of map.entries) {
    if (key === 'tensors') result.set(key, { key: entry.key, value: { ...entries, entries: kept } });
    else if (key === 'ignore') { if (ignored.length > 0) result.set(key, { key: entry.key, value: { kind: 'list', items: ignored, place: entry.value.place } }); }
    else if (key !== 'prefixes' || !fixed) result.set(key, entry);
  }
  return { ...map, entries: result };
}

/** What all have in common. A weight that the file lacks takes no part. */
function common(places: readonly Found[]): Found {
  const one = (values: readonly (number | undefined)[]): number | undefined => {
    const known = new Set(values.filter((value) => value !== undefined));
    return known.size === 1 ? [...known][0] : known.size === 0 ? 0 : undefined;
  };
  return { prefix: one(places.map((place) => place.prefix)), candidate: places.some((place) => place.candidate === undefined) ? undefined : one(places.map((place) => place.candidate)) };
}

/** An entry with a prefix before its names; of several candidate names the one that was found. */
function rename(node: SourceNode, prefix: string, candidate: number | undefined): SourceNode {
  const text = (item: SourceNode): SourceNode => (item.kind === 'scalar' && typeof item.value === 'string' && prefix !== '' ? { kind: 'scalar', value: prefix + item.value, place: item.place } satisfies ScalarNode : item);
  if (node.kind === 'scalar') return text(node);
  if (node.kind === 'list') {
    if (node.items.some((item) => item.kind !== 'scalar')) return { ...node, items: node.items.map((item) => rename(item, prefix, undefined)) };
    const only = candidate === undefined ? undefined : node.items[candidate];
    return only ? text(only) : { ...node, items: node.items.map(text) };
  }
  const name = node.entries.get('name');
  return name ? { ...node, entries: new Map([...node.entries, ['name', { key: name.key, value: rename(name.value, prefix, candidate) }]]) } : node;
}

/** Whether a pattern matches a tensor; an expression in it may be anything. */
function matchesSome(item: SourceNode, tensors: readonly string[]): boolean {
  const pattern = item.kind === 'scalar' ? String(item.value).replace(/\{[^{}]*\}/g, '*') : '';
  return tensors.some((name) => matchesGlob(pattern, name));
}
