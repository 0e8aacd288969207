/** Shape rules that several operators share. Sizes are numbers or symbolic dims, compared by equality. */
import type { Dim, Shape } from './types.ts';

/** An operator applied to operands that it is not defined for. Lowering turns it into a diagnostic at the spec's line. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

export function showShape(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** The size on an axis, or a complaint that names the operator. */
export function axisOf(operator: string, shape: Shape, axis: number): Dim {
  const size = shape[axis];
  if (size === undefined) throw new ShapeError(`${operator}: ${showShape(shape)} has no axis ${axis}`);
  return size;
}

export function lastOf(operator: string, shape: Shape): Dim {
  return axisOf(operator, shape, shape.length - 1);
}

/** The size on an axis that must be known when compiling. */
export function staticAxis(operator: string, shape: Shape, axis: number): number {
  const size = axisOf(operator, shape, axis);
  if (typeof size !== 'number') throw new ShapeError(`${operator}: axis ${axis} of ${showShape(shape)} must have a fixed size`);
  return size;
}

export function expectRank(operator: string, what: string, shape: Shape, rank: number): void {
  if (shape.length !== rank) throw new ShapeError(`${operator}: ${what} must have ${rank} axes, found ${showShape(shape)}`);
}

export function expectDim(operator: string, what: string, found: Dim, expected: Dim): void {
  if (found !== expected) throw new ShapeError(`${operator}: ${what} must be ${expected}, found ${found}`);
}

/** NumPy broadcasting: aligned at the last axis, a size of 1 stretches. */
export function broadcast(shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    let size: Dim = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own === 1 || own === size) continue;
      if (size !== 1) throw new ShapeError(`shapes ${shapes.map(showShape).join(' and ')} do not broadcast together`);
      size = own;
    }
    result.push(size);
  }
  return result;
}

/** Whether `from` broadcasts to exactly `to`. */
export function broadcastsTo(from: Shape, to: Shape): boolean {
  return from.length <= to.length && from.every((d, i) => d === 1 || d === to[i + to.length - from.length]);
}

/** The product of the fixed sizes, and the symbolic dims in a canonical order: equal for shapes that hold equally many elements. */
export function elementCount(shape: Shape): { readonly fixed: number; readonly symbols: string } {
  let fixed = 1;
  const symbols: string[] = [];
  for (const d of shape) {
    if (typeof d === 'number') fixed *= d;
    else symbols.push(d);
  }
  return { fixed, symbols: symbols.sort().join('*') };
}
