/** Constructors, structural keys and traversals of `Index` expressions. */
import type { Dim, DimName, Index } from './scalar.ts';

export const int = (value: number): Index => ({ op: 'int', value });
export const axis = (n: number): Index => ({ op: 'axis', axis: n });
export const dim = (name: DimName): Index => ({ op: 'dim', dim: name });
export const dimIndex = (d: Dim): Index => (typeof d === 'number' ? int(d) : dim(d));
export const add = (a: Index, b: Index): Index => ({ op: 'add', a, b });
export const sub = (a: Index, b: Index): Index => ({ op: 'sub', a, b });
export const minimum = (a: Index, b: Index): Index => ({ op: 'min', a, b });
export const maximum = (a: Index, b: Index): Index => ({ op: 'max', a, b });
export const mul = (a: Index, by: number): Index => ({ op: 'mul', a, by });
export const div = (a: Index, by: number): Index => ({ op: 'div', a, by });
export const mod = (a: Index, by: number): Index => ({ op: 'mod', a, by });
export const at = (source: number, index: readonly Index[]): Index => ({ op: 'at', source, index });
export const axes = (count: number): Index[] => Array.from({ length: count }, (_, n) => axis(n));

/** Changes a source's number in a key. */
export type NameSource = (source: number) => number;
const same: NameSource = (source) => source;

/** A string that is equal for structurally equal expressions only, sources counting as what `name` makes of them. */
export function indexKey(index: Index, name: NameSource = same): string {
  switch (index.op) {
    case 'int': return String(index.value);
    case 'axis': return `a${index.axis}`;
    case 'dim': return index.dim;
    case 'add': return `(${indexKey(index.a, name)}+${indexKey(index.b, name)})`;
    case 'sub': return `(${indexKey(index.a, name)}-${indexKey(index.b, name)})`;
    case 'min': return `min(${indexKey(index.a, name)},${indexKey(index.b, name)})`;
    case 'max': return `max(${indexKey(index.a, name)},${indexKey(index.b, name)})`;
    case 'mul': return `(${indexKey(index.a, name)}*${index.by})`;
    case 'div': return `(${indexKey(index.a, name)}/${index.by})`;
    case 'mod': return `(${indexKey(index.a, name)}%${index.by})`;
    case 'at': return `@${name(index.source)}[${index.index.map((i) => indexKey(i, name)).join(',')}]`;
    default: return index satisfies never;
  }
}

export const sameIndex = (a: Index, b: Index): boolean => a === b || indexKey(a) === indexKey(b);
export const sameIndices = (a: readonly Index[], b: readonly Index[]): boolean =>
  a.length === b.length && a.every((x, n) => sameIndex(x, b[n] as Index));

/** Calls `visit` on the expression and everything in it, outer before inner. */
export function visitIndex(index: Index, visit: (part: Index) => void): void {
  visit(index);
  switch (index.op) {
    case 'int': case 'axis': case 'dim': return;
    case 'add': case 'sub': case 'min': case 'max': visitIndex(index.a, visit); visitIndex(index.b, visit); return;
    case 'mul': case 'div': case 'mod': visitIndex(index.a, visit); return;
    case 'at': for (const i of index.index) visitIndex(i, visit); return;
    default: return index satisfies never;
  }
}

/** Rebuilds from the leaves up; `leaf` replaces an axis or an `at` (whose own indices are already rebuilt) where it gives something. */
export function rewriteIndex(index: Index, leaf: (part: Index) => Index | undefined): Index {
  switch (index.op) {
    case 'int': case 'dim': return index;
    case 'axis': return leaf(index) ?? index;
    case 'add': case 'sub': case 'min': case 'max': {
      const a = rewriteIndex(index.a, leaf);
      const b = rewriteIndex(index.b, leaf);
      return a === index.a && b === index.b ? index : { op: index.op, a, b };
    }
    case 'mul': case 'div': case 'mod': {
      const a = rewriteIndex(index.a, leaf);
      return a === index.a ? index : { op: index.op, a, by: index.by };
    }
    case 'at': {
      const rebuilt = at(index.source, index.index.map((i) => rewriteIndex(i, leaf)));
      return leaf(rebuilt) ?? rebuilt;
    }
    default: return index satisfies never;
  }
}

/** The loop axes that the value depends on. */
export function indexAxes(index: Index, into: Set<number> = new Set()): Set<number> {
  visitIndex(index, (part) => { if (part.op === 'axis') into.add(part.axis); });
  return into;
}
