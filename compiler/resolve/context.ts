/** What resolution carries along: the tree, the values of params, and the diagnostics found so far. */
import type { DiagnosticCode } from '../diagnostic-codes.ts';
import type { Diagnostic, Severity } from '../diagnostics.ts';
import { evaluate, parseExpression } from '../expression/index.ts';
import type { Evaluation, Expression, ExpressionError, Scope } from '../expression/index.ts';
import type { ParamValue } from '../model.ts';
import { diagnosticAt } from '../source.ts';
import type { Place, ScalarNode, SourceNode } from '../source.ts';

export class Reporter {
  private readonly found: Diagnostic[] = [];
  private readonly seen = new Set<string>();
  private readonly settled = new Set<string>();
  private readonly expressions = new Map<string, Expression | undefined>();

  /** Problems known before; what they say about a path is not said again. */
  constructor(earlier: readonly Diagnostic[] = []) {
    for (const diagnostic of earlier) this.add(diagnostic);
    for (const diagnostic of earlier) this.settled.add(diagnostic.path);
  }

  add(diagnostic: Diagnostic): void {
    const key = `${diagnostic.code}:${diagnostic.path}`;
    if (this.seen.has(key) || this.settled.has(diagnostic.path)) return;
    this.seen.add(key);
    this.found.push(diagnostic);
  }

  report(place: Place | undefined, code: DiagnosticCode, path: string, message: string, hint?: string, severity: Severity = 'error'): void {
    this.add(diagnosticAt(place, code, path, message, hint, severity));
  }

  get failed(): boolean {
    return this.found.some((diagnostic) => diagnostic.severity === 'error');
  }

  diagnostics(): Diagnostic[] {
    return this.found;
  }

  /** Parses a text as an expression, once for each text. */
  parse(node: ScalarNode & { readonly value: string }, path: string): Expression | undefined {
    const key = `${path}\u0000${node.value}`;
    const known = this.expressions.get(key);
    if (known || this.expressions.has(key)) return known;
    const parsed = parseExpression(node.value);
    if (!parsed.ok) this.expressionError(node, path, parsed.error);
    const expression = parsed.ok ? parsed.expression : undefined;
    this.expressions.set(key, expression);
    return expression;
  }

  expressionError(node: ScalarNode, path: string, error: ExpressionError): void {
    const place = expressionPlace(node, error.at);
    this.report(place, error.code, path, `in \`${short(String(node.value))}\`: ${error.message}`, error.hint);
  }
}

/** The place of a part of an expression, where the file spells the expression as it is; else of the whole. */
export function expressionPlace(node: ScalarNode, at: { readonly start: number; readonly end: number }): Place {
  if (node.textOffset === undefined) return node.place;
  return { file: node.place.file, offset: node.textOffset + at.start, length: Math.max(1, at.end - at.start) };
}

/** The values that names have; the layer index is one of them inside layers. */
export class Values implements Scope {
  constructor(private readonly values: ReadonlyMap<string, ParamValue | undefined>) {}

  has(name: string): boolean {
    return this.values.has(name);
  }

  get(name: string): ParamValue | undefined {
    return this.values.get(name);
  }

  names(): Iterable<string> {
    return this.values.keys();
  }

  entries(): Iterable<[string, ParamValue | undefined]> {
    return this.values.entries();
  }

  with(more: Iterable<readonly [string, ParamValue | undefined]>): Values {
    return new Values(new Map([...this.values, ...more]));
  }
}

/** The value of a node: constants as they are, texts as expressions, lists item by item. Undefined where the failure has been reported. */
export function nodeValue(reporter: Reporter, scope: Scope, node: SourceNode, path: string): ParamValue | undefined {
  if (node.kind === 'list') {
    const values: ParamValue[] = [];
    for (const [index, item] of node.items.entries()) {
      const value = nodeValue(reporter, scope, item, `${path}/${index}`);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  }
  if (node.kind === 'map') return undefined;
  if (typeof node.value !== 'string') return node.value;
  const expression = reporter.parse({ ...node, value: node.value }, path);
  if (!expression) return undefined;
  const result: Evaluation = evaluate(expression, scope);
  if (result.ok) return result.value;
  if (result.error) reporter.expressionError(node, path, result.error);
  return undefined;
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
