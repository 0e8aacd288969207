/** Random attention blocks: plain and latent, over all their knobs. */
import type { RandomSource } from './random-source.ts';

export type Yaml = { readonly [key: string]: unknown };

export interface AttentionChoices {
  readonly dim: number;
  readonly layers: number;
  readonly bidirectional: boolean;
  readonly activations: readonly string[];
}

/** A position that heads of `headDim` can have. */
function position(r: RandomSource, headDim: number, ids: string, choices: AttentionChoices): unknown {
  const kinds = ['rope', 'rope', 'rope', 'alibi', 'relative', 'none'];
  switch (r.pick(headDim >= 2 ? kinds : kinds.slice(3))) {
    case 'rope': return { rope: rope(r, r.chance(0.3) ? headDim : 2 * r.integer(1, Math.floor(headDim / 2)), headDim) };
    case 'alibi': return { alibi: { max_bias: r.pick([4, 8]), inside_scale: r.chance(0.3), slope_type: r.pick(['f32', 'bf16']), ...r.maybe(0.2, 'when', () => 'i % 2 == 0') } };
    case 'relative': return { relative_bias: { buckets: r.pick([4, 6, 8]), max_distance: r.pick([6, 9, 16]), bidirectional: choices.bidirectional || r.chance(0.3), slot: `layers.0.${ids}.relative_bias` } };
    default: return 'none';
  }
}

function rope(r: RandomSource, even: number, headDim: number): Yaml {
  const dims = even % 2 === 0 ? even : Math.max(2, even - 1);
  const factors = (): number[] => Array.from({ length: dims / 2 }, () => 1 + r.integer(0, 8) / 4);
  const type = r.pick(['none', 'none', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope', 'proportional']);
  const scaling = {
    none: { type: 'none' },
    linear: { type: 'linear', factor: 3 },
    dynamic: { type: 'dynamic', factor: 2, original_context: r.pick([4, 6, 64]) },
    llama3: { type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_context: 32 },
    yarn: { type: 'yarn', factor: 4, original_context: 32, truncate: r.chance(0.5), ...r.maybe(0.3, 'attention_factor', () => 1.2), ...(r.chance(0.3) ? { mscale: 1, mscale_all_dim: 0.7 } : {}) },
    longrope: { type: 'longrope', factor: 4, original_context: r.pick([4, 6, 64]), short_factor: factors(), long_factor: factors() },
    proportional: { type: 'proportional', factor: 2, partial: 0.5 },
  }[type];
  return {
    dims: dims,
    theta: r.pick([100, 10000, 'i % 2 == 0 ? 1000 : 50000']),
    pairing: r.pick(['half', 'interleaved']),
    // Dynamic scaling divides by dims - 2.
    ...(scaling && !(type === 'dynamic' && dims === 2) ? { scaling } : {}),
    ...r.maybe(dims < headDim ? 0.3 : 0, 'part', () => 'last'),
    ...r.maybe(0.2, 'when', () => 'i % 2 == 1'),
  };
}

function window(r: RandomSource, choices: AttentionChoices): Yaml {
  return {
    size: r.pick([1, 2, 3, 5, 'i + 2']),
    kind: choices.bidirectional ? 'symmetric' : r.pick(['sliding', 'sliding', 'chunked', 'symmetric']),
    ...r.maybe(0.3, 'when', () => 'i % 2 == 0'),
  };
}

/** What plain and latent attention share. */
function common(r: RandomSource, choices: AttentionChoices): Yaml {
  return {
    mask: choices.bidirectional ? 'bidirectional' : 'causal',
    ...r.maybe(0.2, 'softcap', () => r.pick([2, 10])),
    ...r.maybe(0.2, 'sinks', () => true),
    ...r.maybe(0.35, 'window', () => window(r, choices)),
    ...r.maybe(0.15, 'sub_norm', () => r.pick(['default', 'rmsnorm', 'layernorm'])),
    ...r.maybe(0.15, 'gate', () => ({ activation: r.pick(['sigmoid', 'silu', ...choices.activations]), per: r.pick(['element', 'head']), bias: r.chance(0.5) })),
    ...r.maybe(0.1, 'query_temperature', () => ({ scale: 0.3, floor: 3, offset: 1 })),
  };
}

export function randomAttention(r: RandomSource, choices: AttentionChoices, id: string): Yaml {
  const kvHeads = r.integer(1, 3);
  const heads = kvHeads * r.integer(1, 3);
  const headDim = r.integer(2, 9);
  const sameValue = r.chance(0.8);
  const bias = r.chance(0.5) ? r.chance(0.5) : { q: r.chance(0.5), k: r.chance(0.5), v: r.chance(0.5), o: r.chance(0.5) };
  const place = position(r, headDim, id, choices);
  return {
    heads, kv_heads: kvHeads, head_dim: headDim, bias,
    ...(sameValue ? {} : { value_dim: r.integer(1, 7) }),
    ...r.maybe(0.3, 'scale', () => r.pick([0.2, 1, 'head_scale / (i + 1)'])),
    ...r.maybe(0.35, 'qk_norm', () => ({
      kind: r.pick(['rmsnorm', 'layernorm', 'l2norm']), weight: r.chance(0.8), when: r.pick(['before_rope', 'after_rope']),
      scope: r.pick(['head', 'per_head', 'full']), ...r.maybe(0.3, 'offset', () => 1),
    })),
    ...r.maybe(0.1, 'v_norm', () => ({ kind: 'rmsnorm', weight: false })),
    ...r.maybe(0.15, 'clip', () => 1.5),
    ...common(r, choices),
    position: place,
    ...r.maybe(choices.layers > 1 && !choices.bidirectional ? 0.15 : 0, 'kv_from', () => `i == ${choices.layers - 1} ? 0 : null`),
  };
}

export function randomLatentAttention(r: RandomSource, choices: AttentionChoices): Yaml {
  const ropeDim = 2 * r.integer(1, 3);
  return {
    heads: r.integer(1, 4), kv_rank: r.integer(3, 9), nope_dim: r.integer(2, 7), rope_dim: ropeDim, value_dim: r.integer(1, 7),
    ...r.maybe(0.5, 'q_rank', () => r.integer(2, 9)),
    bias: r.chance(0.3),
    ...r.maybe(0.4, 'scale', () => 0.3),
    ...common(r, choices),
    position: { rope: rope(r, ropeDim, ropeDim) },
  };
}
