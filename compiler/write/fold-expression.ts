/** Expressions with what is known of a model put in: flags and texts become literals, conditions that hold everywhere disappear. */
import { evaluate, expressionNames, parseExpression } from '../expression/index.ts';
import type { Expression } from '../expression/index.ts';
import type { ParamValue } from '../model.ts';
import type { Values } from '../resolve/context.ts';

/** The values of names: outside layers, and in each layer. */
export interface Known {
  readonly shared: Values;
  readonly layers: readonly Values[];
}

type Flag = string | boolean | null;

/**
 * The expression with flags (texts, true, false, null) in place of what is known to give them in every layer, and without the sides
 * that no layer takes. Numbers keep their names. Gives the same values as before in every layer.
 */
export function foldExpression(expression: Expression, known: Known): Expression {
  const values = valuesOf(expression, known);
  const value = values && onlyValue(values);
  if (value !== undefined && isFlag(value)) return { kind: 'literal', value, at: expression.at };
  if (values && value === undefined && readsCollection(expression, known)) {
    const spelled = spellLayers(values);
    if (spelled) return spelled;
  }
  const fold = (part: Expression): Expression => foldExpression(part, known);
  switch (expression.kind) {
    case 'literal': case 'name': return expression;
    case 'list': return { ...expression, items: expression.items.map(fold) };
    case 'unary': return { ...expression, operand: fold(expression.operand) };
    case 'binary': return foldBinary(expression, known) ?? { ...expression, left: fold(expression.left), right: fold(expression.right) };
    case 'conditional': {
      const condition = fold(expression.condition);
      if (condition.kind === 'literal' && typeof condition.value === 'boolean') return fold(condition.value ? expression.then : expression.else);
      const [then, otherwise] = [fold(expression.then), fold(expression.else)];
      const [a, b] = [then, otherwise].map((side) => onlyValue(valuesOf(side, known) ?? []));
      return a !== undefined && a === b ? then : { ...expression, condition, then, else: otherwise };
    }
    case 'call': return { ...expression, arguments: expression.arguments.map(fold) };
    case 'index': return { ...expression, value: fold(expression.value), index: fold(expression.index) };
    default: return expression satisfies never;
  }
}

/** The one side that a logical operator comes down to, if it does. */
function foldBinary(expression: Extract<Expression, { kind: 'binary' }>, known: Known): Expression | undefined {
  const { operator, left, right } = expression;
  if (operator === '??') {
    const values = valuesOf(left, known);
    if (values?.every((value) => value === null)) return foldExpression(right, known);
    return values?.every((value) => value !== null) ? foldExpression(left, known) : undefined;
  }
  if (operator !== '&&' && operator !== '||') return undefined;
  const neutral = operator === '&&';
  const is = (side: Expression): boolean => onlyValue(valuesOf(side, known) ?? []) === neutral;
  if (is(left)) return foldExpression(right, known);
  return is(right) ? foldExpression(left, known) : undefined;
}

/** The value in each layer, or the one outside layers where it reads nothing of them. Undefined where it fails in one of them. */
export function valuesOf(expression: Expression, known: Known): readonly ParamValue[] | undefined {
  const shared = [...expressionNames(expression)].every((name) => known.shared.has(name));
  const results = (shared ? [known.shared] : known.layers).map((scope) => evaluate(expression, scope));
  const values = results.flatMap((result) => (result.ok ? [result.value] : []));
  return values.length === results.length && values.length > 0 ? values : undefined;
}

/** The value that all are, if all are one number, text, flag or null. */
export function onlyValue(values: readonly ParamValue[]): number | Flag | undefined {
  const [first] = values;
  return values.every((value) => value === first) && (typeof first === 'number' || isFlag(first)) ? first : undefined;
}

function isFlag(value: ParamValue | undefined): value is Flag {
  return value === null || typeof value === 'string' || typeof value === 'boolean';
}

/** Whether it reads a list or a map, which a rule in terms of `i` may say shorter. */
function readsCollection(expression: Expression, known: Known): boolean {
  return [...expressionNames(expression)].some((name) => {
    const value = known.shared.get(name);
    return typeof value === 'object' && value !== null;
  });
}

/** True and false by layer as a rule of `i`: every p-th, the first n. Undefined where there is none that is short. */
function spellLayers(values: readonly ParamValue[]): Expression | undefined {
  if (!values.every((value) => typeof value === 'boolean')) return undefined;
  for (const [text, rule] of layerRules(values.length)) {
    if (!values.every((value, layer) => value === rule(layer))) continue;
    const parsed = parseExpression(text);
    return parsed.ok ? parsed.expression : undefined;
  }
  return undefined;
}

function* layerRules(layers: number): Generator<[string, (layer: number) => boolean]> {
  for (const rest of [0, 1]) yield [`i % 2 == ${rest}`, (layer) => layer % 2 === rest];
  for (let count = 1; count < layers; count++) {
    yield [`i < ${count}`, (layer) => layer < count];
    yield [`i >= ${count}`, (layer) => layer >= count];
  }
  for (let period = 3; period <= Math.min(16, layers - 1); period++) {
    for (let rest = 0; rest < period; rest++) {
      yield [`i % ${period} == ${rest}`, (layer) => layer % period === rest];
      yield [`i % ${period} != ${rest}`, (layer) => layer % period !== rest];
    }
  }
}

/** Whether two expressions are the same tree. */
export function sameExpression(a: Expression, b: Expression): boolean {
  const bare = (expression: Expression): string => JSON.stringify(expression, (key, value: unknown) => (key === 'at' || key === 'nameAt' ? undefined : value));
  return bare(a) === bare(b);
}
