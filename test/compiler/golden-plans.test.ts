/** Every golden checkpoint's plan, interpreted kernel by kernel in float64: fused = unfused = reference. */
import path from 'node:path';
import { describe, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { expectSameAsReference } from '../support/same-as-reference.ts';
import { checkpointNames, goldenFolder, openModel } from '../support/model-folder.ts';

const names = checkpointNames(goldenFolder);
const capacity = { maxTokens: 8, context: 16, maxLogitRows: 8 };

describe('golden plans', () => {
  test.each(names)('%s', async (name) => {
    const opened = await openModel(path.join(goldenFolder, name));
    try {
      const outputs = opened.graph.outputs.map((o) => o.name);
      for (const target of [targets.cpu, targets.webgpuSoftware]) {
        await expectSameAsReference(opened.graph, buildPlan(opened.graph, target, capacity, { outputs }), 1e-14, opened.weights);
      }
    } finally {
      await opened.dispose();
    }
  });
});
