/**
 * Multi-head latent attention (DeepSeek V2, arXiv 2405.04434), absorbed: instead of expanding the cached latent into keys and
 * values, each head's query is mapped into the latent space. Attention then is multi-query over the cached row
 * [latent | rotated key], and what it mixes from the latent goes through each head's value matrix.
 */
import { lowerAttentionCore } from './attention-core.ts';
import { coreOf, finishMixed, queryTemperature } from './attention.ts';
import { labelled, named, project } from './context.ts';
import { lowerNorm } from './norm.ts';
import { lowerRope } from './rope.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { LatentAttention } from '../model.ts';

/** x[T, dim] -> [T, dim] */
export function lowerLatentAttention(ctx: LowerContext, x: Node, attention: LatentAttention, slot: string): Node {
  const { graph, model } = ctx;
  const { heads, kvRank, valueDim } = attention;
  const q = queryTemperature(ctx, latentQuery(ctx, x, attention, slot), attention);
  const k = latentKey(ctx, x, attention, slot);
  const v = labelled(ctx, `${slot}.core`, () => graph.slice(k, 2, 0, kvRank));
  named(ctx, `${slot}.q_latent`, q);
  named(ctx, `${slot}.keys`, k);
  const mixed = labelled(ctx, `${slot}.core`, () => named(ctx, `${slot}.latent`, lowerAttentionCore(ctx, { ...coreOf(ctx, attention, slot), q, k, v }, slot)));
  const values = labelled(ctx, `${slot}.v_b`, () =>
    graph.headLinear(mixed, graph.weight(`${slot}.v_b.weight`, [heads, valueDim, kvRank], 'heads x value_dim x kv_rank')));
  named(ctx, `${slot}.mixed`, values);
  const finished = finishMixed(ctx, x, graph.reshape(values, ['T', heads * valueDim]), attention, valueDim, slot);
  return project(ctx, finished, `${slot}.o`, { rows: model.dim, columns: heads * valueDim, bias: attention.bias.o, derivation: 'dim x heads * value_dim' });
}

/** Queries in the latent space: [T, heads, kvRank + ropeDim] */
function latentQuery(ctx: LowerContext, x: Node, attention: LatentAttention, slot: string): Node {
  const { graph, model } = ctx;
  const { heads, qRank, kvRank, nopeDim, ropeDim } = attention;
  const width = nopeDim + ropeDim;
  let flat: Node;
  if (qRank === undefined) {
    flat = project(ctx, x, `${slot}.q`, { rows: heads * width, columns: model.dim, bias: false, derivation: 'heads * (nope_dim + rope_dim) x dim' });
  } else {
    const low = project(ctx, x, `${slot}.q_a`, { rows: qRank, columns: model.dim, bias: attention.bias.qA, derivation: 'q_rank x dim' });
    const normed = lowerNorm(ctx, low, attention.latentNorm, `${slot}.q_a_norm`);
    flat = project(ctx, normed, `${slot}.q_b`, { rows: heads * width, columns: qRank, bias: false, derivation: 'heads * (nope_dim + rope_dim) x q_rank' });
  }
  return labelled(ctx, `${slot}.q`, () => {
    const all = named(ctx, `${slot}.q`, graph.reshape(flat, ['T', heads, width]));
    const rotated = rotate(ctx, graph.slice(all, 2, nopeDim, ropeDim), attention, `${slot}.q`);
    const absorbed = labelled(ctx, `${slot}.k_b`, () =>
      graph.headLinear(graph.slice(all, 2, 0, nopeDim), graph.weight(`${slot}.k_b.weight`, [heads, kvRank, nopeDim], 'heads x kv_rank x nope_dim')));
    return graph.concat([absorbed, rotated], 2);
  });
}

/** The cached rows [S, 1, kvRank + ropeDim] */
function latentKey(ctx: LowerContext, x: Node, attention: LatentAttention, slot: string): Node {
  const { graph, model } = ctx;
  const { kvRank, ropeDim } = attention;
  const both = project(ctx, x, `${slot}.kv_a`, { rows: kvRank + ropeDim, columns: model.dim, bias: attention.bias.kvA, derivation: 'kv_rank + rope_dim x dim' });
  const latent = lowerNorm(ctx, graph.slice(both, 1, 0, kvRank), attention.latentNorm, `${slot}.kv_a_norm`);
  return labelled(ctx, `${slot}.kv`, () => {
    const key = graph.reshape(graph.slice(both, 1, kvRank, ropeDim), ['T', 1, ropeDim]);
    const row = named(ctx, `${slot}.kv`, graph.concat([graph.reshape(latent, ['T', 1, kvRank]), rotate(ctx, key, attention, `${slot}.k`)], 2));
    return attention.mask === 'causal' ? graph.cache(`${slot}.kv`, row) : row;
  });
}

function rotate(ctx: LowerContext, x: Node, attention: LatentAttention, slot: string): Node {
  const { position } = attention;
  return position.kind === 'rope' ? lowerRope(ctx, x, { ...position, start: 0 }, slot) : x;
}
