/** Every golden checkpoint's plan, interpreted kernel by kernel in float64: fused = unfused = reference. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { expectSameAsReference } from '../support/same-as-reference.ts';
import { checkpointNames, goldenFolder, openModel } from '../support/model-folder.ts';

const names = checkpointNames(goldenFolder);
const capacity = { maxTokens: 8, context: 16, maxLogitRows: 8 };

/** Kernels of the fused plan that come from layer 1, the first where every family has settled. */
const layerKernels: Readonly<Record<string, number>> = {
  bert: 7, bloom: 5, cohere: 5, deepseek_v2: 19, deepseek_v2_lite: 14, deepseek_v3: 18, deepseek_v3_yarn: 18, falcon_40b: 6,
  falcon_7b: 4, gemma: 5, gemma2: 7, gemma3: 7, gpt2: 5, gpt_neox: 6, gpt_oss: 9, gptj: 4,
  granite: 5, llama: 5, llama3_scaling: 5, llama_linear_scaling: 5, llama_odd: 5, llama_tied: 5, mistral: 5, mixtral: 10,
  olmo2: 7, phi: 4, phi3: 5, qwen2: 5, qwen3: 5, qwen3_moe: 5, smollm3: 5, starcoder2: 5,
};

describe('golden plans', () => {
  test.each(names)('%s', async (name) => {
    const opened = await openModel(path.join(goldenFolder, name));
    try {
      const outputs = opened.graph.outputs.map((o) => o.name);
      for (const target of [targets.cpu, targets.webgpuSoftware]) {
        await expectSameAsReference(opened.graph, buildPlan(opened.graph, target, capacity, { outputs }), 1e-14, opened.weights);
      }
      const plan = buildPlan(opened.graph, targets.cpu, capacity);
      const count = plan.kernels.filter((k) => k.origin.layer === 1).length;
      expect(count, 'kernels of layer 1').toBe(layerKernels[name]);
    } finally {
      await opened.dispose();
    }
  });
});
