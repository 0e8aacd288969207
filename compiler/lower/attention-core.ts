/** Scaled dot-product attention over heads, decomposed: scores, their map, mask, softmax, mix. Every kind of attention ends in it. */
import { InternalError } from '../diagnostics.ts';
import { add, arg, constant, div, mul, unary } from '../graph/expressions.ts';
import { named } from './context.ts';
import { alibiBias, relativeBias } from './position.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Position } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

export interface AttentionCore {
  readonly q: Node;
  readonly k: Node;
  readonly v: Node;
  readonly scale: number;
  readonly softcap?: number;
  readonly causal: boolean;
  readonly window?: { readonly kind: 'sliding' | 'chunked' | 'symmetric'; readonly size: number };
  readonly position: Position;
  /** One logit a head that takes part in the softmax alone: [heads]. */
  readonly sinks?: Node;
}

/** (q[T, h, d], k[S, g, d], v[S, g, e]) -> [T, h, e]. Names the `scores` before the mask and the `probs` of the branch at `slot`. */
export function lowerAttentionCore(ctx: LowerContext, core: AttentionCore, slot: string): Node {
  const { graph } = ctx;
  const scores = graph.node({ op: 'scores' }, [core.q, core.k]);
  const adjusted = named(ctx, `${slot}.scores`, adjustScores(ctx, scores, core));
  const masked = core.causal || core.window
    ? graph.node({ op: 'mask', causal: core.causal, ...(core.window ? { window: core.window } : {}) }, [adjusted])
    : adjusted;
  return graph.node({ op: 'mix' }, [named(ctx, `${slot}.probs`, graph.softmax(masked, core.sinks)), core.v]);
}

/** Scale, position bias and soft cap, in one map. */
function adjustScores(ctx: LowerContext, scores: Node, core: AttentionCore): Node {
  const [, heads, keys] = scores.shape;
  if (typeof heads !== 'number' || keys === undefined) throw new InternalError('lower', 'scores of unknown heads');
  const operands = [scores];
  let value: Scalar = arg(0);
  const scaled = (x: Scalar): Scalar => (core.scale === 1 ? x : mul(x, constant(core.scale)));
  switch (core.position.kind) {
    case 'none': case 'rope': value = scaled(value); break;
    case 'alibi': {
      const { strength, insideScale } = core.position;
      const plain = arg(operands.push(alibiBias(ctx, core.position, heads, keys)) - 1);
      const bias = strength === 1 ? plain : mul(plain, constant(strength));
      value = insideScale ? scaled(add(value, bias)) : add(scaled(value), bias);
      break;
    }
    case 'relative_bias':
      value = add(scaled(value), arg(operands.push(relativeBias(ctx, core.position, heads, keys)) - 1));
      break;
    default: core.position satisfies never;
  }
  if (core.softcap !== undefined) value = mul(constant(core.softcap), unary('tanh', div(value, constant(core.softcap))));
  return value.op === 'arg' ? scores : ctx.graph.map(operands, value);
}
