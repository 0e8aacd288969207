/** Params with the values that a model gives them, as constants. */
import { expressionNames, parseExpression } from '../expression/index.ts';
import type { ParamValue } from '../model.ts';
import type { Values } from '../resolve/context.ts';
import { TENSORS, type ResolvedParams } from '../resolve/params.ts';
import type { MapEntry, MapNode, Place, SourceNode } from '../source.ts';

/**
 * The spec with its params as constants: those that a config, metadata or the command line gives, and those whose default counts.
 * Params that are expressions of others, or of the layer, stay expressions. A param without a value stays as it is; one whose value is a
 * map, which a spec cannot write, is left out.
 */
export function withConstants(root: MapNode, resolved: ResolvedParams, layers: readonly Values[] = []): MapNode {
  const params = root.entries.get('params');
  if (params?.value.kind !== 'map') return root;
  const entries = new Map<string, MapEntry>();
  for (const [name, entry] of params.value.entries) {
    const node = constantParam(name, entry.value, resolved, layers);
    if (node) entries.set(name, { key: entry.key, value: node });
  }
  const value: MapNode = { ...params.value, entries };
  return { ...root, entries: new Map([...root.entries, ['params', { key: params.key, value }]]) };
}

function constantParam(name: string, node: SourceNode, resolved: ResolvedParams, layers: readonly Values[]): SourceNode | undefined {
  const fallback = resolved.fallbacks.get(name);
  const layered = resolved.layered.includes(name);
  const fromFile = fallback ? readsTensors(fallback) : resolved.origins.has(name);
  if (layered && fromFile) return byLayer(layers.map((scope) => scope.get(name) ?? null), node.place);
  if (!resolved.origins.has(name) && fallback && (node.kind !== 'map' || layered)) return fallback;
  const value = resolved.values.get(name);
  return value === undefined ? node : constant(value, node.place);
}

/** Whether it looks into a file, which a spec cannot without one. */
function readsTensors(node: SourceNode): boolean {
  const parsed = node.kind === 'scalar' && typeof node.value === 'string' ? parseExpression(node.value) : undefined;
  return parsed?.ok === true && expressionNames(parsed.expression).has(TENSORS);
}

/** A value for each layer, as an expression of `i`. */
function byLayer(values: readonly ParamValue[], place: Place): SourceNode | undefined {
  const items = values.map((value) => (typeof value === 'object' && value !== null ? undefined : constant(value, place)));
  if (items.length === 0 || items.some((item) => item?.kind !== 'scalar')) return undefined;
  return { kind: 'scalar', value: `[${items.map((item) => (item?.kind === 'scalar' ? String(item.value) : '')).join(', ')}][i]`, place };
}

/** A value as it stands among params, where texts are expressions. Undefined for maps and for texts with both kinds of quotes. */
export function constant(value: ParamValue, place: Place): SourceNode | undefined {
  if (typeof value === 'string') {
    const quote = value.includes("'") ? '"' : "'";
    return value.includes(quote) ? undefined : { kind: 'scalar', value: `${quote}${value}${quote}`, place };
  }
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return { kind: 'scalar', value, place };
  if (!Array.isArray(value)) return undefined;
  const items = value.map((item: ParamValue) => constant(item, place));
  return items.every((item) => item !== undefined) ? { kind: 'list', items, place } : undefined;
}
