import { describe, expect, test } from 'vitest';
import { loadSpec } from '../../compiler/load.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import type { Lowered } from '../../compiler/lower/lower-model.ts';

function lower(residual: string): Lowered {
  const text = `
peel: 1
embeddings: { token: { rows: 9, dim: 8 } }
normalization: { kind: rmsnorm, eps: 0.00001 }
layers:
  repeat: 2
  residual: ${residual}
output: { norm: default, linear: { tied: true } }
`;
  const { spec } = loadSpec('model.yaml', () => text);
  if (!spec) throw new Error('did not load');
  const resolved = resolveModel(spec, {});
  return resolved.model ? lowerModel(resolved.model) : { diagnostics: resolved.diagnostics };
}

const operators = (lowered: Lowered): string[] => (lowered.graph?.nodes ?? []).map((n) => n.operator.op);

describe('attention', () => {
  test('causal attention keeps keys and values, bidirectional keeps nothing', () => {
    const causal = lower('[ { attention: { heads: 2 } } ]');
    expect(causal.graph?.states.map((s) => s.name)).toEqual(['layers.0.attention.k', 'layers.0.attention.v', 'layers.1.attention.k', 'layers.1.attention.v']);
    const both = lower('[ { attention: { heads: 2, mask: bidirectional } } ]');
    expect(both.graph?.states).toEqual([]);
    expect(operators(both)).not.toContain('mask');
  });

  test('layers with the same rotation share its angles', () => {
    const { graph } = lower('[ { attention: { heads: 2, position: { rope: { theta: 10000, pairing: half } } } } ]');
    expect(graph?.nodes.filter((n) => n.origin.label === 'rope.angles' && n.operator.op === 'map').length).toBe(1);
    expect(graph?.nodes.filter((n) => n.operator.op === 'rope').length).toBe(4);
  });

  test('a layer may read the keys and values of an earlier one', () => {
    const { graph, diagnostics } = lower('[ { attention: { heads: 2, kv_from: "i == 1 ? 0 : null" } } ]');
    expect(diagnostics).toEqual([]);
    expect(graph?.states.length).toBe(2);
    expect(graph?.weights.some((w) => w.slot === 'layers.1.attention.k.weight')).toBe(false);
  });

  test('but not of one that keeps none', () => {
    const { graph, diagnostics } = lower(`
    - id: mixing
      variants:
        - { when: i == 0, ffn: { hidden: 4, activation: relu } }
        - { attention: { heads: 2, kv_from: 0 } }`);
    expect(graph).toBeUndefined();
    expect(diagnostics.map((d) => d.code)).toEqual(['E309']);
  });

  test('latent attention keeps one row for all heads: the latent and the rotated key', () => {
    const { graph } = lower('[ { id: attention, mla: { heads: 3, kv_rank: 5, nope_dim: 4, rope_dim: 2, value_dim: 3 } } ]');
    expect(graph?.states[0]).toEqual({ name: 'layers.0.attention.kv', row: [1, 7] });
    expect(graph?.weights.find((w) => w.slot === 'layers.0.attention.k_b.weight')?.shape).toEqual([3, 5, 4]);
    expect(graph?.weights.find((w) => w.slot === 'layers.0.attention.v_b.weight')?.shape).toEqual([3, 3, 5]);
  });

  test('names every output that can be compared layer by layer', () => {
    const { graph } = lower('[ { attention: { heads: 2 } } ]');
    expect(graph?.outputs.map((o) => o.name)).toEqual(['embeddings', 'hidden.0', 'hidden.1', 'final', 'logits']);
    const logits = graph?.nodes.find((n) => n.id === graph.outputs.at(-1)?.node);
    expect(logits?.shape).toEqual(['R', 9]);
  });
});
