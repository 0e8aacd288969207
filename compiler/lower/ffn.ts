/** Feed-forward networks, plain and gated. One function serves dense layers, shared experts and routed experts. */
import { add, arg, binary, constant, mul } from '../graph/expressions.ts';
import { bindActivation } from './activation.ts';
import { clampTo } from './builtin-activation.ts';
import { labelled, named, project } from './context.ts';
import { lowerNorm } from './norm.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { FeedForward } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

/** How a projection of this network is computed: dense, or by chosen experts. */
export type Project = (x: Node, name: 'up' | 'gate' | 'down', rows: number, columns: number, bias: boolean) => Node;

/** x[T, dim] -> [T, dim], weights under `slot` */
export function lowerFeedForward(ctx: LowerContext, x: Node, ffn: FeedForward, slot: string): Node {
  const derivations = { up: 'hidden x dim', gate: 'hidden x dim', down: 'dim x hidden' };
  return feedForward(ctx, x, ffn, slot, (input, name, rows, columns, bias) =>
    project(ctx, input, `${slot}.${name}`, { rows, columns, bias, derivation: derivations[name] }));
}

/** down(activation(gate(x)) * (up(x) + offset)), or down(activation(up(x))) */
export function feedForward(ctx: LowerContext, x: Node, ffn: FeedForward, slot: string, by: Project): Node {
  const { dim } = ctx.model;
  const up = named(ctx, `${slot}.up`, by(x, 'up', ffn.hidden, dim, ffn.bias.up));
  const gate = ffn.gated ? named(ctx, `${slot}.gate`, by(x, 'gate', ffn.hidden, dim, ffn.bias.gate)) : undefined;
  const inner = named(ctx, `${slot}.hidden`, labelled(ctx, `${slot}.activation`, () => activated(ctx, ffn, slot, up, gate)));
  const normed = ffn.midNorm ? named(ctx, `${slot}.mid_norm`, lowerNorm(ctx, inner, ffn.midNorm, `${slot}.mid_norm`)) : inner;
  return named(ctx, `${slot}.out`, by(normed, 'down', dim, ffn.hidden, ffn.bias.down));
}

function activated(ctx: LowerContext, ffn: FeedForward, slot: string, up: Node, gate: Node | undefined): Node {
  const bound = bindActivation(ctx, ffn.activation, slot, ffn.alpha);
  const limit = ffn.clamp;
  const below = (x: Scalar): Scalar => (limit === undefined ? x : binary('min', x, constant(limit)));
  if (!gate) return ctx.graph.map([up, ...bound.operands], bound.apply(below(arg(0)), 1), up.shape);
  const clamped = limit === undefined ? arg(1) : clampTo(arg(1), limit);
  const shifted = ffn.upOffset === 0 ? clamped : add(clamped, constant(ffn.upOffset));
  return ctx.graph.map([gate, up, ...bound.operands], mul(bound.apply(below(arg(0)), 2), shifted), up.shape);
}
