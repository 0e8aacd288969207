/** Activations in place: by name or from the spec, with their weights. */
import { InternalError } from '../diagnostics.ts';
import { arg } from '../graph/expressions.ts';
import { builtinActivation } from './builtin-activation.ts';
import { customActivation } from './custom-activation.ts';
import type { BoundActivation, LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Activation } from '../model.ts';

/** An activation with its weights, if it has any, under `<slot>.activation.<name>`. */
export function bindActivation(ctx: LowerContext, activation: Activation, slot: string, alpha?: number): BoundActivation {
  switch (activation.kind) {
    case 'builtin': return { operands: [], apply: (x) => builtinActivation(activation.name, x, alpha) };
    case 'custom': {
      const definition = ctx.model.activations[activation.name];
      if (!definition) throw new InternalError('lower', `no activation ${activation.name}`);
      return customActivation(ctx, definition, slot);
    }
    default: return activation satisfies never;
  }
}

/** The activation of every element of x. */
export function activate(ctx: LowerContext, x: Node, activation: Activation, slot: string): Node {
  if (activation.kind === 'builtin' && activation.name === 'identity') return x;
  const bound = bindActivation(ctx, activation, slot);
  return ctx.graph.map([x, ...bound.operands], bound.apply(arg(0), 1), x.shape);
}
