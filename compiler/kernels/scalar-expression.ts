/** Constructors, structural keys, traversals and substitution of `Scalar` expressions. */
import { axis as axisIndex, indexAxes, indexKey, rewriteIndex, type NameSource } from './index-expression.ts';
import { simplifyIndex, withExtent, type Extents } from './simplify-index.ts';
import { foldNode } from './fold-scalar.ts';
import type { BinaryFunction, Dim, Index, ReduceFunction, Scalar, UnaryFunction } from './scalar.ts';

export const constant = (value: number): Scalar => ({ op: 'const', value });
export const arg = (n: number): Scalar => ({ op: 'arg', arg: n });
export const load = (source: number, index: readonly Index[]): Scalar => ({ op: 'load', source, index });
export const accumulator = (index: readonly Index[]): Scalar => ({ op: 'accumulator', index });
export const indexValue = (index: Index): Scalar => ({ op: 'index', index });
export const unary = (fn: UnaryFunction, x: Scalar): Scalar => ({ op: 'unary', fn, x });
export const binary = (fn: BinaryFunction, a: Scalar, b: Scalar): Scalar => ({ op: 'binary', fn, a, b });
export const select = (condition: Scalar, then: Scalar, otherwise: Scalar): Scalar => ({ op: 'select', condition, then, else: otherwise });
export const reduce = (fn: ReduceFunction, axis: number, extent: Dim, body: Scalar): Scalar => ({ op: 'reduce', fn, axis, extent, body });

/** A string that is equal for structurally equal expressions only, sources counting as what `name` makes of them. */
export function scalarKey(x: Scalar, name: NameSource = (source) => source): string {
  switch (x.op) {
    case 'const': return Object.is(x.value, -0) ? '-0' : String(x.value);
    case 'arg': return `$${x.arg}`;
    case 'load': return `%${name(x.source)}[${x.index.map((i) => indexKey(i, name)).join(',')}]`;
    case 'accumulator': return `acc[${x.index.map((i) => indexKey(i, name)).join(',')}]`;
    case 'index': return `i(${indexKey(x.index, name)})`;
    case 'unary': return `${x.fn}(${scalarKey(x.x, name)})`;
    case 'binary': return `${x.fn}(${scalarKey(x.a, name)},${scalarKey(x.b, name)})`;
    case 'select': return `select(${scalarKey(x.condition, name)},${scalarKey(x.then, name)},${scalarKey(x.else, name)})`;
    case 'reduce': return `${x.fn}{a${x.axis}<${x.extent}}(${scalarKey(x.body, name)})`;
    default: return x satisfies never;
  }
}
export const sameScalar = (a: Scalar, b: Scalar): boolean => a === b || scalarKey(a) === scalarKey(b);

/** The direct operands. */
export function operands(x: Scalar): readonly Scalar[] {
  switch (x.op) {
    case 'const': case 'arg': case 'load': case 'accumulator': case 'index': return [];
    case 'unary': return [x.x];
    case 'binary': return [x.a, x.b];
    case 'select': return [x.condition, x.then, x.else];
    case 'reduce': return [x.body];
    default: return x satisfies never;
  }
}

/** Calls `visit` on the expression and everything in it, outer before inner. `reduces` are the enclosing reduces, outermost first. */
export function visitScalar(x: Scalar, visit: (part: Scalar, reduces: readonly ReduceScope[]) => void, reduces: readonly ReduceScope[] = []): void {
  visit(x, reduces);
  switch (x.op) {
    case 'const': case 'arg': case 'load': case 'accumulator': case 'index': return;
    case 'unary': visitScalar(x.x, visit, reduces); return;
    case 'binary': visitScalar(x.a, visit, reduces); visitScalar(x.b, visit, reduces); return;
    case 'select': visitScalar(x.condition, visit, reduces); visitScalar(x.then, visit, reduces); visitScalar(x.else, visit, reduces); return;
    case 'reduce': visitScalar(x.body, visit, [...reduces, { axis: x.axis, extent: x.extent }]); return;
    default: return x satisfies never;
  }
}
export interface ReduceScope { readonly axis: number; readonly extent: Dim }

/** Every index expression directly in a node. */
export function nodeIndices(x: Scalar): readonly Index[] {
  switch (x.op) {
    case 'load': case 'accumulator': return x.index;
    case 'index': return [x.index];
    case 'const': case 'arg': case 'unary': case 'binary': case 'select': case 'reduce': return [];
    default: return x satisfies never;
  }
}

/** Sources that are read, by `load` or by `at`. */
export function sourcesOf(x: Scalar, into: Set<number> = new Set()): Set<number> {
  switch (x.op) {
    case 'const': case 'arg': break;
    case 'load': into.add(x.source); for (const i of x.index) indexSources(i, into); break;
    case 'accumulator': for (const i of x.index) indexSources(i, into); break;
    case 'index': indexSources(x.index, into); break;
    case 'unary': sourcesOf(x.x, into); break;
    case 'binary': sourcesOf(x.a, into); sourcesOf(x.b, into); break;
    case 'select': sourcesOf(x.condition, into); sourcesOf(x.then, into); sourcesOf(x.else, into); break;
    case 'reduce': sourcesOf(x.body, into); break;
    default: return x satisfies never;
  }
  return into;
}
export function indexSources(index: Index, into: Set<number> = new Set()): Set<number> {
  switch (index.op) {
    case 'int': case 'axis': case 'dim': break;
    case 'add': case 'sub': case 'min': case 'max': indexSources(index.a, into); indexSources(index.b, into); break;
    case 'mul': case 'div': case 'mod': indexSources(index.a, into); break;
    case 'at': into.add(index.source); for (const i of index.index) indexSources(i, into); break;
    default: return index satisfies never;
  }
  return into;
}

export type Load = Extract<Scalar, { op: 'load' }>;
/** Every load, in evaluation order, with repeats. */
export function loadsOf(x: Scalar): Load[] {
  const loads: Load[] = [];
  visitScalar(x, (part) => { if (part.op === 'load') loads.push(part); });
  return loads;
}

/** Loop axes that the value depends on; axes bound by reduces inside it do not count. */
export function freeAxes(x: Scalar): Set<number> {
  const free = new Set<number>();
  visitScalar(x, (part, reduces) => {
    for (const index of nodeIndices(part)) for (const n of indexAxes(index)) if (!reduces.some((r) => r.axis === n)) free.add(n);
  });
  return free;
}

export function hasReduce(x: Scalar): boolean {
  switch (x.op) {
    case 'const': case 'arg': case 'load': case 'accumulator': case 'index': return false;
    case 'unary': return hasReduce(x.x);
    case 'binary': return hasReduce(x.a) || hasReduce(x.b);
    case 'select': return hasReduce(x.condition) || hasReduce(x.then) || hasReduce(x.else);
    case 'reduce': return true;
    default: return x satisfies never;
  }
}
export function countNodes(x: Scalar): number {
  let count = 0;
  visitScalar(x, () => { count++; });
  return count;
}

/** Rebuilds from the leaves up, folding constants; `replace` may give something else for a rebuilt node. */
export function rewriteScalar(x: Scalar, replace: (part: Scalar) => Scalar | undefined): Scalar {
  const memo = new Map<Scalar, Scalar>();
  const walk = (part: Scalar): Scalar => {
    const known = memo.get(part);
    if (known) return known;
    const rebuilt = rebuild(part, walk);
    const result = replace(rebuilt) ?? rebuilt;
    memo.set(part, result);
    return result;
  };
  return walk(x);
}

function rebuild(x: Scalar, walk: (part: Scalar) => Scalar): Scalar {
  switch (x.op) {
    case 'const': case 'arg': case 'load': case 'accumulator': case 'index': return x;
    case 'unary': { const y = walk(x.x); return y === x.x ? x : foldNode(unary(x.fn, y)); }
    case 'binary': {
      const a = walk(x.a);
      const b = walk(x.b);
      return a === x.a && b === x.b ? x : foldNode(binary(x.fn, a, b));
    }
    case 'select': return foldNode(select(walk(x.condition), walk(x.then), walk(x.else)));
    case 'reduce': { const body = walk(x.body); return body === x.body ? x : reduce(x.fn, x.axis, x.extent, body); }
    default: return x satisfies never;
  }
}

/** Applies `change` to every index expression, with the extents of the axes in scope there. Loads inside `at` are included. */
export function mapIndices(x: Scalar, change: (index: Index, extents: Extents) => Index, extents: Extents): Scalar {
  switch (x.op) {
    case 'const': case 'arg': return x;
    case 'load': return load(x.source, x.index.map((i) => change(i, extents)));
    case 'accumulator': return accumulator(x.index.map((i) => change(i, extents)));
    case 'index': return foldNode(indexValue(change(x.index, extents)));
    case 'unary': return foldNode(unary(x.fn, mapIndices(x.x, change, extents)));
    case 'binary': return foldNode(binary(x.fn, mapIndices(x.a, change, extents), mapIndices(x.b, change, extents)));
    case 'select':
      return foldNode(select(mapIndices(x.condition, change, extents), mapIndices(x.then, change, extents), mapIndices(x.else, change, extents)));
    case 'reduce': return reduce(x.fn, x.axis, x.extent, mapIndices(x.body, change, withExtent(extents, x.axis, x.extent)));
    default: return x satisfies never;
  }
}

/** Simplifies every index expression and folds constants. */
export const simplifyScalar = (x: Scalar, extents: Extents): Scalar => mapIndices(x, simplifyIndex, extents);

/** Replaces free axes by index expressions and simplifies. Reduce axes inside `x` must not occur in what is put in (see `renameReduceAxes`). */
export function substituteAxes(x: Scalar, values: (axis: number) => Index | undefined, extents: Extents): Scalar {
  return mapIndices(x, (index, scope) => simplifyIndex(substituteIndex(index, values), scope), extents);
}
export const substituteIndex = (index: Index, values: (axis: number) => Index | undefined): Index =>
  rewriteIndex(index, (part) => (part.op === 'axis' ? values(part.axis) : undefined));

/**
 * Numbers reduce axes by nesting depth from `first` on: the outermost reduce gets `first`, one inside it `first + 1`. Equal
 * subexpressions then are structurally equal wherever they stand at equal depth.
 */
export function numberReduceAxes(x: Scalar, first: number): Scalar {
  return hasReduce(x) ? renumber(x, () => undefined, first) : x;
}
function renumber(x: Scalar, names: (axis: number) => number | undefined, next: number): Scalar {
  const rename = (index: Index): Index =>
    rewriteIndex(index, (part) => {
      const n = part.op === 'axis' ? names(part.axis) : undefined;
      return n === undefined ? undefined : axisIndex(n);
    });
  switch (x.op) {
    case 'const': case 'arg': return x;
    case 'load': return load(x.source, x.index.map(rename));
    case 'accumulator': return accumulator(x.index.map(rename));
    case 'index': return indexValue(rename(x.index));
    case 'unary': return unary(x.fn, renumber(x.x, names, next));
    case 'binary': return binary(x.fn, renumber(x.a, names, next), renumber(x.b, names, next));
    case 'select': return select(renumber(x.condition, names, next), renumber(x.then, names, next), renumber(x.else, names, next));
    case 'reduce': return reduce(x.fn, next, x.extent, renumber(x.body, (n) => (n === x.axis ? next : names(n)), next + 1));
    default: return x satisfies never;
  }
}

/** Changes source numbers in loads and in `at`. */
export function mapSources(x: Scalar, source: (n: number) => number): Scalar {
  switch (x.op) {
    case 'const': case 'arg': return x;
    case 'load': return load(source(x.source), x.index.map((i) => mapIndexSources(i, source)));
    case 'accumulator': return accumulator(x.index.map((i) => mapIndexSources(i, source)));
    case 'index': return indexValue(mapIndexSources(x.index, source));
    case 'unary': return unary(x.fn, mapSources(x.x, source));
    case 'binary': return binary(x.fn, mapSources(x.a, source), mapSources(x.b, source));
    case 'select': return select(mapSources(x.condition, source), mapSources(x.then, source), mapSources(x.else, source));
    case 'reduce': return reduce(x.fn, x.axis, x.extent, mapSources(x.body, source));
    default: return x satisfies never;
  }
}
export const mapIndexSources = (index: Index, source: (n: number) => number): Index =>
  rewriteIndex(index, (part) => (part.op === 'at' ? { ...part, source: source(part.source) } : undefined));
