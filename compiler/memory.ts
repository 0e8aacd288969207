/**
 * Memory planning: where each buffer lives. Activations and outputs get a slot, shared by those whose lifetimes do not overlap
 * (greedy by falling size: the largest first, into the first slot that is free throughout its lifetime). Weights, constants,
 * inputs and states get a slot of their own.
 */
import { formatBytes } from './formats.ts';
import { buffersRead, buffersWritten } from './kernels/sources.ts';
import type { Buffer, BufferId, Kernel } from './kernels/types.ts';
import type { Dim } from './kernels/scalar.ts';
import type { Capacity, MemorySummary, Placement } from './plan.ts';
import type { StoredBytes } from './stored-bytes.ts';

export interface MemoryPlan {
  readonly placements: readonly Placement[];
  readonly slots: readonly { readonly slot: number; readonly bytes: number }[];
  readonly memory: MemorySummary;
}

/** The largest value of a dimension within the capacity. */
export function largest(d: Dim, capacity: Capacity): number {
  if (typeof d === 'number') return d;
  switch (d) {
    case 'T': return capacity.maxTokens;
    case 'R': return capacity.maxLogitRows;
    case 'P': case 'S': case 'L': return capacity.context;
    default: return d satisfies never;
  }
}

/** Bytes of a buffer's elements at full capacity; four an element, but for weights in another form. Devices may need more: stored-bytes.ts. */
export const bufferBytes = (b: Buffer, capacity: Capacity): number => formatBytes(b.format ?? 'f32', b.shape.map((d) => largest(d, capacity)));

interface Lifetime { readonly buffer: Buffer; readonly bytes: number; readonly first: number; readonly last: number }

export function planMemory(
  buffers: readonly Buffer[], kernels: readonly Kernel[], outputs: readonly { readonly buffer: BufferId }[], capacity: Capacity, stored: StoredBytes,
): MemoryPlan {
  const lifetimes = lifetimesOf(buffers, kernels, outputs, capacity);
  const slots: { slot: number; bytes: number }[] = [];
  const placements = new Map<BufferId, Placement>();
  const held: Lifetime[][] = [];
  for (const life of [...lifetimes].sort((a, b) => b.bytes - a.bytes || a.first - b.first || a.buffer.id - b.buffer.id)) {
    let slot = held.findIndex((others) => others.every((o) => o.last < life.first || o.first > life.last));
    if (slot < 0) { slot = held.length; held.push([]); slots.push({ slot, bytes: life.bytes }); }
    held[slot]?.push(life);
    placements.set(life.buffer.id, { buffer: life.buffer.id, slot, bytes: life.bytes, first: life.first, last: life.last });
  }
  const activations = slots.reduce((n, s) => n + s.bytes, 0);
  for (const b of buffers) {
    if (placements.has(b.id)) continue;
    const bytes = stored(b, capacity);
    placements.set(b.id, { buffer: b.id, slot: slots.length, bytes });
    slots.push({ slot: slots.length, bytes });
  }
  const total = (role: Buffer['role']): number => buffers.filter((b) => b.role === role).reduce((n, b) => n + stored(b, capacity), 0);
  const states = total('state');
  const [weights, constants, inputs] = [total('weight'), total('constant'), total('input')];
  return {
    placements: buffers.map((b) => placements.get(b.id) as Placement),
    slots,
    memory: {
      weights, constants, states, activations,
      stateBytesPerToken: states / capacity.context,
      activationsUnshared: lifetimes.reduce((n, l) => n + l.bytes, 0),
      peak: weights + constants + states + inputs + activations,
    },
  };
}

/** First write to last read of every activation and output, as positions in `kernels`. An output lives to the end. */
function lifetimesOf(buffers: readonly Buffer[], kernels: readonly Kernel[], outputs: readonly { readonly buffer: BufferId }[], capacity: Capacity): Lifetime[] {
  const first = new Map<BufferId, number>();
  const last = new Map<BufferId, number>();
  kernels.forEach((kernel, at) => {
    for (const id of [...buffersRead(kernel, false), ...buffersWritten(kernel)]) {
      if (!first.has(id)) first.set(id, at);
      last.set(id, at);
    }
  });
  for (const o of outputs) last.set(o.buffer, kernels.length - 1);
  return buffers.filter((b) => b.role === 'activation' || b.role === 'output').map((buffer) => ({
    buffer, bytes: bufferBytes(buffer, capacity), first: first.get(buffer.id) ?? 0, last: last.get(buffer.id) ?? 0,
  }));
}
