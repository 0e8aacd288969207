/** What is known when compiling: the values of params, the layer index, and expressions of them. */
import { evaluate, parseExpression } from '../expression/index.ts';
import { fail, failExpression } from './lowering-error.ts';
import type { Expression, Scope } from '../expression/index.ts';
import type { LowerContext } from './context.ts';
import type { ParamValue } from '../model.ts';

export function parseText(text: string, path: string): Expression {
  const parsed = parseExpression(text);
  return parsed.ok ? parsed.expression : failExpression(text, parsed.error, path);
}

/** The model's params, the block's own, and `i` in a layer; later ones hide earlier ones. */
export function constantScope(ctx: LowerContext, params: Readonly<Record<string, ParamValue>> = {}): Scope {
  const layer = ctx.layer === undefined ? undefined : ctx.model.layers[ctx.layer];
  const values = new Map(Object.entries({ ...ctx.model.params, dim: ctx.model.dim, ...layer?.params, ...params }));
  if (ctx.layer !== undefined) values.set('i', ctx.layer);
  return { has: (name) => values.has(name), get: (name) => values.get(name), names: () => values.keys() };
}

export function constantValue(text: string, expression: Expression, scope: Scope, path: string): ParamValue {
  const result = evaluate(expression, scope);
  if (result.ok) return result.value;
  return result.error ? failExpression(text, result.error, path) : fail('E402', path, `\`${text}\` has no value`);
}

/** A weight's shape from its expressions, and the same spelled in the spec's terms. */
export function weightShape(shape: readonly string[], scope: Scope, path: string): { readonly sizes: readonly number[]; readonly derivation: string } {
  const sizes = shape.map((text) => {
    const size = constantValue(text, parseText(text, path), scope, path);
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 1) return fail('E301', path, `\`${text}\` must be a whole number of at least 1, found ${String(size)}`);
    return size;
  });
  return { sizes, derivation: shape.join(' x ') };
}
