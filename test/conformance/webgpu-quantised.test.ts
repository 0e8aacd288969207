import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { isQuantised } from '../../compiler/formats.ts';
import type { WebGpuBackend, WebGpuOptions } from '../../runtime/webgpu/index.ts';
import { openTestWebGpu } from '../support/webgpu.ts';
import type { ConformanceCase } from './case.ts';
import { quantisedCases } from './quantised-cases.ts';
import { capacityOf, weightsOf, worstError } from './harness.ts';

const any = (): boolean => true;
/** What the hardware's kernels have of their own: a product of a row, of many rows, groups, packed weights. */
const few = /^(q\w+ (1x32|3x256|130x288|70x768|gated|per)|.*products of one|gated pair|experts)/;
const ways: [string, (c: ConformanceCase) => boolean, Omit<WebGpuOptions, 'gpu'>][] = [
  ['a thread a row', any, { kernels: 'software' }],
  ['a thread a row, small bindings', any, { kernels: 'software', limits: { maxStorageBufferBindingSize: 16384 } }],
  ['workgroups', (c) => few.test(c.name), { kernels: 'hardware' }],
  ['workgroups, small bindings, no subgroups', (c) => few.test(c.name), { kernels: 'hardware', without: ['subgroups'], limits: { maxStorageBufferBindingSize: 16384 } }],
];

describe.each(ways)('webgpu, quantised weights, %s', (_, which, options) => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openTestWebGpu(options); });
  afterAll(() => backend.dispose());

  test.each(quantisedCases().filter(which).map((c) => [c.name, c] as const))('%s', async (_name, c) => {
    const plan = buildPlan(c.graph, backend.target, capacityOf(c), { formats: (slot) => c.formats?.[slot] ?? 'f32' });
    expect(plan.buffers.some((b) => isQuantised(b.format ?? 'f32'))).toBe(true);
    const executor = await backend.load(plan, weightsOf(c), 'conformance');
    const { error, where } = await worstError(c, executor);
    expect(error, where).toBeLessThanOrEqual(c.limit);
    await executor.dispose();
  });
});
