/** An output of several steps as that of one: a sequence that was fed in chunks gives what it gives at once. */
import { InternalError } from '../compiler/diagnostics.ts';
import type { DimName, Shape } from '../compiler/kernels/scalar.ts';

/** What an output was in one step, and the step's sizes. */
export interface StepPart {
  readonly data: Float32Array;
  readonly sizes: Readonly<Record<DimName, number>>;
}

export interface Joined {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/**
 * Values with a row a token (T, R) are put behind each other. Where they have an axis over the keys, a row of an early chunk ends at the keys that
 * there were: the rest is 0, as is a probability that the mask takes away. Values of the whole sequence ([S, ...]), and those without
 * tokens, are what they were in the last step.
 */
export function joinSteps(shape: Shape, parts: readonly StepPart[]): Joined {
  const last = parts.at(-1);
  if (!last) return { data: new Float32Array(0), shape: shape.map((d) => (typeof d === 'number' ? d : 0)) };
  const sizesOf = ({ sizes }: StepPart): number[] => shape.map((d) => (typeof d === 'number' ? d : sizes[d]));
  const rowAxis = shape[0] === 'T' || shape[0] === 'R';
  const whole = sizesOf(last);
  if (!rowAxis || parts.length === 1) return { data: last.data, shape: whole };
  whole[0] = parts.reduce((rows, part) => rows + (sizesOf(part)[0] ?? 0), 0);
  const data = new Float32Array(whole.reduce((n, size) => n * size, 1));
  const row = whole.slice(1).reduce((n, size) => n * size, 1);
  let at = 0;
  for (const part of parts) {
    const sizes = sizesOf(part);
    if (sizes.reduce((n, size) => n * size, 1) !== part.data.length) throw new InternalError('session', `an output of ${part.data.length} elements for [${sizes.join(', ')}]`);
    copyInto(data, at, whole, part.data, sizes);
    at += (sizes[0] ?? 0) * row;
  }
  return { data, shape: whole };
}

/** Copies an array of `sizes` into the corner of one of `whole` that begins at `at`; their first axes may differ. */
function copyInto(target: Float32Array, at: number, whole: readonly number[], source: Float32Array, sizes: readonly number[]): void {
  // Trailing axes that are alike are copied at once.
  let axis = sizes.length;
  let run = 1;
  while (axis > 1 && sizes[axis - 1] === whole[axis - 1]) run *= sizes[--axis] ?? 1;
  if (axis === 1) { target.set(source, at); return; }
  run *= sizes[--axis] ?? 1;
  const strides = whole.map((_, n) => whole.slice(n + 1).reduce((product, size) => product * size, 1));
  const outer = sizes.slice(0, axis);
  const runs = outer.reduce((n, size) => n * size, 1);
  for (let n = 0; n < runs; n++) {
    let offset = at;
    for (let a = axis - 1, rest = n; a >= 0; a--) {
      const size = outer[a] ?? 1;
      offset += (rest % size) * (strides[a] ?? 1);
      rest = Math.floor(rest / size);
    }
    target.set(source.subarray(n * run, (n + 1) * run), offset);
  }
}
