/**
 * Checks the syntax and the names of every expression in a spec, whether or not a model ever evaluates it. The schema says which
 * texts are expressions (`expression`), so this walks schema and spec together.
 */
import { EXPRESSION_FUNCTIONS, unknownFunction, unknownName, walkExpression } from './expression/index.ts';
import { specRules, testRules, type Rules } from './schema-rules.ts';
import { bytesOf } from './sizes.ts';
import { pointer } from './source.ts';
import type { MapNode, ScalarNode, SourceNode } from './source.ts';
import { TENSORS } from './resolve/params.ts';
import type { Diagnostic } from './diagnostics.ts';
import { Reporter } from './resolve/context.ts';

export function checkExpressions(reporter: Reporter, root: MapNode): void {
  const params = root.entries.get('params')?.value;
  const names = new Set(params?.kind === 'map' ? params.entries.keys() : []);
  const anywhere = new Set([...names, 'i']);
  walk(specRules(), root, '', (node, path, kind) => {
    const more = path.endsWith('/gguf_default') ? [TENSORS] : [];
    checkNames(reporter, node, path, kind, new Set([...anywhere, ...more]));
  });
}

/** The expressions of `expect` in a graph test, which stands at `path`: they may use the spec's params, and dimensions the rows of a step. */
export function checkTestExpressions(expect: SourceNode, path: string, params: readonly string[]): readonly Diagnostic[] {
  const reporter = new Reporter();
  const rules = testRules().under('defaults')?.under('expect');
  if (rules) walk(rules, expect, path, (node, at, kind) => checkNames(reporter, node, at, kind, new Set([...params, ...FURTHER_NAMES.get(kind) ?? []])));
  return reporter.diagnostics();
}

/**
 * Names besides params. In shapes: axes whose length a step decides (its rows, its rows of logits, tokens of the state) and the layer's index.
 * In sizes that depend on the context: its tokens.
 */
const FURTHER_NAMES: ReadonlyMap<string, readonly string[]> = new Map([['dimension', ['T', 'R', 'S', 'i']], ['size', ['S']]]);

function checkNames(reporter: Reporter, node: ScalarNode & { readonly value: string }, path: string, kind: string, known: ReadonlySet<string>): void {
  // A name on its own may be one of the field's names; the field says so better when it is read.
  if (kind === 'choice' && /^[A-Za-z_0-9^]*$/.test(node.value)) return;
  if (kind === 'size' && bytesOf(node.value) !== undefined) return;
  const expression = reporter.parse(node, path);
  if (!expression) return;
  walkExpression(expression, (part) => {
    if (part.kind === 'name' && !known.has(part.name)) reporter.expressionError(node, path, unknownName(part.name, part.at, known));
    if (part.kind === 'call' && !EXPRESSION_FUNCTIONS.has(part.name)) reporter.expressionError(node, path, unknownFunction(part.name, part.nameAt));
  });
}

type Visit = (node: ScalarNode & { readonly value: string }, path: string, kind: string) => void;

function walk(rules: Rules, node: SourceNode, path: string, visit: Visit): void {
  if (node.kind === 'scalar') {
    if (rules.expression !== undefined && typeof node.value === 'string') visit({ ...node, value: node.value }, path, rules.expression);
    return;
  }
  if (node.kind === 'list') {
    const { items } = rules;
    if (items) node.items.forEach((item, index) => walk(items, item, pointer(path, index), visit));
    return;
  }
  for (const [key, entry] of node.entries) {
    const rule = rules.under(key);
    if (rule) walk(rule, entry.value, pointer(path, key), visit);
  }
}
