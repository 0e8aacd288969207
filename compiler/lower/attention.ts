/** Multi-head, multi-query and grouped-query attention with their variations. */
import { add, arg, constant, div, mul, tokenPosition, unary } from '../graph/expressions.ts';
import { activate } from './activation.ts';
import { clampTo } from './builtin-activation.ts';
import { lowerAttentionCore } from './attention-core.ts';
import { labelled, named, project } from './context.ts';
import { fail, LoweringError } from './lowering-error.ts';
import { lowerHeadNorm, lowerNorm } from './norm.ts';
import { lowerRope } from './rope.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Attention, AttentionCommon } from '../model.ts';

/** x[T, dim] -> [T, dim] */
export function lowerAttention(ctx: LowerContext, x: Node, attention: Attention, slot: string): Node {
  const { graph, model } = ctx;
  const { heads, valueDim } = attention;
  const q = queryTemperature(ctx, lowerQuery(ctx, x, attention, slot), attention);
  const { k, v } = keysAndValues(ctx, x, attention, slot);
  named(ctx, `${slot}.keys`, k);
  named(ctx, `${slot}.values`, v);
  const mixed = labelled(ctx, `${slot}.core`, () => named(ctx, `${slot}.mixed`, lowerAttentionCore(ctx, { ...coreOf(ctx, attention, slot), q, k, v }, slot)));
  const gated = finishMixed(ctx, x, graph.reshape(mixed, ['T', heads * valueDim]), attention, valueDim, slot);
  return project(ctx, gated, `${slot}.o`, { rows: model.dim, columns: heads * valueDim, bias: attention.bias.o, derivation: 'dim x heads * value_dim' });
}

/** The knobs that all attentions share, for the core. */
export function coreOf(ctx: LowerContext, attention: AttentionCommon, slot: string): {
  readonly scale: number; readonly softcap?: number; readonly causal: boolean; readonly window?: NonNullable<Attention['window']>;
  readonly position: AttentionCommon['position']; readonly sinks?: Node;
} {
  return {
    scale: attention.scale,
    causal: attention.mask === 'causal',
    position: attention.position,
    ...(attention.softcap === undefined ? {} : { softcap: attention.softcap }),
    ...(attention.window ? { window: attention.window } : {}),
    ...(attention.sinks ? { sinks: ctx.graph.weight(`${slot}.sinks.weight`, [attention.heads], 'heads') } : {}),
  };
}

/** Llama 4's temperature: queries times 1 + scale * ln(1 + floor((position + offset) / floor)). */
export function queryTemperature(ctx: LowerContext, q: Node, attention: AttentionCommon): Node {
  const temperature = attention.queryTemperature;
  if (!temperature) return q;
  const steps = unary('floor', div(add(tokenPosition(0), constant(temperature.offset)), constant(temperature.floor)));
  const factor = add(constant(1), mul(constant(temperature.scale), unary('log', add(constant(1), steps))));
  return ctx.graph.map([q], mul(arg(0), factor));
}

/** Gate and norm of the mixed values [T, heads * valueDim], before the output projection. x is the block's input. */
export function finishMixed(ctx: LowerContext, x: Node, mixed: Node, attention: AttentionCommon, valueDim: number, slot: string): Node {
  const { graph, model } = ctx;
  const { heads, gate, subNorm } = attention;
  let y = mixed;
  if (gate) {
    const rows = gate.per === 'element' ? heads * valueDim : heads;
    const logits = project(ctx, x, `${slot}.gate`, { rows, columns: model.dim, bias: gate.bias });
    named(ctx, `${slot}.gate`, logits);
    const open = activate(ctx, logits, gate.activation, `${slot}.gate`);
    y = gate.per === 'element'
      ? graph.mul(y, open)
      : graph.reshape(graph.mul(graph.reshape(y, ['T', heads, valueDim]), graph.reshape(open, ['T', heads, 1])), ['T', heads * valueDim]);
  }
  if (subNorm) y = lowerNorm(ctx, y, subNorm, `${slot}.sub_norm`);
  return y === mixed ? y : named(ctx, `${slot}.gated`, y);
}

function lowerQuery(ctx: LowerContext, x: Node, attention: Attention, slot: string): Node {
  const heads = projectHeads(ctx, x, `${slot}.q`, attention.heads, attention.headDim, attention.bias.q, earlyClip(attention), 'heads * head_dim x dim');
  return normAndRotate(ctx, heads, attention, `${slot}.q`);
}

function keysAndValues(ctx: LowerContext, x: Node, attention: Attention, slot: string): { readonly k: Node; readonly v: Node } {
  const { graph } = ctx;
  if (attention.kvFrom !== undefined) {
    const known = ctx.keyValues.get(attention.kvFrom);
    // A layer that failed keeps nothing: that is reported already.
    if (!known && ctx.problems.any) throw new LoweringError([]);
    if (!known) return fail('E309', graph.path, `layer ${ctx.layer ?? 0} reads the keys and values of layer ${attention.kvFrom}, which has no attention that keeps them`);
    return known;
  }
  const { kvHeads, headDim, valueDim, bias, clip, vNorm, valueScale } = attention;
  let k = projectHeads(ctx, x, `${slot}.k`, kvHeads, headDim, bias.k, earlyClip(attention), 'kv_heads * head_dim x dim');
  let v = projectHeads(ctx, x, `${slot}.v`, kvHeads, valueDim, bias.v, clip, 'kv_heads * value_dim x dim');
  k = normAndRotate(ctx, k, attention, `${slot}.k`);
  if (valueScale !== undefined) v = labelled(ctx, `${slot}.v`, () => graph.scale(v, valueScale));
  if (vNorm) v = lowerNorm(ctx, v, vNorm, `${slot}.v_norm`);
  named(ctx, `${slot}.v`, v);
  // Without a causal mask every token must be there at once, so there is nothing to keep.
  const kept = attention.mask === 'causal'
    ? { k: graph.cache(`${slot}.k`, k), v: graph.cache(`${slot}.v`, v) }
    : { k, v };
  if (ctx.layer !== undefined) ctx.keyValues.set(ctx.layer, kept);
  return kept;
}

/** The clamp of queries and keys right behind their projection. */
function earlyClip(attention: Attention): number | undefined {
  return attention.clipWhen === 'after_norm' ? undefined : attention.clip;
}

/** x[T, dim] -> [T, heads, width] */
function projectHeads(
  ctx: LowerContext, x: Node, slot: string, heads: number, width: number, bias: boolean, clip: number | undefined, derivation: string,
): Node {
  const { graph, model } = ctx;
  const y = project(ctx, x, slot, { rows: heads * width, columns: model.dim, bias, derivation });
  const clipped = clip === undefined ? y : labelled(ctx, slot, () => graph.map([y], clampTo(arg(0), clip)));
  return labelled(ctx, slot, () => graph.reshape(clipped, ['T', heads, width]));
}

function normAndRotate(ctx: LowerContext, heads: Node, attention: Attention, slot: string): Node {
  const { qkNorm, position, clip, clipWhen } = attention;
  const clipped = (x: Node): Node => (clip !== undefined && clipWhen === 'after_norm' ? labelled(ctx, slot, () => ctx.graph.map([x], clampTo(arg(0), clip))) : x);
  const normed = (x: Node): Node => clipped(qkNorm ? lowerHeadNorm(ctx, x, qkNorm.norm, qkNorm.scope, `${slot}_norm`) : x);
  const rotated = (x: Node): Node => (position.kind === 'rope' ? lowerRope(ctx, x, position, slot) : x);
  const late = qkNorm?.when === 'after_rope';
  const still = named(ctx, slot, late ? heads : normed(heads));
  const turned = late ? normed(rotated(still)) : rotated(still);
  return turned === still ? still : named(ctx, `${slot}_rope`, turned);
}
