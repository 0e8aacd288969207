import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { isQuantised } from '../../compiler/formats.ts';
import type { WebGpuBackend, WebGpuOptions } from '../../runtime/webgpu/index.ts';
import { layoutWeights } from '../../runtime/webgpu/layout.ts';
import { openTestWebGpu } from '../support/webgpu.ts';
import { quantisedCases, quantisedModelCases } from './quantised-cases.ts';
import { capacityOf, weightsOf, worstError } from './harness.ts';

// Drivers in software take seconds to compile kernels for hardware: of those, what they have of their own, in some of the formats.
const hardware = /^(q(4_1|6_K) (180x|per expert)|q8_0 (1x|per head)|(gated pair|experts|three products of one input): q4_K)/;
/** Weights of more bytes than `small`; nothing else has as many in one piece. */
const large = /^(q\w+ (180x|tied)|q(8_0|4_\d) per expert|three|experts)/;
const small = { maxStorageBufferBindingSize: 24576 };
const ways: [string, (name: string) => boolean, Omit<WebGpuOptions, 'gpu'>][] = [
  ['a thread a row', () => true, { kernels: 'software' }],
  ['a thread a row, small bindings', (name) => large.test(name), { kernels: 'software', limits: small }],
  ['workgroups', (name) => hardware.test(name), { kernels: 'hardware' }],
  ['workgroups without subgroups, small bindings', (name) => hardware.test(name) && large.test(name), { kernels: 'hardware', without: ['subgroups'], limits: small }],
];

describe.each(ways)('webgpu, quantised weights, %s', (_, which, options) => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openTestWebGpu(options); });
  afterAll(() => backend.dispose());

  test.each([...quantisedCases(), ...quantisedModelCases()].filter((c) => which(c.name)).map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const plan = buildPlan(c.graph, backend.target, capacityOf(c), { formats: (slot) => c.formats?.[slot] ?? 'f32' });
    expect(plan.buffers.some((b) => isQuantised(b.format ?? 'f32'))).toBe(true);
    if (options.limits) expect([...layoutWeights(plan, backend.target.maxBindingBytes).matrices.values()].some((m) => m.split)).toBe(true);
    const executor = await backend.load(plan, weightsOf(c), 'conformance');
    const { error, where } = await worstError(c, executor);
    expect(error, where).toBeLessThanOrEqual(c.limit);
    await executor.dispose();
  });
});

test('a quantised weight is stored in the order that a plan asks for, in few bytes', async () => {
  const backend = await openTestWebGpu();
  const [model, heads] = quantisedModelCases();
  for (const c of [model, heads]) {
    if (!c) throw new Error('no such case');
    const plan = (formats: boolean): ReturnType<typeof buildPlan> => buildPlan(c.graph, backend.target, capacityOf(c), { formats: (slot) => (formats ? c.formats?.[slot] ?? 'f32' : 'f32') });
    const [stored, full] = [await backend.load(plan(true), weightsOf(c), 'test'), await backend.load(plan(false), weightsOf(c), 'test')];
    if (c === heads) expect(plan(true).buffers.find((b) => b.rowOrder)?.format).toBe('q4_1');
    else expect(stored.weightBytes / full.weightBytes).toBeLessThan(0.2);
    if (c === heads) expect(stored.report.variants).toContain('; q4_1 weights kept so');
    await stored.dispose();
    await full.dispose();
  }
  await backend.dispose();
});
