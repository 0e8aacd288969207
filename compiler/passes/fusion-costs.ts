/**
 * What it costs to compute a value again, against a kernel that computes it once: in floating point operations of the device, for a
 * step of one token, which decides the speed of writing text. Figures are orders of magnitude, and data: a device's are a row here.
 */
import { operations } from '../cost.ts';
import type { Dim, Scalar } from '../kernels/scalar.ts';
import type { LinearKernel } from '../kernels/types.ts';
import type { Target } from '../plan.ts';

export interface FusionCosts {
  /** Operations that the device does in the time that one more kernel takes (a barrier, a dispatch). */
  readonly kernel: number;
  /** Operations in the time that a byte of an activation takes to be written or read. */
  readonly byte: number;
  /** Rows of N that a product computes for one evaluation of its input; absent: all of them. */
  readonly block?: number;
}

const costs = {
  // A barrier of a microsecond; each thread evaluates a row once, all threads at the same time; activations stay in the cache.
  cpu: { kernel: 8_000, byte: 0.5 },
  // A dispatch of some 20 microseconds; every workgroup of four rows evaluates its input, from the cache.
  hardware: { kernel: 100_000_000, byte: 10, block: 4 },
  // A dispatch of 17 microseconds on a processor that emulates; every thread evaluates its input.
  software: { kernel: 50_000, byte: 1, block: 4 },
} as const satisfies Record<string, FusionCosts>;

export const fusionCosts = (target: Target): FusionCosts => (target.device === 'cpu' ? costs.cpu : target.software ? costs.software : costs.hardware);

export interface Choice {
  /** Evaluations of a row of the input for one token, in all products. */
  readonly times: number;
  /** Operations of the evaluations after the first. */
  readonly again: number;
  /** The same for a kernel that stores the row, and for reading it. */
  readonly once: number;
}

/** A row of the value in front of every product that reads it, or in a kernel of its own. */
export function inputChoice(value: Scalar, readers: readonly LinearKernel[], target: Target): Choice {
  const { kernel, byte, block } = fusionCosts(target) as FusionCosts;
  const [first] = readers;
  const length = first?.k ?? 0;
  const times = readers.reduce((n, r) => n + rowsOfToken(r) * (block === undefined ? 1 : Math.ceil(columns(r) / Math.max(block, r.granule))), 0);
  return { times, again: (times - 1) * length * operations(value), once: kernel + 2 * 4 * length * byte };
}

const rowsOfToken = (k: LinearKernel): number => k.rowShape.reduce<number>((n: number, d: Dim) => n * (typeof d === 'number' ? d : 1), 1);
const columns = (k: LinearKernel): number => k.weights.reduce((n, w) => n + w.rows, 0);
