/** Asking for every output keeps values in memory that fusion would take into other kernels: there must be shaders for what is left. */
import { expect, test } from 'vitest';
import { loadModel } from '../../index.ts';
import { buildPlan } from '../../compiler/build-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { layoutWeights } from '../../runtime/webgpu/layout.ts';
import { emitKernel } from '../../runtime/webgpu/programs.ts';

test.each(['bert', 'gemma2', 'deepseek_v3', 'gpt_oss'])('%s', async (name) => {
  const model = await loadModel({ path: `test/golden/${name}`, device: 'cpu' });
  const outputs = model.graph.outputs.map((o) => o.name);
  for (const target of [targets.webgpu, targets.webgpuSoftware]) {
    for (const fuse of [true, false]) {
      const plan = buildPlan(model.graph, target, { maxTokens: 16, context: 16, maxLogitRows: 4 }, { fuse, outputs });
      const layout = layoutWeights(plan, target.maxBindingBytes);
      const written = plan.kernels.map((kernel) => emitKernel(kernel, plan.buffers, layout, target).variants.length);
      expect(written.every((variants) => variants > 0)).toBe(true);
      expect(plan.outputs.map((o) => o.name)).toEqual(expect.arrayContaining(outputs));
    }
  }
  await model.dispose();
});
