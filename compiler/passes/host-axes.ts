/**
 * Where a result of a linear or attention kernel comes from: given an element of a buffer that it stores, the axes at which the
 * kernel computes it. And the other way round: a nest's loop axes from the kernel's.
 */
import { affine, flatten } from '../kernels/affine.ts';
import { add, axis, div, indexAxes, int, mod, mul, sameIndex, sub } from '../kernels/index-expression.ts';
import { extentsOf, simplifyIndex, type Extents } from '../kernels/simplify-index.ts';
import { storeSpace } from './replace-loads.ts';
import type { AttentionKernel, Buffer, LinearKernel, NestKernel, Store } from '../kernels/types.ts';
import type { Dim, Index, Shape } from '../kernels/scalar.ts';

export type Host = LinearKernel | AttentionKernel;
export type HostStore = Store & { readonly from?: number; readonly to?: number };

/** The part of the last axis that a store covers. */
export function storeRange(host: Host, store: HostStore): { readonly from: number; readonly to: number } {
  return { from: store.from ?? 0, to: store.to ?? (storeSpace(host).at(-1) as number) };
}

interface Digit { readonly axis: number; readonly by: number; readonly extent: number }

/** Axes with factors as digits of a number: largest first, each the product of the next one's factor and extent, the last 1. */
export function asDigits(factors: ReadonlyMap<number, number>, extent: (axis: number) => Dim | undefined): Digit[] | undefined {
  const digits: Digit[] = [];
  for (const [a, by] of factors) {
    const e = extent(a);
    if (typeof e !== 'number') return undefined;
    digits.push({ axis: a, by, extent: e });
  }
  digits.sort((a, b) => b.by - a.by);
  let expected = 1;
  for (const d of [...digits].reverse()) {
    if (d.by !== expected) return undefined;
    expected *= d.extent;
  }
  return digits;
}

/** The value of one digit of a number. */
const digitOf = (x: Index, d: Digit): Index => mod(div(x, d.by), d.extent);

/**
 * The host's axes for element `index` of the store's buffer, as expressions of whatever `index` is made of. The first axis is the
 * buffer's first; the others are digits of the element's place within a row.
 */
export function hostPoint(host: Host, store: HostStore, buffer: Buffer, index: readonly Index[], scope: Extents): Index[] | undefined {
  const space = storeSpace(host);
  const last = space.length - 1;
  const { from, to } = storeRange(host, store);
  const extents = extentsOf(space);
  const [row, ...rest] = store.index;
  if (!row || buffer.shape.slice(1).some((d) => typeof d !== 'number')) return undefined;
  if (!sameIndex(simplifyIndex(row, extents), simplifyIndex(axis(0), extents))) return undefined;
  const rowShape = buffer.shape.slice(1);
  const place = flatten(rest, rowShape, extents);
  const form = place && affine(place, extents);
  if (!form || form.dims.size > 0 || form.axes.has(0)) return undefined;
  const digits = asDigits(form.axes, (a) => (a === last ? to - from : space[a]));
  if (!digits) return undefined;
  const wanted = flatten(index.slice(1), rowShape, scope);
  if (!wanted) return undefined;
  // place = constant + sum by * axis, and the last axis counts from `from`.
  const lastDigit = digits.find((d) => d.axis === last);
  const origin = form.constant + (lastDigit ? lastDigit.by * from : 0);
  const number = sub(wanted, int(origin));
  return space.map((_, a) => {
    if (a === 0) return simplifyIndex(index[0] as Index, scope);
    const d = digits.find((x) => x.axis === a);
    const value = d ? digitOf(number, d) : int(0);
    return simplifyIndex(a === last ? add(value, int(from)) : value, scope);
  });
}

export interface Inverse {
  /** The nest's axes as expressions of the host's rows and, as its last axis, the offset from `from`. */
  readonly axes: readonly Index[];
  readonly from: number;
  readonly to: number;
}

/** The nest's axes from the host's, where `point` (the host's axes from the nest's) meets each point of the host once; or why not. */
export function invert(nest: NestKernel, host: Host, point: readonly Index[]): Inverse | string {
  const space: Shape = storeSpace(host);
  const last = space.length - 1;
  const extents = extentsOf(nest.space);
  const result = new Array<Index | undefined>(nest.space.length).fill(undefined);
  let from = 0;
  let to = 0;
  for (const [a, expression] of point.entries()) {
    const form = affine(expression, extents);
    if ([...indexAxes(expression)].some((n) => n >= nest.space.length)) return 'it sums over results of the product';
    if (!form || form.dims.size > 0) return 'it reads only some of the rows';
    if (typeof space[a] !== 'number') {
      const [entry, ...more] = form.axes;
      if (!entry || more.length > 0 || entry[1] !== 1 || form.constant !== 0 || nest.space[entry[0]] !== space[a]) return 'it reads only some of the rows';
      result[entry[0]] = axis(a);
      continue;
    }
    const digits = asDigits(form.axes, (n) => nest.space[n]);
    if (!digits) return 'it reads parts of each row that do not lie together';
    const size = digits.reduce((n, d) => n * d.extent, 1);
    if (a === last) { from = form.constant; to = from + size; }
    else if (form.constant !== 0 || size !== space[a]) return 'it reads only some of the rows';
    for (const d of digits) {
      if (result[d.axis]) return 'it reads elements by two of its axes at once';
      result[d.axis] = digitOf(axis(a), d);
    }
  }
  const inner = extentsOf([...space.slice(0, last), to - from]);
  const missing = result.findIndex((x, n) => x === undefined && nest.space[n] !== 1);
  if (missing >= 0) return `it uses each result ${String(nest.space[missing])} times`;
  return { axes: result.map((x) => simplifyIndex(x ?? int(0), inner)), from, to };
}

/** axis * by + offset, as a block and a place inside it, for checking that elements share a block. */
export const blockOf = (x: Index, by: number): Index => div(x, by);
export const withinBlock = (block: number, size: number, place: number): Index => add(mul(axis(block), size), axis(place));
