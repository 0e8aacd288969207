import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import type { WebGpuBackend } from '../../runtime/webgpu/index.ts';
import { openTestWebGpu } from '../support/webgpu.ts';
import { conformanceCases } from './cases.ts';
import { weightsOf, worstError } from './harness.ts';

describe('webgpu', () => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openTestWebGpu(); });
  afterAll(() => backend.dispose());

  test.each(conformanceCases())('$name', async (c) => {
    const capacity = { maxTokens: Math.max(...c.steps), context: c.steps.reduce((a, b) => a + b), maxLogitRows: c.logitRows ?? 1 };
    for (const fuse of [false, true]) {
      const executor = await backend.load(buildPlan(c.graph, backend.target, capacity, { fuse }), weightsOf(c), 'conformance');
      const { error, where } = await worstError(c, executor);
      expect(error, `${fuse ? 'fused' : 'one kernel an operator'}, ${where}`).toBeLessThanOrEqual(c.limit);
      await executor.dispose();
    }
  });
});
