/** That names stand for what they say: each value is worked out here from others. */
import { describe, expect, test } from 'vitest';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { tapGraph } from '../../compiler/taps.ts';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { RandomProvider } from '../../runtime/weights/random.ts';
import { loadText } from '../compiler/models.ts';

const tokens = 5;
type Values = (name: string) => number[];

/** Every value of a step of five tokens of a model of one layer, by its name without `layers.0.`. */
async function valuesOf(steps: string): Promise<Values> {
  const { spec } = loadText(`peel: 1
embeddings: { token: { rows: 11, dim: 8 } }
normalization: { kind: rmsnorm, eps: 0, weight: false }
layers: { repeat: 1, residual: [${steps}] }
output: { norm: default, linear: { tied: true } }`);
  const { model, diagnostics } = resolveModel(spec!, {});
  if (!model) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const { graph, names } = tapGraph(lowerModel(model).graph!, ['*']);
  const executor = await referenceBackend.load(graph, new RandomProvider(graph.weights, 5), 'test');
  const { outputs } = await executor.step({ ids: Int32Array.of(3, 1, 4, 10, 5), past: 0, logitRows: tokens }, names);
  return (name) => [...(outputs.get(`layers.0.${name}`) ?? outputs.get(name) ?? [])];
}

function same(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  expect(expected.length).toBeGreaterThan(0);
  expect(Math.max(...found.map((x, n) => Math.abs(x - (expected[n] ?? NaN)) / (1 + Math.abs(x))))).toBeLessThan(1e-5);
}
const rowsOf = (x: readonly number[], width: number): number[][] => Array.from({ length: x.length / width }, (_, n) => x.slice(n * width, (n + 1) * width));
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, n) => sum + x * (b[n] ?? NaN), 0);
const rms = (x: readonly number[], width: number): number[] => rowsOf(x, width).flatMap((row) => row.map((v) => v / Math.sqrt(dot(row, row) / width)));
const plus = (a: readonly number[], b: readonly number[]): number[] => a.map((x, n) => x + (b[n] ?? NaN));
const times = (a: readonly number[], b: readonly number[]): number[] => a.map((x, n) => x * (b[n] ?? NaN));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: readonly number[]): number[] => x.map((v) => v * sigmoid(v));

/** [T, heads, keys] of queries [T, heads, d] and keys [S, groups, d]. */
function products(q: readonly number[], k: readonly number[], heads: number, groups: number, d: number): number[] {
  const [queries, keys] = [rowsOf(q, d), rowsOf(k, d)];
  return queries.flatMap((row, n) => Array.from({ length: tokens }, (_, s) => dot(row, keys[s * groups + Math.floor(((n % heads) * groups) / heads)]!)));
}
function softmaxOfSeen(scores: readonly number[], heads: number): number[] {
  return rowsOf(scores, tokens).flatMap((row, n) => {
    const exponents = row.map((x, s) => (s <= Math.floor(n / heads) ? Math.exp(x) : 0));
    return exponents.map((x) => x / exponents.reduce((a, b) => a + b, 0));
  });
}
/** [T, heads, d] */
function mixed(probs: readonly number[], v: readonly number[], heads: number, groups: number, d: number): number[] {
  const values = rowsOf(v, d);
  return rowsOf(probs, tokens).flatMap((row, n) => Array.from({ length: d }, (_, j) =>
    row.reduce((sum, p, s) => sum + p * values[s * groups + Math.floor(((n % heads) * groups) / heads)]![j]!, 0)));
}

test('attention: norms of heads before the rotation, soft cap, gate, norm behind', async () => {
  const v = await valuesOf(`{ norm: default, post_norm: default, attention: { heads: 4, kv_heads: 2, head_dim: 6, softcap: 2, scale: 0.7,
    qk_norm: { kind: rmsnorm, scope: head, when: before_rope }, gate: { activation: sigmoid, per: element }, position: { rope: { theta: 100 } } } }`);
  same(v('attention.norm'), rms(v('embeddings'), 8));
  same(v('embeddings'), v('embeddings.token'));
  for (const name of ['q', 'k']) {
    same(v(`attention.${name}`), rms(v(`attention.${name}`), 6));
    // A rotation keeps each head's length, moves all tokens but the first, and turns pairs (j, j + 3).
    expect(v(`attention.${name}_rope`).slice(12)).not.toEqual(v(`attention.${name}`).slice(12));
    const lengths = (x: number[]): number[] => rowsOf(x, 6).flatMap((row) => [0, 1, 2].map((j) => Math.hypot(row[j]!, row[j + 3]!)));
    same(lengths(v(`attention.${name}_rope`)), lengths(v(`attention.${name}`)));
  }
  same(v('attention.keys'), v('attention.k_rope'));
  same(v('attention.values'), v('attention.v'));
  same(v('attention.scores'), products(v('attention.q_rope'), v('attention.keys'), 4, 2, 6).map((x) => 2 * Math.tanh((0.7 * x) / 2)));
  same(v('attention.probs'), softmaxOfSeen(v('attention.scores'), 4));
  same(v('attention.mixed'), mixed(v('attention.probs'), v('attention.values'), 4, 2, 6));
  same(v('attention.gated'), times(v('attention.mixed'), v('attention.gate').map(sigmoid)));
  same(v('attention.post_norm'), rms(v('attention.out'), 8));
  same(v('attention.residual'), plus(v('embeddings'), v('attention.post_norm')));
  same(v('hidden.0'), v('attention.residual'));
  same(v('final'), rms(v('hidden.0'), 8));
});

test('attention: norms of heads behind the rotation', async () => {
  const v = await valuesOf('{ attention: { heads: 2, head_dim: 4, qk_norm: { kind: rmsnorm, scope: head, when: after_rope }, position: { rope: { theta: 100 } } } }');
  same(v('attention.q_rope'), rms(v('attention.q_rope'), 4));
  // Before it, and before the norm: other lengths, the same directions at the first token, which does not turn.
  expect(Math.abs(dot(v('attention.q').slice(0, 4), v('attention.q').slice(0, 4)) - 4)).toBeGreaterThan(1e-3);
  same(rms(v('attention.q').slice(0, 8), 4), v('attention.q_rope').slice(0, 8));
});

test('latent attention', async () => {
  const v = await valuesOf('{ mla: { heads: 2, kv_rank: 6, nope_dim: 4, rope_dim: 2, value_dim: 3, scale: 0.5, position: { rope: { theta: 100, dims: 2 } } } }');
  same(v('mla.keys'), v('mla.kv'));
  same(rowsOf(v('mla.kv'), 8).flatMap((row) => row.slice(0, 6)), rms(rowsOf(v('mla.kv'), 8).flatMap((row) => row.slice(0, 6)), 6));
  same(v('mla.scores'), products(v('mla.q_latent'), v('mla.keys'), 2, 1, 8).map((x) => x / 2));
  same(v('mla.probs'), softmaxOfSeen(v('mla.scores'), 2));
  same(v('mla.latent'), mixed(v('mla.probs'), rowsOf(v('mla.keys'), 8).flatMap((row) => row.slice(0, 6)), 2, 1, 6));
  // The rotated part of the queries, at the first token as it was.
  same(rowsOf(v('mla.q_latent').slice(0, 16), 8).flatMap((row) => row.slice(6)), rowsOf(v('mla.q').slice(0, 12), 6).flatMap((row) => row.slice(4)));
  expect(v('mla.mixed').length).toBe(tokens * 2 * 3);
  same(v('mla.residual'), plus(v('embeddings'), v('mla.out')));
});

describe('feed-forwards', () => {
  test('gated, with a norm inside', async () => {
    const v = await valuesOf('{ norm: default, ffn: { hidden: 12, activation: silu, gated: true, mid_norm: default } }');
    same(v('ffn.hidden'), times(silu(v('ffn.gate')), v('ffn.up')));
    same(v('ffn.mid_norm'), rms(v('ffn.hidden'), 12));
    same(v('ffn.residual'), plus(v('embeddings'), v('ffn.out')));
  });

  test('a mixture of experts', async () => {
    const v = await valuesOf(`{ moe: { experts: 4, top_k: 2, router: { score: softmax, normalize: true, scale: 3 }, expert: { hidden: 5, activation: silu, gated: true },
      shared: { hidden: 3, activation: silu, gated: true, gate: true } } }`);
    const scores = rowsOf(v('moe.router'), 4).flatMap((row) => row.map((x) => Math.exp(x) / row.reduce((sum, y) => sum + Math.exp(y), 0)));
    same(v('moe.router.scores'), scores);
    const best = rowsOf(scores, 4).map((row) => [0, 1, 2, 3].sort((a, b) => row[b]! - row[a]!).slice(0, 2));
    expect(v('moe.choice')).toEqual(best.flat());
    same(v('moe.weights'), best.flatMap((chosen, t) => chosen.map((e) => (3 * scores[t * 4 + e]!) / chosen.reduce((sum, other) => sum + scores[t * 4 + other]!, 0))));
    same(v('moe.experts.hidden'), times(silu(v('moe.experts.gate')), v('moe.experts.up')));
    const weighed = rowsOf(v('moe.experts.out'), 8).map((row, n) => row.map((x) => x * v('moe.weights')[n]!));
    same(v('moe.experts'), Array.from({ length: tokens }, (_, t) => plus(weighed[2 * t]!, weighed[2 * t + 1]!)).flat());
    same(v('moe.shared.hidden'), times(silu(v('moe.shared.gate')), v('moe.shared.up')));
    // The gate is one number from 0 to 1 a token.
    const gates = rowsOf(v('moe.shared').map((x, n) => x / v('moe.shared.out')[n]!), 8);
    for (const row of gates) {
      expect(Math.max(...row) - Math.min(...row)).toBeLessThan(1e-5);
      expect(row[0]).toBeGreaterThan(0);
      expect(row[0]).toBeLessThan(1);
    }
    same(v('moe.out'), plus(v('moe.experts'), v('moe.shared')));
  });
});
