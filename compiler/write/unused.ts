/** What nothing in a spec reads: params, blocks, activations. */
import { expressionNames, parseExpression } from '../expression/index.ts';
import { specRules, type Rules } from '../schema-rules.ts';
import type { MapEntry, MapNode, SourceNode } from '../source.ts';

/** Params that mean something by their name. */
const READ_BY_NAME = ['context'];

/** The spec without definitions that nothing reads. Where it is uncertain whether a text names something, it does. */
export function withoutUnused(root: MapNode): MapNode {
  const used = textsUnder(root.entries.get('layers')?.value);
  const output = textsUnder(root.entries.get('output')?.value);
  let result = keep(root, 'blocks', (name) => used.has(name));
  result = keep(result, 'activations', (name) => used.has(name) || output.has(name));
  const params = result.entries.get('params')?.value;
  if (params?.kind !== 'map') return result;
  const wanted = new Set<string>();
  const want = (names: Iterable<string>): void => {
    for (const name of names) {
      const node = params.entries.get(name)?.value;
      if (!node || wanted.has(name)) continue;
      wanted.add(name);
      const read = new Set<string>();
      walk(specRules().under('params')?.under(name), node, read);
      want(read);
    }
  };
  const read = new Set<string>(READ_BY_NAME);
  for (const [key, entry] of result.entries) if (key !== 'params') walk(specRules().under(key), entry.value, read);
  for (const key of ['blocks', 'activations']) for (const text of textsUnder(result.entries.get(key)?.value)) read.add(text);
  want(read);
  return keep(result, 'params', (name) => wanted.has(name));
}

function keep(root: MapNode, key: string, wanted: (name: string) => boolean): MapNode {
  const entry = root.entries.get(key);
  if (entry?.value.kind !== 'map') return root;
  const left = new Map([...entry.value.entries].filter(([name]) => wanted(name)));
  const entries = new Map<string, MapEntry>([...root.entries].flatMap(([name, value]) => (
    name !== key ? [[name, value] as const] : left.size === 0 ? [] : [[key, { key: entry.key, value: { ...entry.value, entries: left } as MapNode }] as const])));
  return { ...root, entries };
}

/** Names that expressions read, and those in the braces of patterns (`model.layers.{layers}.*`). */
function walk(rules: Rules | undefined, node: SourceNode, names: Set<string>): void {
  if (node.kind === 'scalar') {
    if (typeof node.value !== 'string') return;
    const parsed = rules?.expression === undefined ? undefined : parseExpression(node.value);
    if (parsed?.ok) for (const name of expressionNames(parsed.expression)) names.add(name);
    for (const [, inner] of node.value.matchAll(/\{([^{}]*)\}/g)) for (const name of words(inner ?? '')) names.add(name);
  } else if (node.kind === 'list') node.items.forEach((item) => walk(rules?.items, item, names));
  else for (const [key, entry] of node.entries) walk(rules?.under(key), entry.value, names);
}

/** Every word in every text. */
function textsUnder(node: SourceNode | undefined): Set<string> {
  const found = new Set<string>();
  const visit = (inner: SourceNode): void => {
    if (inner.kind === 'scalar') for (const name of words(String(inner.value))) found.add(name);
    else if (inner.kind === 'list') inner.items.forEach(visit);
    else for (const { value } of inner.entries.values()) visit(value);
  };
  if (node) visit(node);
  return found;
}

function words(text: string): string[] {
  return text.match(/[A-Za-z_][A-Za-z0-9_]*/g) ?? [];
}
