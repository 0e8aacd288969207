/** Values of params: from the command line, config.json, GGUF metadata, or the default, which may use other params. */
import { expressionNames, isList, typeName } from '../expression/index.ts';
import type { ParamValue } from '../model.ts';
import { nearest } from '../nearest.ts';
import { pointer } from '../source.ts';
import type { MapEntry, MapNode, SourceNode } from '../source.ts';
import { textList } from '../load.ts';
import { nodeValue, Values } from './context.ts';
import type { Reporter } from './context.ts';

/** Where values come from, besides the spec. `set` holds what the command line gives, as text or as values. */
export interface ParamSources {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly gguf?: Readonly<Record<string, unknown>>;
  /** Shapes of a GGUF file's tensors by name, outermost axis first. */
  readonly tensors?: Readonly<Record<string, readonly number[]>>;
  readonly set?: Readonly<Record<string, ParamValue>>;
}

const MOST_PARAMS = 2000;
/** The name that shapes of tensors have in `gguf_default`. */
export const TENSORS = 'tensors';

interface Param {
  readonly name: string;
  readonly path: string;
  readonly entry: MapEntry;
  /** What gives the value where no source does. */
  readonly fallback?: SourceNode;
  readonly fallbackPath: string;
  /** What a source has for each layer, of a param that may differ between them. */
  readonly items?: readonly ParamValue[];
}

export interface ResolvedParams {
  /** Params that are the same in all layers. */
  readonly values: Values;
  /** The values in one layer: those, the params that depend on `i`, and `i`. */
  readonly inLayer: (index: number | undefined) => Values;
  /** Names of the params that depend on `i`. */
  readonly layered: readonly string[];
  /** For params that a source outside the spec gives a value: the key there. */
  readonly origins: ReadonlyMap<string, string>;
  /** For the others: what in the spec gives it, if anything. */
  readonly fallbacks: ReadonlyMap<string, SourceNode>;
}

/** With `partial`, params without a value are left unknown rather than reported, and `inLayer(undefined)` is a layer without a number. */
export function resolveParams(reporter: Reporter, root: MapNode, sources: ParamSources, partial = false): ResolvedParams {
  const node = root.entries.get('params')?.value;
  const params = new Map<string, Param>();
  if (node?.kind === 'map') {
    for (const [name, entry] of node.entries) {
      if (params.size < MOST_PARAMS) params.set(name, readParam(name, entry, sources));
    }
    if (node.entries.size > MOST_PARAMS) reporter.report(node.place, 'E204', '/params', `there are ${node.entries.size} params, at most ${MOST_PARAMS} are read`);
  }
  for (const name of Object.keys(sources.set ?? {})) {
    if (params.has(name)) continue;
    const close = nearest(name, params.keys());
    reporter.report(node?.place ?? root.place, 'E503', pointer('/params', name), `the spec has no param \`${name}\` to set`, close === undefined ? undefined : `did you mean \`${close}\`?`);
  }
  const within = textList(nodeUnder(root, 'config', 'within'));
  /** What sources give; undefined where that is of a wrong type, which has been reported. */
  const given = new Map<string, ParamValue | undefined>();
  const origins = new Map<string, string>();
  for (const param of params.values()) {
    const found = sourceValue(reporter, param, sources, within);
    if (found === 'null') useNullValue(params, param);
    else if (found) {
      const items = isPerLayer(param) && isList(found.value) ? found.value : [];
      if (items.some((item) => item !== items[0])) params.set(param.name, { ...param, items });
      else given.set(param.name, items[0] ?? found.value);
      origins.set(param.name, found.key);
    }
  }
  const order = inOrder(reporter, params, given);
  // A param without a value yet is undefined: what depends on it fails silently, because its own failure is reported.
  const values = new Map<string, ParamValue | undefined>([...params.keys()].map((name) => [name, undefined]));
  const layered: Param[] = [];
  const layeredNames = new Set(['i']);
  for (const param of order) {
    if (param.items || (!given.has(param.name) && [...namesOf(reporter, param)].some((name) => layeredNames.has(name)))) {
      layered.push(param);
      layeredNames.add(param.name);
      values.delete(param.name);
      continue;
    }
    const value = given.has(param.name) ? given.get(param.name) : evaluateParam(reporter, param, new Values(values), sources, partial);
    if (value !== undefined) checkAllowed(reporter, param, value);
    values.set(param.name, value);
  }
  const shared = new Values(values);
  const inLayer = (index: number | undefined): Values => {
    const local = new Map<string, ParamValue | undefined>([['i', index]]);
    for (const param of layered) {
      const value = evaluateParam(reporter, param, shared.with(local), sources, partial);
      if (value !== undefined) checkAllowed(reporter, param, value);
      local.set(param.name, value);
    }
    return shared.with(local);
  };
  const fallbacks = new Map([...params.values()].flatMap(({ name, fallback, items }) => (given.has(name) || items || !fallback ? [] : [[name, fallback] as const])));
  return { values: shared, inLayer, layered: layered.map((param) => param.name), origins, fallbacks };
}

function readParam(name: string, entry: MapEntry, sources: ParamSources): Param {
  const path = pointer('/params', name);
  const { value } = entry;
  if (value.kind !== 'map') return { name, path, entry, fallback: value, fallbackPath: path };
  const inGguf = sources.gguf ? value.entries.get('gguf_default')?.value : undefined;
  if (inGguf) return { name, path, entry, fallback: inGguf, fallbackPath: pointer(path, 'gguf_default') };
  const fallback = value.entries.get('default')?.value;
  return { name, path, entry, ...(fallback ? { fallback } : {}), fallbackPath: pointer(path, 'default') };
}

function field(param: Param, key: string): SourceNode | undefined {
  return param.entry.value.kind === 'map' ? param.entry.value.entries.get(key)?.value : undefined;
}

/** An explicit null in a file is `if_null`, where the spec gives one; an absent key is the default. */
function useNullValue(params: Map<string, Param>, param: Param): void {
  const fallback = field(param, 'if_null');
  if (fallback) params.set(param.name, { ...param, fallback, fallbackPath: pointer(param.path, 'if_null') });
}

interface Given {
  readonly value: ParamValue | undefined;
  /** Where the source has it. */
  readonly key: string;
}

/** The value that a source outside the spec has for a param; `null` where the only key that is there holds null. */
function sourceValue(reporter: Reporter, param: Param, sources: ParamSources, within: readonly string[]): Given | 'null' | undefined {
  const set = sources.set;
  if (set && Object.hasOwn(set, param.name)) {
    const value = set[param.name];
    return typed(reporter, param, typeof value === 'string' ? commandLineValue(value, param) : value ?? null, 'the command line', `--set ${param.name}`);
  }
  if (sources.config) {
    const nested = within.map((key) => sources.config?.[key]).find(isRecord);
    let isNull = false;
    for (const key of textList(field(param, 'config'))) {
      const value = (nested ? lookUp(nested, key) : undefined) ?? lookUp(sources.config, key);
      if (value !== undefined) return typed(reporter, param, value, `config.json's ${key}`, key);
      isNull ||= holdsNull(nested ?? {}, key) || holdsNull(sources.config, key);
    }
    if (isNull) return 'null';
  }
  if (sources.gguf) {
    for (const key of metadataKeys(param, sources.gguf)) {
      const given = sources.gguf[key];
      const value = toParamValue(given);
      if (value !== undefined && value !== null) return typed(reporter, param, value, `the metadata ${key}`, key);
      if (given !== undefined) {
        reporter.report(param.entry.key, 'E504', param.path, `the metadata ${key} is ${String(given).slice(0, 40)}, which is no number to compute with`);
        return { value: undefined, key };
      }
    }
  }
  return undefined;
}

/** The keys of a GGUF file that a param is looked up by, in order. */
function metadataKeys(param: Param, gguf: Readonly<Record<string, unknown>>): string[] {
  const architecture = String(gguf['general.architecture'] ?? '');
  return textList(field(param, 'gguf')).map((template) => template.replaceAll('{arch}', architecture));
}

/** A value from the command line: number, true, false, null or a JSON list where it looks like one, otherwise text. */
function commandLineValue(text: string, param: Param): ParamValue {
  const type = field(param, 'type');
  if (type?.kind === 'scalar' && type.value === 'text') return text;
  try {
    const value = toParamValue(JSON.parse(text));
    return value === undefined ? text : value;
  } catch {
    return text;
  }
}

/** Follows a dotted key into nested maps. A `*` step gathers, under the same names, what each nested map has. Null counts as absent. */
export function lookUp(config: Readonly<Record<string, unknown>>, key: string): ParamValue | undefined {
  if (Object.hasOwn(config, key)) {
    const direct = toParamValue(config[key]);
    if (direct !== undefined && direct !== null) return direct;
  }
  const dot = key.indexOf('.');
  if (dot < 0) return undefined;
  const [head, rest] = [key.slice(0, dot), key.slice(dot + 1)];
  if (head === '*') {
    const gathered: Record<string, ParamValue> = {};
    for (const [name, nested] of Object.entries(config)) {
      const value = isRecord(nested) ? lookUp(nested, rest) : undefined;
      if (value !== undefined && name !== '__proto__') gathered[name] = value;
    }
    return Object.keys(gathered).length > 0 ? gathered : undefined;
  }
  const nested = Object.hasOwn(config, head) ? config[head] : undefined;
  return isRecord(nested) ? lookUp(nested, rest) : undefined;
}

/** Whether a dotted key is there and null. */
function holdsNull(config: Readonly<Record<string, unknown>>, key: string): boolean {
  if (Object.hasOwn(config, key)) return config[key] === null;
  const dot = key.indexOf('.');
  const nested = dot > 0 && Object.hasOwn(config, key.slice(0, dot)) ? config[key.slice(0, dot)] : undefined;
  return isRecord(nested) && holdsNull(nested, key.slice(dot + 1));
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toParamValue(value: unknown, depth = 0): ParamValue | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : undefined;
  if (depth > 8) return undefined;
  if (Array.isArray(value)) return value.map((item) => toParamValue(item, depth + 1) ?? null);
  if (!isRecord(value)) return undefined;
  const result: Record<string, ParamValue> = {};
  for (const [key, item] of Object.entries(value)) if (key !== '__proto__') result[key] = toParamValue(item, depth + 1) ?? null;
  return result;
}

function typed(reporter: Reporter, param: Param, value: ParamValue, from: string, key: string): Given {
  const type = field(param, 'type');
  const wanted = type?.kind === 'scalar' ? type.value : undefined;
  if (value === null || typeof wanted !== 'string' || hasType(value, wanted)) return { value, key };
  reporter.report(param.entry.key, 'E504', param.path, `${from} should be ${wanted === 'integer' ? 'a whole number' : `a ${wanted}`}, but is ${typeName(value)}`);
  return { value: undefined, key };
}

function hasType(value: ParamValue, type: string): boolean {
  switch (type) {
    case 'number': return typeof value === 'number';
    case 'integer': return Number.isInteger(value);
    case 'boolean': return typeof value === 'boolean';
    case 'text': return typeof value === 'string';
    case 'list': return Array.isArray(value);
    case 'map': return isRecord(value);
    default: return true;
  }
}

function checkAllowed(reporter: Reporter, param: Param, value: ParamValue): void {
  const allowed = field(param, 'one_of');
  if (allowed?.kind !== 'list' || value === null) return;
  const values = allowed.items.flatMap((item) => (item.kind === 'scalar' ? [item.value] : []));
  if (values.some((candidate) => candidate === value)) return;
  const found = typeof value === 'string' ? `'${value.slice(0, 60)}'` : typeName(value);
  reporter.report(param.entry.key, 'E505', param.path, `\`${param.name}\` is ${found}, but the spec supports only ${values.map(String).join(', ')}`);
}

function evaluateParam(reporter: Reporter, param: Param, values: Values, sources: ParamSources, partial: boolean): ParamValue | undefined {
  if (param.items) return itemOf(reporter, param, param.items, values.get('i'));
  if (param.fallback) {
    // Shapes of tensors are known where a file is the source, to these defaults alone.
    const scope = param.fallbackPath.endsWith('/gguf_default') ? values.with([[TENSORS, sources.tensors ?? {}]]) : values;
    return nodeValue(reporter, scope, param.fallback, param.fallbackPath);
  }
  if (partial) return undefined;
  const keys = [
    ...(sources.config ? textList(field(param, 'config')).map((key) => `config.json's ${key}`) : []),
    ...(sources.gguf ? metadataKeys(param, sources.gguf).map((key) => `metadata ${key}`) : []),
  ];
  const tried = keys.length > 0 ? `there is no ${keys.join(', no ')}, and no default` : 'nothing gives one, and it has no default';
  reporter.report(param.entry.key, 'E501', param.path, `the param \`${param.name}\` has no value: ${tried}`, `set it with --set ${param.name}=VALUE`);
  return undefined;
}

function isPerLayer(param: Param): boolean {
  const each = field(param, 'per_layer');
  return each?.kind === 'scalar' && each.value === true;
}

/** The value of layer `i`; undefined for a layer without a number. */
function itemOf(reporter: Reporter, param: Param, items: readonly ParamValue[], i: ParamValue | undefined): ParamValue | undefined {
  if (typeof i !== 'number') return undefined;
  const item = items[i];
  if (item === undefined) reporter.report(param.entry.key, 'E504', param.path, `\`${param.name}\` is a list of ${items.length} values, none of them for layer ${i}`);
  return item;
}

/** Names that a param's default uses. */
function namesOf(reporter: Reporter, param: Param): Set<string> {
  const names = new Set<string>();
  if (param.items) return names;
  const visit = (node: SourceNode, path: string): void => {
    if (node.kind === 'list') node.items.forEach((item, index) => visit(item, pointer(path, index)));
    if (node.kind !== 'scalar' || typeof node.value !== 'string') return;
    const expression = reporter.parse({ ...node, value: node.value }, path);
    if (expression) for (const name of expressionNames(expression)) names.add(name);
  };
  if (param.fallback) visit(param.fallback, param.fallbackPath);
  return names;
}

/** Params such that each comes after those its default uses. Circles are reported, and left out. */
function inOrder(reporter: Reporter, params: ReadonlyMap<string, Param>, given: ReadonlyMap<string, ParamValue | undefined>): Param[] {
  const order: Param[] = [];
  const state = new Map<string, 'open' | 'done'>();
  for (const start of params.values()) {
    if (state.has(start.name)) continue;
    const stack: { readonly param: Param; readonly waiting: string[] }[] = [];
    const open = (param: Param): void => {
      state.set(param.name, 'open');
      stack.push({ param, waiting: given.has(param.name) ? [] : [...namesOf(reporter, param)].filter((name) => params.has(name)) });
    };
    open(start);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const next = top.waiting.pop();
      if (next === undefined) {
        state.set(top.param.name, 'done');
        order.push(top.param);
        stack.pop();
      } else if (state.get(next) === 'open') {
        const circle = [...stack.slice(stack.findIndex((frame) => frame.param.name === next)).map((frame) => frame.param.name), next];
        const shown = circle.length > 12 ? [...circle.slice(0, 10), '…', next] : circle;
        reporter.report(top.param.entry.key, 'E404', top.param.path, `params depend on each other in a circle: ${shown.join(' -> ')}`);
      } else if (!state.has(next)) {
        const param = params.get(next);
        if (param) open(param);
      }
    }
  }
  return order;
}

function nodeUnder(root: MapNode, ...keys: readonly string[]): SourceNode | undefined {
  let node: SourceNode | undefined = root;
  for (const key of keys) node = node?.kind === 'map' ? node.entries.get(key)?.value : undefined;
  return node;
}
