/** How much work inlining repeats, counted with nominal sizes for what is known only when a step runs. */
import { indexAxes } from '../kernels/index-expression.ts';
import { freeAxes, hasReduce, nodeIndices, visitScalar, type Load } from '../kernels/scalar-expression.ts';
import type { Dim, Scalar, Shape } from '../kernels/scalar.ts';
import type { BufferId } from '../kernels/types.ts';

const NOMINAL = { T: 16, P: 240, S: 256, R: 16, L: 256 } as const;
export const nominal = (d: Dim): number => (typeof d === 'number' ? d : NOMINAL[d]);
export const points = (shape: Shape): number => shape.reduce<number>((n, d) => n * nominal(d), 1);

const transcendental = new Set(['exp', 'log', 'tanh', 'sigmoid', 'erf', 'sin', 'cos']);
/** Whether the value has functions that take many instructions. */
export function hasFunctions(x: Scalar): boolean {
  let found = false;
  visitScalar(x, (part) => { if ((part.op === 'unary' && transcendental.has(part.fn)) || (part.op === 'binary' && part.fn === 'pow')) found = true; });
  return found;
}
/** Whether the value is costly to compute twice. */
export const isHeavy = (x: Scalar): boolean => hasReduce(x) || hasFunctions(x);

/** Only moves data: one load (or a position), at indices that read no other buffer. */
export function isLayout(x: Scalar): boolean {
  if (x.op === 'const') return true;
  if (x.op !== 'load' && x.op !== 'index') return false;
  const indirect = (i: Parameters<typeof indexAxes>[0]): boolean => i.op === 'at' || ('a' in i && indirect(i.a)) || ('b' in i && indirect(i.b));
  return x.op === 'index' ? !indirect(x.index) || x.index.op === 'at' : !x.index.some(indirect);
}

/** A load of the buffer, and the loop points at which it is evaluated when everything is hoisted out of the reduces that it does not depend on. */
export interface Occurrence { readonly load: Load; readonly context: ReadonlySet<number>; readonly extent: (axis: number) => number; /** Axes of the loop itself; higher ones are bound by reduces. */ readonly rank: number }

export function occurrences(x: Scalar, buffer: BufferId, space: Shape): Occurrence[] {
  const found: Occurrence[] = [];
  const walk = (part: Scalar, context: ReadonlySet<number>, extents: ReadonlyMap<number, number>): void => {
    if (part.op === 'load' && part.source === buffer) found.push({ load: part, context, extent: (n) => extents.get(n) ?? 1, rank: space.length });
    switch (part.op) {
      case 'reduce': {
        const inner = new Set([...freeAxes(part), part.axis]);
        walk(part.body, inner, new Map([...extents, [part.axis, nominal(part.extent)]]));
        return;
      }
      case 'unary': walk(part.x, context, extents); return;
      case 'binary': walk(part.a, context, extents); walk(part.b, context, extents); return;
      case 'select': walk(part.condition, context, extents); walk(part.then, context, extents); walk(part.else, context, extents); return;
      case 'const': case 'arg': case 'load': case 'accumulator': case 'index': return;
      default: return part satisfies never;
    }
  };
  walk(x, new Set(space.keys()), new Map(space.map((d, n) => [n, nominal(d)])));
  return found;
}

/**
 * How many times over the producer's own work is done where its value stands for these loads; reduces count by the axes that they
 * depend on. `nested`: a reduce of the producer would depend on the axis of a reduce around it.
 */
export function repetition(producer: Scalar, space: Shape, uses: readonly Occurrence[]): { readonly elements: number; readonly reduces: number; readonly nested: boolean } {
  const own = points(space);
  const bodies: Scalar[] = [];
  visitScalar(producer, (part, outer) => { if (part.op === 'reduce' && outer.length === 0) bodies.push(part); });
  const depends = bodies.map((r) => [...freeAxes(r)]);
  let elements = 0;
  let reduces = 0;
  let nested = false;
  for (const use of uses) {
    elements += [...use.context].reduce((n, a) => n * use.extent(a), 1) / own;
    for (const axesOfReduce of depends) {
      const before = axesOfReduce.reduce((n, a) => n * nominal(space[a] as Dim), 1);
      const after = new Set(axesOfReduce.flatMap((a) => { const i = use.load.index[a]; return i ? [...indexAxes(i)] : []; }));
      if ([...after].some((a) => a >= use.rank)) nested = true;
      reduces = Math.max(reduces, [...after].reduce((n, a) => n * use.extent(a), 1) / before);
    }
  }
  return { elements, reduces, nested };
}

/** Whether some index in the value reads a weight's rows indirectly (an embedding lookup). */
export function hasIndirectLoad(x: Scalar): boolean {
  let found = false;
  visitScalar(x, (part) => {
    if (part.op === 'load') for (const i of nodeIndices(part)) if (containsAt(i)) found = true;
  });
  return found;
}
const containsAt = (i: Parameters<typeof indexAxes>[0]): boolean =>
  i.op === 'at' || ('a' in i && containsAt(i.a)) || ('b' in i && containsAt(i.b));
