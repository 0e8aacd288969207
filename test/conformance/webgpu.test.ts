import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { schedule } from '../../compiler/schedule.ts';
import type { WebGpuBackend } from '../../runtime/webgpu/index.ts';
import { openWebGpu } from '../support/webgpu.ts';
import { plainPlan } from '../webgpu/plain-plan.ts';
import { conformanceCases } from './cases.ts';
import { weightsOf, worstError } from './harness.ts';

describe('webgpu, one kernel an operator', () => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openWebGpu(); });
  afterAll(() => backend.dispose());

  test.each(conformanceCases())('$name', async (c) => {
    const capacity = { maxTokens: Math.max(...c.steps), context: c.steps.reduce((a, b) => a + b), maxLogitRows: c.logitRows ?? 1 };
    const executor = await backend.load(plainPlan(schedule(c.graph), backend.target, capacity), weightsOf(c), 'conformance');
    const { error, where } = await worstError(c, executor);
    expect(error, where).toBeLessThanOrEqual(c.limit);
    await executor.dispose();
  });
});
