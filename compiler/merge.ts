/** `extends`: a spec laid over another. Every node keeps the place it was written at. */
import type { ListNode, MapEntry, MapNode, SourceNode } from './source.ts';

/** Keys that describe one spec and are not handed down. */
const OWN_KEYS = new Set(['name', 'description', 'model_types', 'gguf_architectures', 'extends', 'tests']);
/** Bodies of a residual step, of which it has one: naming another replaces it. */
export const BODY_KEYS = ['attention', 'mla', 'ffn', 'moe', 'block', 'parallel', 'variants'] as const;
/** Keys whose null is a value: the param is null where no source has it. */
const DEFAULT_KEYS = new Set(['default', 'if_null', 'gguf_default']);
/** Maps with one key that says which kind they are: another kind replaces the whole. */
const ONE_OF_KEYS = new Set(['position']);

export function mergeSpecs(base: MapNode, over: MapNode): MapNode {
  const inherited = new Map([...base.entries].filter(([key]) => !OWN_KEYS.has(key)));
  return mergeMaps({ ...base, entries: inherited }, over);
}

function mergeMaps(base: MapNode, over: MapNode): MapNode {
  const entries = new Map<string, MapEntry>(base.entries);
  for (const [key, entry] of over.entries) {
    const below = entries.get(key);
    if (isNull(entry.value) && below && !DEFAULT_KEYS.has(key)) entries.delete(key);
    else if (below) entries.set(key, { key: entry.key, value: mergeNodes(below.value, entry.value, key) });
    else entries.set(key, entry);
  }
  return { kind: 'map', entries, place: over.place };
}

function mergeNodes(base: SourceNode, over: SourceNode, key: string): SourceNode {
  if (base.kind === 'map' && over.kind === 'map') {
    if (ONE_OF_KEYS.has(key) && ![...over.entries.keys()].some((name) => base.entries.has(name))) return over;
    return mergeMaps(base, over);
  }
  if (base.kind !== 'list' || over.kind !== 'list') return over;
  if (key === 'ignore') return { ...over, items: [...base.items, ...over.items] };
  return key === 'residual' ? mergeSteps(base, over) : over;
}

/** A list that names only steps of the base changes those in place. A list with a new step is the whole list. */
function mergeSteps(base: ListNode, over: ListNode): ListNode {
  const below = new Map(base.items.map((item) => [stepId(item), item]));
  const changes = new Map(over.items.map((item) => [stepId(item), item]));
  const onlyChanges = over.items.length > 0 && [...changes.keys()].every((id) => id !== undefined && below.has(id));
  const merged = (id: string | undefined, item: SourceNode): SourceNode => {
    const step = id === undefined ? undefined : below.get(id);
    return step?.kind === 'map' && item.kind === 'map' ? mergeStep(step, item) : item;
  };
  if (!onlyChanges) return { ...over, items: over.items.map((item) => merged(stepId(item), item)) };
  return { ...over, items: base.items.map((item) => {
    const change = changes.get(stepId(item));
    return change ? merged(stepId(change), change) : item;
  }) };
}

function mergeStep(base: MapNode, over: MapNode): MapNode {
  const body = BODY_KEYS.find((key) => over.entries.has(key) && !isNull(over.entries.get(key)?.value));
  if (body === undefined || base.entries.has(body)) return mergeMaps(base, over);
  // The new body replaces any other, whether or not that one is deleted too.
  const isBody = (key: string): boolean => BODY_KEYS.some((other) => other === key);
  const kept = new Map([...base.entries].filter(([key]) => !isBody(key)));
  const given = new Map([...over.entries].filter(([key, { value }]) => !(isBody(key) && isNull(value))));
  return mergeMaps({ ...base, entries: kept }, { ...over, entries: given });
}

/** Maps in which null is a value of its own. */
const NULL_MATTERS = [/^\/params$/, /^\/(config|metadata)\/expect$/, /^\/blocks\/[^/]+\/params$/, /\/block\/with$/];

/** A spec without the nulls that had nothing to delete: they mean absent. */
export function withoutNulls(node: MapNode, path = ''): MapNode {
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of node.entries) {
    if (isNull(entry.value)) continue;
    const below = `${path}/${key}`;
    entries.set(key, NULL_MATTERS.some((pattern) => pattern.test(below)) ? entry : { key: entry.key, value: prune(entry.value, below) });
  }
  return { ...node, entries };
}

function prune(node: SourceNode, path: string): SourceNode {
  if (node.kind === 'map') return withoutNulls(node, path);
  return node.kind === 'list' ? { ...node, items: node.items.map((item) => prune(item, path)) } : node;
}

function isNull(node: SourceNode | undefined): boolean {
  return node?.kind === 'scalar' && node.value === null;
}

/** The id of a residual step: its own, or the kind of its body. */
export function stepId(step: SourceNode): string | undefined {
  if (step.kind !== 'map') return undefined;
  const id = step.entries.get('id')?.value;
  if (id?.kind === 'scalar' && typeof id.value === 'string') return id.value;
  return BODY_KEYS.find((key) => step.entries.has(key));
}
