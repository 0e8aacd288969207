/** What buffers take in a device's memory. */
import { cellBytes, cellRows, isCellFormat } from './cell-layout.ts';
import { formatBytes } from './formats.ts';
import type { Buffer, BufferId, Kernel } from './kernels/types.ts';
import { bufferBytes, largest } from './memory.ts';
import type { Capacity, Target } from './plan.ts';

/** Bytes of a buffer at full capacity. */
export type StoredBytes = (buffer: Buffer, capacity: Capacity) => number;

/**
 * On the CPU quantised weights are repacked into cells, and matrices that products read, or that have 16 bits, are filled up to whole
 * blocks of 8 rows. Everything else takes what its elements take.
 */
export function storedBytesOn(target: Target, kernels: readonly Kernel[]): StoredBytes {
  if (target.device !== 'cpu') return bufferBytes;
  const multiplied = new Set<BufferId>(kernels.flatMap((k) => (k.kind === 'linear' ? k.weights.map((w) => w.buffer) : [])));
  return (buffer, capacity) => {
    const { format = 'f32', id } = buffer;
    const shape = buffer.shape.map((d) => largest(d, capacity));
    if (isCellFormat(format)) return cellBytes(format, shape);
    if (format === 'f32' && !multiplied.has(id)) return bufferBytes(buffer, capacity);
    const rows = shape[shape.length - 2] ?? 1;
    return (formatBytes(format, shape) / rows) * Math.ceil(rows / cellRows) * cellRows;
  };
}
