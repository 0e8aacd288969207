/** What a device allows one kernel. */
import { buffersRead, buffersWritten } from '../kernels/sources.ts';
import type { Kernel } from '../kernels/types.ts';
import type { Target } from '../plan.ts';

/** Why a device cannot run the (open) kernel, or undefined. */
export function exceeds(kernel: Kernel, target: Target): string | undefined {
  const bound = new Set([...buffersRead(kernel, true), ...buffersWritten(kernel)]);
  return bound.size > target.maxStorageBuffers ? `it would bind ${bound.size} buffers, ${target.name} has ${target.maxStorageBuffers}` : undefined;
}
