/** What a kernel's expressions read and write. */
import type { DType } from '../../../compiler/graph/types.ts';
import type { Linear } from '../layout.ts';
import type { F32, I32 } from '../wasm/value.ts';

/** An element in memory: `base` (bytes) + 4 * `linear`. `low` and `count` bound the elements that may be touched. */
export interface Element {
  readonly base: I32;
  readonly name: string;
  readonly linear: Linear;
  readonly dtype: DType;
  readonly low: I32;
  readonly count: I32;
  /** Whether every point of the loops is known to be within the buffer. */
  readonly safe: boolean;
  /** For elements that are packed with others: reads the one of this number (a local), `base` aside. */
  readonly read?: (number: I32) => F32;
}
