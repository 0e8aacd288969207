/** Putting a nest's value in the place of loads of its buffer. */
import { int, rewriteIndex } from './index-expression.ts';
import { indexValue, mapIndices, numberReduceAxes, rewriteScalar, substituteAxes, substituteIndex, visitScalar } from './scalar-expression.ts';
import { simplifyIndex, withExtent, type Extents } from './simplify-index.ts';
import type { BufferId } from './types.ts';
import type { Dim, Index, Scalar } from './scalar.ts';

/** Reduce axes of what is put in are numbered from here while expressions are being joined, clear of every other axis. */
const CLEAR = 1000;

/** What stands for element `index` of a buffer: its value, with axes 0..n-1 for the indices. */
export interface Definition { readonly buffer: BufferId; readonly value: Scalar }

/**
 * `x` (an open expression whose loop axes are 0..first-1) with every load of the definition's buffer replaced by its value there.
 * `at` accesses of an i32 buffer are replaced where the value is an index expression; otherwise undefined is given.
 */
export function inlineInto(x: Scalar, definition: Definition, extents: Extents, first: number): Scalar | undefined {
  const value = numberReduceAxes(definition.value, CLEAR);
  const whole = value.op === 'index' ? value.index : undefined;
  let stuck = false;
  const replaceAt = (index: Index): Index =>
    rewriteIndex(index, (part) => {
      if (part.op !== 'at' || part.source !== definition.buffer) return undefined;
      if (!whole) { stuck = true; return undefined; }
      return substituteIndex(whole, (n) => part.index[n] ?? int(0));
    });
  // Inner reduces of x must not capture the axes of loads, so they are moved clear as well, by depth.
  const moved = numberReduceAxes(x, CLEAR * 2);
  const scope = scopeOf(moved, extents);
  const withLoads = rewriteScalar(moved, (part) => {
    if (part.op !== 'load' || part.source !== definition.buffer) return undefined;
    return substituteAxes(value, (n) => (n < CLEAR ? part.index[n] : undefined), scope);
  });
  const result = mapIndices(withLoads, (index, inner) => {
    const replaced = replaceAt(index);
    return replaced === index ? index : simplifyIndex(replaced, inner);
  }, scope);
  return stuck ? undefined : numberReduceAxes(result, first);
}

/** The same for an index expression outside of any scalar (a store's index, an expert's choice). */
export function inlineIntoIndex(index: Index, definition: Definition, extents: Extents): Index | undefined {
  const result = inlineInto(indexValue(index), definition, extents, CLEAR);
  return result?.op === 'index' ? result.index : result?.op === 'const' ? int(result.value) : undefined;
}

/** The extents of the loop and of every reduce inside (numbered by depth; extents at equal depth may differ, then the axis is unbounded). */
function scopeOf(x: Scalar, extents: Extents): Extents {
  const known = new Map<number, Dim | undefined>();
  visitScalar(x, (part) => {
    if (part.op !== 'reduce') return;
    known.set(part.axis, known.has(part.axis) && known.get(part.axis) !== part.extent ? undefined : part.extent);
  });
  let scope = extents;
  for (const [axis, extent] of known) if (extent !== undefined) scope = withExtent(scope, axis, extent);
  return scope;
}
