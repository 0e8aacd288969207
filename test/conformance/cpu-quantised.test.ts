import { afterAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { capacityOf, weightsOf, worstError } from './harness.ts';
import { int8Limit, quantisedCases } from './quantised-cases.ts';

const variants = await Promise.all([
  { name: '8-bit inputs, relaxed SIMD', options: { threads: 1 }, fuse: true, every: 1 },
  { name: '8-bit inputs, plain SIMD, three threads', options: { threads: 3, relaxedSimd: false }, fuse: true, every: 1 },
  { name: 'f32 inputs', options: { threads: 1, exact: true }, fuse: true, every: 1 },
  { name: 'f32 inputs, plain SIMD, unfused, two threads', options: { threads: 2, exact: true, relaxedSimd: false }, fuse: false, every: 3 },
].map(async (v) => ({ ...v, backend: await createCpuBackend(v.options) })));
afterAll(async () => { for (const v of variants) await v.backend.dispose(); });

describe.each(variants)('cpu, $name', ({ backend, options, fuse, every }) => {
  test.each(quantisedCases().filter((_, n) => n % every === 0).map((c) => [c.name, c] as const))('%s', async (_, c) => {
    const plan = buildPlan(c.graph, backend.target, capacityOf(c), { fuse, formats: (slot) => c.formats?.[slot] ?? 'f32' });
    for (const [slot, format] of Object.entries(c.formats ?? {})) if (format !== 'f32') expect(plan.buffers.find((b) => b.name === slot)?.format).toBe(format);
    const executor = await backend.load(plan, weightsOf(c), 'conformance');
    try {
      const { error, where } = await worstError(c, executor);
      expect(error, where).toBeLessThanOrEqual('exact' in options ? c.limit : int8Limit);
    } finally {
      await executor.dispose();
    }
  });
});
