/** Splitting an axis of a nest in two, so that divisions and remainders of it become axes of their own. */
import { add, axis, mul } from '../kernels/index-expression.ts';
import { numberReduceAxes, substituteAxes, substituteIndex } from '../kernels/scalar-expression.ts';
import { extentsOf, linearForm, simplifyIndex } from '../kernels/simplify-index.ts';
import type { NestKernel } from '../kernels/types.ts';
import type { Index } from '../kernels/scalar.ts';

/** An axis of the space that the index divides, and by what, where both parts come out even. */
export function splitPoint(index: readonly Index[], nest: NestKernel): { readonly axis: number; readonly by: number } | undefined {
  for (const i of index) {
    for (const { atom } of linearForm(i, extentsOf(nest.space)).terms) {
      if ((atom.op !== 'div' && atom.op !== 'mod') || atom.a.op !== 'axis') continue;
      const extent = nest.space[atom.a.axis];
      if (typeof extent === 'number' && extent % atom.by === 0 && atom.by > 1 && atom.by < extent) return { axis: atom.a.axis, by: atom.by };
    }
  }
  return undefined;
}

/** The same nest with axis `n` as (n / by, n % by). */
export function splitAxis(nest: NestKernel, n: number, by: number): NestKernel {
  const extent = nest.space[n] as number;
  const space = [...nest.space.slice(0, n), extent / by, by, ...nest.space.slice(n + 1)];
  const extents = extentsOf(space);
  const moved = (a: number): Index | undefined =>
    (a >= nest.space.length ? undefined : a < n ? axis(a) : a === n ? add(mul(axis(n), by), axis(n + 1)) : axis(a + 1));
  return {
    ...nest, space,
    stores: nest.stores.map((s) => ({
      ...s,
      index: s.index.map((i) => simplifyIndex(substituteIndex(i, moved), extents)),
      value: numberReduceAxes(substituteAxes(numberReduceAxes(s.value, 1000), moved, extents), space.length),
    })),
  };
}
