import { describe, expect, it } from 'vitest';
import { buildPlan, defaultOutputs } from '../../compiler/build-plan.ts';
import { decodeStep, planCost } from '../../compiler/cost.ts';
import { PeelError } from '../../compiler/diagnostics.ts';
import { printPlan, ranges } from '../../compiler/print-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { planFromJson, planToJson, verifyPlan } from '../../compiler/verify-plan.ts';
import { handGraphs, llamaGraph } from '../support/hand-graphs.ts';
import { stopwatch } from '../support/stopwatch.ts';
import { expectSameAsReference } from '../support/same-as-reference.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';

const capacity = { maxTokens: 8, context: 16, maxLogitRows: 8 };
const llama = (): ExecutionPlan => buildPlan(llamaGraph({ layers: 3 }), targets.cpu, capacity);

describe('plans', () => {
  for (const [name, build] of handGraphs) {
    it(`${name}: hold together, fused and unfused`, () => {
      for (const fuse of [true, false]) expect(verifyPlan(buildPlan(build(), targets.cpu, capacity, { fuse }))).toEqual([]);
    });
  }

  it('survive JSON and give the same result', async () => {
    const plan = llama();
    const again = planFromJson(planToJson(plan));
    expect(again).toEqual(plan);
    await expectSameAsReference(llamaGraph({ layers: 3 }), again);
  });

  it('are refused where the file is no plan or has been changed', () => {
    for (const text of ['', '{', '[]', '{"kind":"plan"}', '{"kind":"plan","peel":1}', 'null']) expect(() => planFromJson(text)).toThrow(PeelError);
    const plan = llama();
    const changed: ExecutionPlan = { ...plan, placements: plan.placements.map((p) => (p.first === undefined ? p : { ...p, slot: 0 })) };
    expect(() => planFromJson(planToJson(changed))).toThrow(/E906 .*the plan does not hold together/);
    expect(verifyPlan({ ...plan, kernels: [...plan.kernels].reverse() }).length).toBeGreaterThan(0);
  });

  it('keep the outputs that are asked for, by default the last', () => {
    const graph = llamaGraph({ outputs: true });
    expect(defaultOutputs(graph)).toEqual(['logits']);
    expect(llama().outputs.map((o) => o.name)).toEqual(['logits', 'argmax']);
    const plan = buildPlan(graph, targets.cpu, capacity, { outputs: ['hidden.0'] });
    expect(plan.outputs.map((o) => o.name)).toEqual(['hidden.0']);
    expect(plan.weights.some((w) => w.slot.startsWith('layers.1'))).toBe(false);
  });

  it('share memory between activations', () => {
    const { memory } = llama();
    expect(memory.activations).toBeLessThan(memory.activationsUnshared / 2);
    // k and v of 2 heads of 6 elements in three layers, four bytes each.
    expect(memory.stateBytesPerToken).toBe(2 * 2 * 6 * 3 * 4);
    expect(memory.states).toBe(memory.stateBytesPerToken * capacity.context);
  });

  it('estimate work: twice the weights in FLOP for a token, and every weight read once', () => {
    const plan = buildPlan(llamaGraph({ layers: 4, dim: 256, heads: 4, kvHeads: 2, headDim: 64, hidden: 512, vocab: 1000 }), targets.cpu, capacity);
    const products = plan.weights.filter((w) => w.shape.length === 2 && !w.slot.startsWith('embeddings')).reduce((n, w) => n + (w.shape[0] ?? 0) * (w.shape[1] ?? 0), 0);
    const cost = planCost(plan, decodeStep(0));
    expect(cost.flops / (2 * products)).toBeGreaterThan(1);
    expect(cost.flops / (2 * products)).toBeLessThan(1.1);
    expect(cost.bytes / (4 * products)).toBeGreaterThan(1);
    expect(cost.bytes / (4 * products)).toBeLessThan(1.1);
  });

  it('print with equal layers folded', () => {
    const text = printPlan(llama());
    expect(text).toContain('plan llama for WebAssembly: 19 kernels');
    expect(text).toContain('layers 0..2, each:');
    expect(text).toContain('(layers 0..2)');
    expect(text).toMatch(/linear {4}layers\.\{i\}\.ffn\.gate +\[T\] x \[10\|10, 12\]/);
    expect(text).toMatch(/activations .* shared slots/);
    expect(printPlan(llama(), { detail: true })).toContain('acc[t, n*2] * sigmoid(acc[t, n*2]) * acc[t, n*2 + 1]');
    expect(ranges([3, 0, 1, 2, 7])).toBe('0..3, 7');
  });

  it('of 32 layers take little time, in proportion to the layers', () => {
    const time = (layers: number): number => {
      const graph = llamaGraph({ layers, dim: 64, heads: 4, kvHeads: 2, headDim: 16, hidden: 96 });
      const spent = stopwatch();
      buildPlan(graph, targets.cpu, capacity);
      return spent();
    };
    time(8);
    const small = Math.min(time(8), time(8), time(8));
    const large = Math.min(time(32), time(32), time(32));
    expect(large).toBeLessThan(2000);
    expect(large / small).toBeLessThan(10);
  });
});
