/** Whether indices are known to stay within a buffer. */
import { linearForm, rangeOf, type Extents } from '../../../compiler/kernels/simplify-index.ts';
import type { Dim, Index } from '../../../compiler/kernels/scalar.ts';

/** Whether an index stays within an axis of this extent for every point of the loops. */
export function staysWithin(index: Index, extent: Dim, extents: Extents): boolean {
  if (typeof extent === 'number') {
    const range = rangeOf(index, extents);
    return range.low >= 0 && range.high < extent;
  }
  if (index.op === 'axis') return extents(index.axis) === extent;
  if (index.op === 'int') return index.value === 0;
  return extent === 'S' && isPastPlusToken(index, extents);
}

/** P + t, with t over the step's tokens. */
function isPastPlusToken(index: Index, extents: Extents): boolean {
  const { constant, terms } = linearForm(index, extents);
  const token = terms.find((t) => t.atom.op === 'axis');
  return constant === 0 && terms.length === 2 && terms.every((t) => t.by === 1) && terms.some((t) => t.atom.op === 'dim' && t.atom.dim === 'P')
    && token?.atom.op === 'axis' && extents(token.atom.axis) === 'T';
}
