/** What fusions make of tapped values: stored besides, or refused with the name of the tap. */
import { describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { tapGraph } from '../../compiler/taps.ts';
import { targets } from '../../compiler/targets.ts';
import { loadText } from '../compiler/models.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';

const graph = ((): Graph => {
  const { spec } = loadText(`peel: 1
embeddings: { token: { rows: 30, dim: 64 } }
normalization: { kind: rmsnorm, eps: 0.00001 }
layers:
  repeat: 1
  residual:
    - { norm: default, attention: { heads: 4, kv_heads: 2, head_dim: 16, position: { rope: { theta: 10000 } } } }
    - { norm: default, ffn: { hidden: 128, activation: silu, gated: true } }
output: { norm: default, linear: { tied: true } }`);
  return lowerModel(resolveModel(spec!, {}).model!).graph!;
})();

function planned(...patterns: string[]): ExecutionPlan {
  const tapped = tapGraph(graph, patterns);
  return buildPlan(tapped.graph, targets.cpu, { maxTokens: 8, context: 16, maxLogitRows: 1 }, { outputs: ['logits', ...tapped.names] });
}
const plain = planned();
/** What is said of fusions that name the tap. */
const said = (plan: ExecutionPlan): string[] => plan.fusions.filter((f) => f.reason.includes('tapped')).map((f) => `${f.fired ? '+' : '-'} ${f.pass} ${f.origin}: ${f.reason}`);
const writer = (plan: ExecutionPlan, name: string): string => {
  const buffer = plan.buffers.find((b) => b.role === 'output' && b.name === name)!.id;
  return plan.kernels.filter((k) => 'stores' in k && k.stores.some((s) => s.buffer === buffer)).map((k) => `${k.kind} ${k.origin.label}`).join();
};

test('without taps nothing is said of them, and nothing is stored', () => {
  expect(said(plain)).toEqual([]);
  expect(plain.outputs.map((o) => o.name)).toEqual(['logits', 'argmax']);
});

describe('stored besides by the kernel that holds it:', () => {
  test.each([
    ['layers.0.attention.q', 'linear layers.0.attention.q'],
    ['layers.0.attention.v', 'linear layers.0.attention.q'],
    ['layers.0.attention.k_rope', 'linear layers.0.attention.q'],
    ['layers.0.attention.mixed', 'attention layers.0.attention.core'],
    ['layers.0.attention.out', 'linear layers.0.attention.o'],
    ['layers.0.attention.residual', 'linear layers.0.attention.o'],
    ['layers.0.ffn.{gate,up}', 'linear layers.0.ffn.up'],
    ['layers.0.ffn.out', 'linear layers.0.ffn.down'],
  ])('%s', (pattern, kernel) => {
    const plan = planned(pattern);
    expect(plan.kernels.length).toBe(plain.kernels.length);
    for (const { name } of plan.outputs.filter((o) => o.name.startsWith('layers.'))) expect(writer(plan, name)).toBe(kernel);
  });

  test('the plan says so', () => {
    expect(said(planned('layers.0.ffn.gate'))).toEqual(['+ epilogue layers.0.ffn.activation: arithmetic computed behind layers.0.ffn.up, which stores its own result besides: layers.0.ffn.gate is tapped']);
  });
});

describe('refused, with the name of the tap:', () => {
  test.each([
    ['layers.0.attention.probs', '- attention layers.0.attention.core: layers.0.attention.probs is tapped: it must be stored, so that scores, softmax and mix stay apart'],
    ['layers.0.attention.scores', '- attention layers.0.attention.core: layers.0.attention.scores is tapped: it must be stored, so that scores, softmax and mix stay apart'],
    ['layers.0.ffn.norm', '- linear-input layers.0.ffn.norm: not into the product that follows: layers.0.ffn.norm is tapped, so that it must be stored'],
  ])('%s', (name, reason) => {
    const plan = planned(name);
    expect(said(plan)).toContain(reason);
    expect(plan.kernels.length).toBeGreaterThan(plain.kernels.length);
  });
});

test('keys and values of the whole sequence are copied out of the cache', () => {
  const plan = planned('layers.0.attention.{keys,values}');
  expect(plan.kernels.length).toBe(plain.kernels.length + 1);
  expect(plan.buffers.filter((b) => b.role === 'output' && b.name.startsWith('layers.')).map((b) => b.shape)).toEqual([['S', 2, 16], ['S', 2, 16]]);
});
