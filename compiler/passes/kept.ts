/** Values that the host wants to see: they are stored whatever is fused around them. */
import { isTap } from '../taps.ts';
import type { Buffer } from '../kernels/types.ts';

/** Why a buffer must be stored although a kernel could do without: it is tapped, or a result. undefined where nobody looks at it. */
export function keptBecause(buffer: Buffer): string | undefined {
  if (buffer.role !== 'output') return undefined;
  return isTap(buffer.name) ? `${buffer.name} is tapped` : `${buffer.name} is an output`;
}
