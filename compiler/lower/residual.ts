/** Residual steps: x <- outNorm(skipScale * skip + scale * postNorm(sum of branch(norm(x)))). */
import { InternalError } from '../diagnostics.ts';
import { add, arg, constant, mul } from '../graph/expressions.ts';
import { lowerAttention } from './attention.ts';
import { lowerCustomBlock } from './custom-block.ts';
import { lowerFeedForward } from './ffn.ts';
import { lowerLatentAttention } from './mla.ts';
import { lowerMixture } from './moe.ts';
import { lowerNorm } from './norm.ts';
import { named } from './context.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Branch, BranchBody, Layer, ResidualStep } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

/** x[T, dim] -> [T, dim]. A step with a mistake leaves x as it is, so that the next one is checked too. */
export function lowerLayer(ctx: LowerContext, x: Node, layer: Layer): Node {
  const inner = { ...ctx, layer: layer.index };
  const prefix = `layers.${layer.index}`;
  return layer.steps.reduce(
    (value, step) => ctx.problems.collect(() =>
      ctx.graph.within({ label: `${prefix}.${step.id}`, layer: layer.index, path: step.path }, () => lowerStep(inner, value, step, prefix))) ?? value, x);
}

function lowerStep(ctx: LowerContext, x: Node, step: ResidualStep, prefix: string): Node {
  const { graph } = ctx;
  const slot = `${prefix}.${step.id}`;
  const normed = step.norm ? named(ctx, `${slot}.norm`, lowerNorm(ctx, x, step.norm, `${slot}.norm`)) : x;
  const outputs = step.branches.map((branch) => ctx.problems.collect(() =>
    graph.within({ label: `${prefix}.${branch.id}`, path: branch.path }, () => lowerBranch(ctx, normed, branch, `${prefix}.${branch.id}`))) ?? normed);
  const [first, ...others] = outputs;
  if (!first) throw new InternalError('lower', `${slot} has no branch`);
  const sum = others.reduce((total, y) => graph.add(total, y), first);
  const branch = step.postNorm ? named(ctx, `${slot}.post_norm`, lowerNorm(ctx, sum, step.postNorm, `${slot}.post_norm`)) : sum;
  const skip = step.from === 'normed' ? normed : x;
  const times = (value: Scalar, factor: number): Scalar => (factor === 1 ? value : mul(value, constant(factor)));
  const next = graph.map([skip, branch], add(times(arg(0), step.skipScale), times(arg(1), step.scale)));
  return named(ctx, `${slot}.residual`, step.outNorm ? lowerNorm(ctx, next, step.outNorm, `${slot}.out_norm`) : next);
}

function lowerBranch(ctx: LowerContext, x: Node, branch: Branch, slot: string): Node {
  const input = branch.norm ? named(ctx, `${slot}.norm`, lowerNorm(ctx, x, branch.norm, `${slot}.norm`)) : x;
  const output = named(ctx, `${slot}.out`, lowerBody(ctx, input, branch.body, slot));
  return branch.postNorm ? named(ctx, `${slot}.post_norm`, lowerNorm(ctx, output, branch.postNorm, `${slot}.post_norm`)) : output;
}

function lowerBody(ctx: LowerContext, x: Node, body: BranchBody, slot: string): Node {
  switch (body.kind) {
    case 'attention': return lowerAttention(ctx, x, body, slot);
    case 'mla': return lowerLatentAttention(ctx, x, body, slot);
    case 'ffn': return lowerFeedForward(ctx, x, body, slot);
    case 'moe': return lowerMixture(ctx, x, body, slot);
    case 'custom': return lowerCustomBlock(ctx, x, body, slot);
    default: return body satisfies never;
  }
}
