/**
 * Checks the syntax and the names of every expression in a spec, whether or not a model ever evaluates it. The schema says which
 * texts are expressions (`expression`), so this walks schema and spec together.
 */
import schema from '../schema/spec.schema.json' with { type: 'json' };
import { EXPRESSION_FUNCTIONS, unknownFunction, unknownName, walkExpression } from './expression/index.ts';
import { pointer } from './source.ts';
import type { MapNode, ScalarNode, SourceNode } from './source.ts';
import { TENSORS } from './resolve/params.ts';
import type { Reporter } from './resolve/context.ts';

type SchemaNode = Readonly<Record<string, unknown>>;

export function checkExpressions(reporter: Reporter, root: MapNode): void {
  const params = root.entries.get('params')?.value;
  const names = new Set(params?.kind === 'map' ? params.entries.keys() : []);
  const anywhere = new Set([...names, 'i']);
  walk(schema, root, '', (node, path, kind) => {
    // A name on its own may be one of the field's names; the field says so better when it is read.
    if (kind === 'choice' && /^[A-Za-z_0-9^]*$/.test(node.value)) return;
    const expression = reporter.parse(node, path);
    if (!expression) return;
    walkExpression(expression, (part) => {
      const known = anywhere.has(part.kind === 'name' ? part.name : '') || (path.endsWith('/gguf_default') && part.kind === 'name' && part.name === TENSORS);
      if (part.kind === 'name' && !known) reporter.expressionError(node, path, unknownName(part.name, part.at, anywhere));
      if (part.kind === 'call' && !EXPRESSION_FUNCTIONS.has(part.name)) reporter.expressionError(node, path, unknownFunction(part.name, part.nameAt));
    });
  });
}

type Visit = (node: ScalarNode & { readonly value: string }, path: string, kind: string) => void;

function walk(described: SchemaNode, node: SourceNode, path: string, visit: Visit): void {
  const rules = follow(described);
  const kind = described['expression'] ?? rules['expression'];
  if (node.kind === 'scalar') {
    if (typeof kind === 'string' && typeof node.value === 'string') visit({ ...node, value: node.value }, path, kind);
    return;
  }
  if (node.kind === 'list') {
    // A list where an expression may stand holds expressions.
    const items = isSchema(rules['items']) ? rules['items'] : typeof kind === 'string' ? { expression: kind } : undefined;
    if (items) node.items.forEach((item, index) => walk(items, item, pointer(path, index), visit));
    return;
  }
  const properties = isSchema(rules['properties']) ? rules['properties'] : {};
  for (const [key, entry] of node.entries) {
    const rule = Object.hasOwn(properties, key) ? properties[key] : rules['additionalProperties'];
    if (isSchema(rule)) walk(rule, entry.value, pointer(path, key), visit);
  }
}

function follow(rules: SchemaNode): SchemaNode {
  const reference = rules['$ref'];
  if (typeof reference !== 'string') return rules;
  const definitions: SchemaNode = schema.$defs;
  const target = definitions[reference.slice('#/$defs/'.length)];
  return isSchema(target) ? target : rules;
}

function isSchema(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
