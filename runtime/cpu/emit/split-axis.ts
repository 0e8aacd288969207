/**
 * Splitting a loop in two where reductions change only from block to block of it: a norm per head over a flat axis n, say, whose
 * sum depends on n / headDim alone, is computed once a head rather than once an element.
 */
import { add, axis as axisIndex, indexAxes, mul, visitIndex } from '../../../compiler/kernels/index-expression.ts';
import { freeAxes, nodeIndices, substituteAxes, substituteIndex, visitScalar } from '../../../compiler/kernels/scalar-expression.ts';
import { simplifyIndex, type Extents } from '../../../compiler/kernels/simplify-index.ts';
import type { Index, Scalar } from '../../../compiler/kernels/scalar.ts';

/** Block sizes that reductions over parts of `axis` suggest: divisors c of `extent` in n / c inside a reduce that depends on n. */
export function blockOfReductions(values: readonly Scalar[], axis: number, extent: number): number | undefined {
  const sizes = new Set<number>();
  for (const value of values) {
    visitScalar(value, (part) => {
      if (part.op !== 'reduce' || !freeAxes(part).has(axis)) return;
      visitScalar(part.body, (inner) => {
        for (const index of nodeIndices(inner)) {
          visitIndex(index, (i) => { if (i.op === 'div' && indexAxes(i.a).has(axis)) sizes.add(i.by); });
        }
      });
    });
  }
  const [size] = [...sizes].filter((c) => c > 1 && extent % c === 0 && c < extent).sort((a, b) => a - b);
  return size;
}

/** Writes `axis` as block * outer + inner. */
export function splitAxis(axis: number, block: number, outer: number, inner: number): { readonly index: (i: Index, extents: Extents) => Index; readonly scalar: (x: Scalar, extents: Extents) => Scalar } {
  const value = (n: number): Index | undefined => (n === axis ? add(mul(axisIndex(outer), block), axisIndex(inner)) : undefined);
  return {
    index: (i, extents) => simplifyIndex(substituteIndex(i, value), extents),
    scalar: (x, extents) => substituteAxes(x, value, extents),
  };
}
