/** Random feed-forward networks, mixtures of experts, and custom blocks. */
import type { Yaml } from './random-attention.ts';
import type { RandomSource } from './random-source.ts';

const builtins = ['identity', 'relu', 'relu2', 'gelu', 'gelu_tanh', 'gelu_quick', 'silu', 'sigmoid', 'tanh', 'softplus', 'mish'];

export function randomFeedForward(r: RandomSource, activations: readonly string[], expert = false): Yaml {
  const gated = r.chance(0.6);
  const alpha = r.chance(0.15);
  return {
    hidden: r.integer(1, 30),
    activation: alpha ? 'silu' : r.chance(0.25) ? r.pick([...builtins, ...activations]) : r.pick(['silu', 'gelu', 'gelu_tanh', 'relu', ...activations]),
    gated,
    bias: r.chance(0.6) ? r.chance(0.5) : { up: r.chance(0.5), gate: gated && r.chance(0.5), down: r.chance(0.5) },
    ...(alpha ? { alpha: 1.702 } : {}),
    ...r.maybe(gated ? 0.2 : 0, 'clamp', () => 0.8),
    ...r.maybe(gated ? 0.2 : 0, 'up_offset', () => 1),
    ...r.maybe(expert ? 0 : 0.15, 'mid_norm', () => r.pick(['rmsnorm', 'default'])),
  };
}

export function randomMixture(r: RandomSource, activations: readonly string[]): Yaml {
  const groups = r.pick([1, 1, 2, 3]);
  const perGroup = r.integer(2, 3);
  const topGroups = r.integer(1, groups);
  const order = r.pick(['score_then_topk', 'score_then_topk', 'topk_then_score']);
  const expert = randomFeedForward(r, activations, true);
  return {
    experts: groups * perGroup, top_k: r.integer(1, Math.min(3, topGroups * perGroup)),
    router: {
      score: r.pick(['softmax', 'sigmoid']), order,
      bias: r.chance(0.3), selection_bias: r.chance(0.3),
      groups, top_groups: topGroups, group_score: r.pick(['max', 'sum_top2']), group_mask: r.pick(['zero', 'minus_infinity']),
      normalize: r.chance(0.5), norm_eps: r.pick([0, 1e-20, 0.01]), ...r.maybe(0.2, 'norm_min', () => 0.3),
      scale: r.pick([1, 2.5]), apply: r.pick(['output', 'output', 'input']),
    },
    expert,
    ...r.maybe(0.4, 'shared', () => ({ hidden: r.integer(1, 20), gate: r.chance(0.5) })),
  };
}

/** Learned and plain activations, under the names that the spec gives them. */
export const customActivations: Yaml = {
  bent: { weights: { slope: [1], curve: [1] }, value: 'x > 0 ? slope * x + curve * x * x / (1 + x * x) : 0.3 * expm1(min(x, 0))' },
  wave: { value: 'x + sin(scale_of_wave * x) / scale_of_wave' },
};

/** Custom blocks by name. */
export const customBlocks: Yaml = {
  mixer: {
    params: { width: 7, sharp: 2 },
    weights: { gain: ['dim'], in_a: ['width', 'dim'], in_b: ['width', 'dim'], shift: ['width'], back: ['dim', 'width'] },
    body: [
      { h: 'rmsnorm(x, gain, 0.00001)' },
      { a: 'linear(h, in_a, shift)' },
      { b: 'silu(linear(h, in_b)) * (1 + tanh(a) / sharp)' },
      { c: 'a > 0 ? b : b * exp(min(a, 0))' },
      { d: 'linear(c / (1 + sqrt(mean(c * c))), back)' },
    ],
  },
  attend: {
    params: { n: 2, d: 4, groups: 1 },
    weights: { wq: ['n * d', 'dim'], wk: ['groups * d', 'dim'], wv: ['groups * d', 'dim'], wg: ['n', 'dim'], wo: ['dim', 'n * d'] },
    body: [
      { q: "rope(reshape(linear(x, wq), [n, d]), d, 1000, 'half')" },
      { k: "rope(l2norm(reshape(linear(x, wk), [groups, d])), d, 1000, 'half')" },
      { v: 'reshape(linear(x, wv), [groups, d])' },
      { y: 'attention(q, k, v, 1 / sqrt(d), 4, 20)' },
      { g: 'reshape(sigmoid(linear(x, wg)), [n, 1])' },
      { o: 'linear(reshape(y * g, [n * d]), wo)' },
    ],
  },
  sparse: {
    params: { width: 6, keep: 2 },
    weights: { up: ['dim', 'width'], down: ['dim', 'width'], table: ['rows_of_table', 'dim'] },
    body: [
      { h: 'linear(x, transpose(up, [1, 0]))' },
      { best: 'topk(h, keep)' },
      { kept: 'h * member(best, width)' },
      { top: 'take(h, best)' },
      { near: 'concat([slice(kept, -1, 0, width - 1), sum(top)], -1)' },
      { y: 'linear(near / (1 + amax(abs(near))), down) + 0.1 * gather(table, ids)' },
    ],
  },
  scored: {
    params: { n: 2, d: 3 },
    weights: { wq: ['n * d', 'dim'], wk: ['n * d', 'dim'], wo: ['dim', 'n * d'] },
    body: [
      { q: 'reshape(linear(x, wq), [n, d])' },
      { k: 'cache(reshape(linear(x, wk), [n, d]))' },
      { s: 'mask(scores(q, k) / d, 5)' },
      { y: 'linear(reshape(mix(softmax(s), k), [n * d]), wo)' },
    ],
  },
};

export function randomBlock(r: RandomSource, bidirectional: boolean): Yaml {
  switch (r.pick(bidirectional ? ['mixer', 'sparse'] : ['mixer', 'attend', 'sparse', 'scored'])) {
    case 'attend': { const groups = r.integer(1, 2); return { use: 'attend', with: { n: groups * r.integer(1, 2), d: 2 * r.integer(1, 3), groups } }; }
    case 'sparse': { const width = r.integer(2, 8); return { use: 'sparse', with: { width, keep: r.integer(1, width) } }; }
    case 'scored': return { use: 'scored', with: { n: r.integer(1, 3), d: r.integer(1, 5) } };
    default: return { use: 'mixer', with: { width: r.integer(1, 12), sharp: 'i + 2' } };
  }
}
