/** Any pass may be left out: the others neither depend on it for being right nor break the plan. */
import { describe, expect, it } from 'vitest';
import { buildPlan } from '../../../compiler/build-plan.ts';
import { graphPasses, kernelPasses } from '../../../compiler/passes/index.ts';
import { targets } from '../../../compiler/targets.ts';
import { handGraphs } from '../../support/hand-graphs.ts';
import { expectSameAsReference } from '../../support/same-as-reference.ts';

const capacity = { maxTokens: 8, context: 16, maxLogitRows: 8 };
const chosen = handGraphs.filter(([name]) => ['llama, q/k norms and biases, partly rotated', 'odd', 'latent attention and experts', 'encoder'].includes(name));

describe('plans without one pass', () => {
  for (const pass of [...graphPasses, ...kernelPasses]) {
    it(pass.name, async () => {
      for (const [, build] of chosen) {
        const graph = build();
        const outputs = graph.outputs.map((o) => o.name);
        const plan = buildPlan(graph, targets.cpu, capacity, { outputs, fuse: { without: [pass.name] } });
        expect(plan.fusions.some((f) => f.pass === pass.name)).toBe(false);
        await expectSameAsReference(graph, plan);
      }
    });
  }
  it('with only one pass', async () => {
    const names = [...graphPasses, ...kernelPasses].map((p) => p.name);
    for (const name of names) {
      for (const [, build] of chosen.slice(1, 3)) {
        const graph = build();
        await expectSameAsReference(graph, buildPlan(graph, targets.cpu, capacity, { fuse: { without: names.filter((n) => n !== name) } }));
      }
    }
  });
});
