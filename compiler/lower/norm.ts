/** Normalization over the last axis, with the norm's weights where it has them. */
import { InternalError } from '../diagnostics.ts';
import { add, arg, constant, mul } from '../graph/expressions.ts';
import { labelled } from './context.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Norm } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

const kinds = { rmsnorm: 'rms', layernorm: 'layer', l2norm: 'l2' } as const;

/** y = normalised(x) * (weight + offset) + bias. `shape` is the weights' shape, by default the last axis of x: [d]. */
export function lowerNorm(ctx: LowerContext, x: Node, norm: Norm, slot: string, shape?: readonly number[]): Node {
  const { graph } = ctx;
  return labelled(ctx, slot, () => {
    const width = x.shape[x.shape.length - 1];
    if (typeof width !== 'number') throw new InternalError('lower', `${slot} normalises an axis of unknown size`);
    const weights = shape ?? [width];
    const normalised = graph.norm(kinds[norm.kind], x, norm.eps);
    const operands = [normalised];
    let value: Scalar = arg(0);
    if (norm.weight) {
      const weight = arg(operands.push(graph.weight(`${slot}.weight`, weights)) - 1);
      value = mul(value, norm.offset === 0 ? weight : add(weight, constant(norm.offset)));
    }
    if (norm.bias) value = add(value, arg(operands.push(graph.weight(`${slot}.bias`, weights)) - 1));
    return operands.length === 1 ? normalised : graph.map(operands, value);
  });
}

/** A norm of heads x[T, h, d]: per head with one weight of d or one a head, or over all heads at once. */
export function lowerHeadNorm(ctx: LowerContext, x: Node, norm: Norm, scope: 'head' | 'per_head' | 'full', slot: string): Node {
  const [, heads, width] = x.shape;
  if (typeof heads !== 'number' || typeof width !== 'number') throw new InternalError('lower', `${slot} has heads of unknown size`);
  switch (scope) {
    case 'head': return lowerNorm(ctx, x, norm, slot);
    case 'per_head': return lowerNorm(ctx, x, norm, slot, [heads, width]);
    case 'full': {
      const flat = lowerNorm(ctx, ctx.graph.reshape(x, ['T', heads * width]), norm, slot);
      return ctx.graph.reshape(flat, x.shape);
    }
    default: return scope satisfies never;
  }
}
