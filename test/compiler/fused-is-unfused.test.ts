import { describe, expect, it } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { handGraphs } from '../support/hand-graphs.ts';
import { expectSameAsReference } from '../support/same-as-reference.ts';
import { printSchedule } from '../../compiler/kernels/print.ts';
import type { Schedule } from '../../compiler/kernels/types.ts';

const capacity = { maxTokens: 8, context: 16, maxLogitRows: 8 };

describe('fused = unfused = reference', () => {
  for (const [name, build] of handGraphs) {
    for (const target of [targets.cpu, targets.webgpuSoftware]) {
      it(`${name} on ${target.name}, after every pass`, async () => {
        const graph = build();
        const stages: [string, Schedule][] = [];
        const outputs = graph.outputs.map((o) => o.name);
        const plan = buildPlan(graph, target, capacity, { outputs, onPass: (pass, s) => stages.push([pass, s]) });
        const changed = stages.filter(([, s], n) => printSchedule(s) !== printSchedule(stages[n - 1]?.[1] ?? { ...s, kernels: [] }));
        for (const [pass, s] of changed) await expectSameAsReference(graph, s).catch((error: unknown) => { throw new Error(`after ${pass}: ${String(error)}`); });
        await expectSameAsReference(graph, plan);
        expect(plan.kernels.length).toBeLessThan(buildPlan(graph, target, capacity, { outputs, fuse: false }).kernels.length);
      });
    }
  }
});
