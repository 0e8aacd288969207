import { afterAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { conformanceCases } from './cases.ts';
import { capacityOf, weightsOf, worstError } from './harness.ts';

const variants = await Promise.all([
  { name: 'one thread, relaxed SIMD', options: { threads: 1 }, fuse: true, every: 1 },
  { name: 'one thread, plain SIMD, unfused', options: { threads: 1, relaxedSimd: false }, fuse: false, every: 1 },
  { name: 'three threads', options: { threads: 3 }, fuse: true, every: 3 },
].map(async (v) => ({ ...v, backend: await createCpuBackend(v.options) })));
afterAll(async () => { for (const v of variants) await v.backend.dispose(); });

describe.each(variants)('cpu, $name', ({ backend, fuse, every }) => {
  // Starting workers is slow: with threads a third of the cases, of every kind.
  test.each(conformanceCases().filter((_, n) => n % every === 0).map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const plan = buildPlan(c.graph, backend.target, capacityOf(c), { fuse });
    const executor = await backend.load(plan, weightsOf(c), 'conformance');
    try {
      const { error, where } = await worstError(c, executor);
      expect(error, where).toBeLessThanOrEqual(c.limit);
    } finally {
      await executor.dispose();
    }
  });
});
