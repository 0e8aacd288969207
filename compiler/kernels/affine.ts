/** Affine analysis: how an index moves along an axis, and where an element lies in a dense row-major buffer. */
import { add, dimIndex, indexAxes, int, mul } from './index-expression.ts';
import { linearForm, simplifyIndex, type Extents } from './simplify-index.ts';
import type { Dim, DimName, Index, Shape } from './scalar.ts';

/** How much `index` grows when `axis` grows by one; `other` where that is not one constant. */
export function strideAlong(index: Index, axis: number, extents: Extents = () => undefined): number | 'other' {
  let stride = 0;
  for (const { atom, by } of linearForm(index, extents).terms) {
    if (atom.op === 'axis' && atom.axis === axis) stride += by;
    else if (atom.op !== 'axis' && indexAxes(atom).has(axis)) return 'other';
  }
  return stride;
}

export interface Affine {
  readonly constant: number;
  readonly axes: ReadonlyMap<number, number>;
  readonly dims: ReadonlyMap<DimName, number>;
}

/** The index as constant + factors of axes and dimensions; undefined where it is not of that form. */
export function affine(index: Index, extents: Extents): Affine | undefined {
  const form = linearForm(index, extents);
  const axisFactors = new Map<number, number>();
  const dims = new Map<DimName, number>();
  for (const { atom, by } of form.terms) {
    if (atom.op === 'axis') axisFactors.set(atom.axis, by);
    else if (atom.op === 'dim') dims.set(atom.dim, by);
    else return undefined;
  }
  return { constant: form.constant, axes: axisFactors, dims };
}

/** Row-major strides in elements. Only the first axis may be symbolic (its size is in no stride). */
export function stridesOf(shape: Shape): number[] | undefined {
  const strides = new Array<number>(shape.length).fill(1);
  let size: Dim = 1;
  for (let n = shape.length - 1; n >= 0; n--) {
    if (typeof size !== 'number') return undefined;
    strides[n] = size;
    const extent: Dim = shape[n] as Dim;
    size = typeof extent === 'number' ? size * extent : extent;
  }
  return strides;
}

/** The element's offset in a buffer of this shape; undefined where strides are not constant (a symbolic axis that is not the first). */
export function flatten(index: readonly Index[], shape: Shape, extents: Extents): Index | undefined {
  const strides = stridesOf(shape);
  if (!strides) return undefined;
  return simplifyIndex(index.reduce<Index>((sum, i, n) => add(sum, mul(i, strides[n] as number)), int(0)), extents);
}

/** The number of elements as an index expression; undefined where more than one dimension is symbolic. */
export function elementCount(shape: Shape): Index | undefined {
  const symbolic = shape.filter((d) => typeof d !== 'number');
  if (symbolic.length > 1) return undefined;
  const fixed = shape.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1);
  return symbolic[0] === undefined ? int(fixed) : mul(dimIndex(symbolic[0]), fixed);
}
