/** A plan's bytes are those that are allocated, whatever the form and the shape of its weights. */
import { afterEach, expect, test, vi } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { formatBytes, weightFormats, type WeightFormat } from '../../compiler/formats.ts';
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { control } from '../../runtime/cpu/control.ts';
import { placeBuffers } from '../../runtime/cpu/place.ts';
import { generator } from '../conformance/harness.ts';
import { quantisedFormats } from '../conformance/quantised-cases.ts';
import { randomBlocks } from '../support/blocks.ts';

afterEach(() => { vi.restoreAllMocks(); });

const backend = await createCpuBackend({ threads: 1 });
const [n, k] = [1001, 1024];

/** A product with a matrix of 1001 rows, one with three of 13 rows each, and a looked-up table, all of the format. */
function planOf(format: WeightFormat): ExecutionPlan {
  const b = new GraphBuilder('memory');
  const x = b.gather(b.weight('table', [20, k]), b.input('ids'));
  b.output('heads', b.headLinear(b.reshape(x, ['T', 4, k / 4]), b.weight('stack', [4, 13, k / 4])));
  b.output('out', b.linear(x, b.weight('matrix', [n, k])));
  return buildPlan(b.finish(), backend.target, { maxTokens: 1, context: 1, maxLogitRows: 1 }, { outputs: ['out', 'heads'], formats: () => format });
}

test.each(weightFormats)('%s: each weight has the room that the plan says', (format) => {
  const plan = planOf(format);
  const { buffers, end } = placeBuffers(plan, { relaxedSimd: true });
  const starts = [...new Set([...buffers.values()].map((b) => b.address)), end].sort((a, b) => a - b);
  const room = [...buffers.values()].filter((b) => b.buffer.role === 'weight').map((b) => (starts.find((s) => s > b.address) ?? NaN) - b.address);
  const total = room.reduce((sum, bytes) => sum + bytes, 0);
  // Between buffers there are 64 to 127 bytes, which belong to none.
  expect(total - plan.memory.weights).toBeGreaterThanOrEqual(64 * room.length);
  expect(total - plan.memory.weights).toBeLessThan(128 * room.length);
  expect(end - control.end).toBeGreaterThanOrEqual(plan.memory.peak);
  expect(end - control.end - plan.memory.peak).toBeLessThan(128 * (plan.slots.length + 1));
});

test.each(quantisedFormats)('%s: what is allocated for a session is what is planned and working memory of 32 KiB', async (format) => {
  const plan = planOf(format);
  const allocated: number[] = [];
  const { Memory } = WebAssembly;
  vi.spyOn(WebAssembly, 'Memory').mockImplementation(function (descriptor: WebAssembly.MemoryDescriptor) {
    const memory = new Memory(descriptor);
    allocated.push(memory.buffer.byteLength);
    return memory;
  });
  const random = generator(format);
  const blocks = (slot: string, from: number, to: number): Uint8Array => randomBlocks(format, (to - from) * (plan.weights.find((w) => w.slot === slot)?.shape.at(-1) ?? 0), random);
  const executor = await backend.load(plan, {
    formatOf: () => format, readStored: (slot, from, to) => Promise.resolve(blocks(slot, from, to)), read: () => Promise.reject(new Error('no weight is read as f32')),
  }, 'test');
  await executor.dispose();
  expect(allocated).toHaveLength(1);
  const beyond = (allocated[0] ?? NaN) - plan.memory.peak;
  expect(beyond).toBeGreaterThan(0);
  expect(beyond).toBeLessThan(65536 + 32768);
});

test.each(quantisedFormats)('%s takes at most 6% more than its file', (format) => {
  const plan = planOf(format);
  const matrix = plan.placements.find((p) => plan.buffers.find((b) => b.id === p.buffer)?.name === 'matrix');
  const stored = formatBytes(format, [Math.ceil(n / 8) * 8, k]);
  expect((matrix?.bytes ?? NaN) / stored).toBeLessThanOrEqual(1.06);
});
