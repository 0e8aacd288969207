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

test('what runs and why is in the report', async () => {
  const [c] = quantisedCases();
  if (!c) throw new Error('no cases');
  const variantsOf = async (backend: (typeof variants)[number]['backend']): Promise<string | undefined> => {
    const plan = buildPlan(c.graph, backend.target, capacityOf(c), { formats: (slot) => c.formats?.[slot] ?? 'f32' });
    const executor = await backend.load(plan, weightsOf(c), 'conformance');
    await executor.dispose();
    return executor.report.variants;
  };
  const [relaxed, plain, exact] = await Promise.all(variants.map((v) => variantsOf(v.backend)));
  expect(relaxed).toBe('q8_0 weights by 16-bit products, because 8-bit weights do not fit byte products; inputs rounded to 8 bits (--exact keeps them in f32)');
  expect(plain).toContain('because this engine has no relaxed SIMD');
  expect(exact).toBe('q8_0 weights by products of f32, because exact inputs were asked for');
});
