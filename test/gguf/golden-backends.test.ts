/**
 * GGUF files on the backends that people run: rotary factors from weights, latent attention, sinks, fused and permuted
 * tensors, layers of different widths, queries and gates in one tensor.
 */
import { describe, expect, test } from 'vitest';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { readGolden } from '../support/golden.ts';
import { expectRecorded, onPlans, withLoader } from '../support/golden-suite.ts';
import { openTestWebGpu } from '../support/webgpu.ts';
import { openRecorded } from './files.ts';

const names = ['llama3_scaling', 'phi3_long', 'deepseek_v3_yarn', 'gpt_oss', 'falcon_40b', 'deci', 'qwen3_next'];

describe.each([
  ['cpu', onPlans(() => createCpuBackend({ threads: 2 }), 'logits')],
  ['webgpu', onPlans(openTestWebGpu, 'logits')],
] as const)('golden checkpoints as GGUF files on %s', (_, create) => {
  withLoader(create, (loader) => {
    test.each(names)('%s', async (name) => {
      const { folder, opened } = await openRecorded(name);
      expect(opened.graph.weights.length).toBeGreaterThan(0);
      await expectRecorded(loader(), await readGolden(folder), opened);
    });
  });
});
