/** Dense row-major values. Activations are float64; weights stay in the float32 they are stored in; indices are int32. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { Dim, Shape } from '../../compiler/graph/types.ts';

export type Values = Float64Array | Float32Array | Int32Array;

export interface Tensor<V extends Values = Values> {
  readonly data: V;
  readonly shape: readonly number[];
}

/** The symbolic sizes of a step. */
export type Sizes = Readonly<Record<'T' | 'P' | 'S' | 'R' | 'L', number>>;

export function resolveDim(dim: Dim, sizes: Sizes): number {
  return typeof dim === 'number' ? dim : sizes[dim];
}

export function resolveShape(shape: Shape, sizes: Sizes): readonly number[] {
  return shape.map((d) => resolveDim(d, sizes));
}

export function count(shape: readonly number[]): number {
  return shape.reduce((product, d) => product * d, 1);
}

/** Elements that one step along each axis skips. */
export function strides(shape: readonly number[]): readonly number[] {
  const result = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) result[axis] = (result[axis + 1] ?? 1) * (shape[axis + 1] ?? 1);
  return result;
}

export function zeros(shape: readonly number[]): Tensor<Float64Array> {
  return { data: new Float64Array(count(shape)), shape };
}

export function size(x: Tensor, axis: number): number {
  const d = x.shape[axis];
  if (d === undefined) throw new InternalError('reference', `no axis ${axis} in [${x.shape.join(',')}]`);
  return d;
}

/** The length of the last axis, and how many rows of it there are. */
export function rowsOf(x: Tensor): { readonly width: number; readonly rows: number } {
  const width = size(x, x.shape.length - 1);
  return { width, rows: width === 0 ? 0 : x.data.length / width };
}

/** Calls `visit` with the flat index into a tensor of `shape` and the dot product of the multi-index with `steps`. */
export function walk(shape: readonly number[], steps: readonly number[], visit: (flat: number, offset: number) => void): void {
  const index = new Array<number>(shape.length).fill(0);
  const total = count(shape);
  let offset = 0;
  for (let flat = 0; flat < total; flat++) {
    visit(flat, offset);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      const step = steps[axis] ?? 0;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        offset += step;
        break;
      }
      index[axis] = 0;
      offset -= step * (next - 1);
    }
  }
}
