/**
 * Range-aware simplification of `Index` expressions. An expression becomes a sum of integer multiples of atoms (axes, dimensions,
 * and divisions, remainders, minima, maxima and indirect loads that do not reduce further) in a canonical order, so that equal
 * sums are structurally equal. Rules for a positive constant c, with x = c*q + r split by terms:
 *   x / c = q + r / c,  x % c = r % c;   r / c = 0 and r % c = r where 0 <= r < c
 *   (x / a) / b = x / (a*b);  (x % (a*b)) % b = x % b;  (x % (a*b)) / b = (x / b) % a;  (x / c) * c + x % c = x
 */
import { at, div, int, maximum, minimum, mod, mul, sub, indexKey, add } from './index-expression.ts';
import type { Dim, DimName, Index } from './scalar.ts';

/** Extents of the loop axes in scope; an axis not known ranges over all non-negative integers. */
export type Extents = (axis: number) => Dim | undefined;
export const extentsOf = (shape: readonly Dim[]): Extents => (n) => shape[n];
export const withExtent = (outer: Extents, axis: number, extent: Dim): Extents => (n) => (n === axis ? extent : outer(n));

/** Inclusive bounds. */
export interface Range { readonly low: number; readonly high: number }

interface Term { readonly atom: Index; readonly by: number }
/** constant + sum of by * atom, by the atom's key. */
interface Sum { constant: number; readonly terms: Map<string, Term> }

const dimensionRange = (name: DimName): Range => ({ low: name === 'P' ? 0 : 1, high: Infinity });

/** Bounds of the value for every point of the loops. */
export function rangeOf(index: Index, extents: Extents): Range {
  switch (index.op) {
    case 'int': return { low: index.value, high: index.value };
    case 'dim': return dimensionRange(index.dim);
    case 'axis': {
      const extent = extents(index.axis);
      return { low: 0, high: typeof extent === 'number' ? Math.max(0, extent - 1) : Infinity };
    }
    case 'at': return { low: -Infinity, high: Infinity };
    case 'add': case 'sub': case 'min': case 'max': {
      const a = rangeOf(index.a, extents);
      const b = rangeOf(index.b, extents);
      if (index.op === 'add') return { low: a.low + b.low, high: a.high + b.high };
      if (index.op === 'sub') return { low: a.low - b.high, high: a.high - b.low };
      if (index.op === 'min') return { low: Math.min(a.low, b.low), high: Math.min(a.high, b.high) };
      return { low: Math.max(a.low, b.low), high: Math.max(a.high, b.high) };
    }
    case 'mul': return scaleRange(rangeOf(index.a, extents), index.by);
    case 'div': {
      const a = rangeOf(index.a, extents);
      return { low: Math.floor(a.low / index.by), high: Math.floor(a.high / index.by) };
    }
    case 'mod': {
      const a = rangeOf(index.a, extents);
      return a.low >= 0 && a.high < index.by ? a : { low: 0, high: index.by - 1 };
    }
    default: return index satisfies never;
  }
}

const scaleRange = (r: Range, by: number): Range =>
  by === 0 ? { low: 0, high: 0 } : by > 0 ? { low: r.low * by, high: r.high * by } : { low: r.high * by, high: r.low * by };

/** The same value, simplified, in canonical form. */
export function simplifyIndex(index: Index, extents: Extents): Index {
  if (index.op === 'int' || index.op === 'axis' || index.op === 'dim') {
    return index.op === 'axis' && extents(index.axis) === 1 ? int(0) : index;
  }
  return isSimple(index, extents) ? index : fromSum(toSum(index, extents));
}

/** Most indices are an axis times, over or modulo a number: already canonical, and told so without taking them apart. */
function isSimple(index: Index, extents: Extents): boolean {
  if (index.op !== 'mul' && index.op !== 'div' && index.op !== 'mod') return false;
  if (index.a.op !== 'axis' || index.by < 2) return false;
  const extent = extents(index.a.axis);
  return extent !== 1 && (index.op === 'mul' || typeof extent !== 'number' || extent > index.by);
}

function toSum(index: Index, extents: Extents): Sum {
  switch (index.op) {
    case 'int': return { constant: index.value, terms: new Map() };
    case 'axis': return extents(index.axis) === 1 ? { constant: 0, terms: new Map() } : single(index);
    case 'dim': return single(index);
    case 'add': return combine(toSum(index.a, extents), toSum(index.b, extents), 1);
    case 'sub': return combine(toSum(index.a, extents), toSum(index.b, extents), -1);
    case 'mul': return scale(toSum(index.a, extents), index.by);
    case 'div': return divide(toSum(index.a, extents), index.by, extents);
    case 'mod': return remainder(toSum(index.a, extents), index.by, extents);
    case 'min': case 'max': {
      const a = simplifyIndex(index.a, extents);
      const b = simplifyIndex(index.b, extents);
      const difference = sumRange(combine(toSum(a, extents), toSum(b, extents), -1), extents);
      if (difference.high <= 0) return toSum(index.op === 'min' ? a : b, extents);
      if (difference.low >= 0) return toSum(index.op === 'min' ? b : a, extents);
      return single(index.op === 'min' ? minimum(a, b) : maximum(a, b));
    }
    case 'at': return single(at(index.source, index.index.map((i) => simplifyIndex(i, extents))));
    default: return index satisfies never;
  }
}

const single = (atom: Index): Sum => ({ constant: 0, terms: new Map([[indexKey(atom), { atom, by: 1 }]]) });

const scale = (sum: Sum, by: number): Sum => ({
  constant: sum.constant * by,
  terms: by === 0 ? new Map() : new Map([...sum.terms].map(([key, t]) => [key, { atom: t.atom, by: t.by * by }])),
});

function combine(a: Sum, b: Sum, sign: 1 | -1): Sum {
  const terms = new Map(a.terms);
  for (const [key, term] of b.terms) addTerm(terms, key, term.atom, sign * term.by);
  return recombine({ constant: a.constant + sign * b.constant, terms });
}

function addTerm(terms: Map<string, Term>, key: string, atom: Index, by: number): void {
  const total = (terms.get(key)?.by ?? 0) + by;
  if (total === 0) terms.delete(key);
  else terms.set(key, { atom, by: total });
}

/** k*c*(x / c) + k*(x % c) = k*x. */
function recombine(sum: Sum): Sum {
  for (const [key, term] of sum.terms) {
    if (term.atom.op !== 'mod') continue;
    const { a, by: c } = term.atom;
    const quotientKey = indexKey(div(a, c));
    const quotient = sum.terms.get(quotientKey);
    if (!quotient || quotient.by !== term.by * c) continue;
    const terms = new Map(sum.terms);
    terms.delete(key);
    terms.delete(quotientKey);
    return combine({ constant: sum.constant, terms }, scale(plainSum(a), term.by), 1);
  }
  return sum;
}

/** The sum that an already canonical expression spells. */
function plainSum(index: Index): Sum {
  switch (index.op) {
    case 'int': return { constant: index.value, terms: new Map() };
    case 'add': return combine(plainSum(index.a), plainSum(index.b), 1);
    case 'sub': return combine(plainSum(index.a), plainSum(index.b), -1);
    case 'mul': return scale(plainSum(index.a), index.by);
    default: return single(index);
  }
}

function sumRange(sum: Sum, extents: Extents): Range {
  let low = sum.constant;
  let high = sum.constant;
  for (const { atom, by } of sum.terms.values()) {
    const r = scaleRange(rangeOf(atom, extents), by);
    low += r.low;
    high += r.high;
  }
  return { low, high };
}

/** Terms that are multiples of c (already divided by it), and the rest with 0 <= constant < c. */
function split(sum: Sum, c: number): { quotient: Sum; rest: Sum } {
  const quotient: Sum = { constant: Math.floor(sum.constant / c), terms: new Map() };
  const rest: Sum = { constant: sum.constant - Math.floor(sum.constant / c) * c, terms: new Map() };
  for (const [key, term] of sum.terms) {
    if (term.by % c === 0) quotient.terms.set(key, { atom: term.atom, by: term.by / c });
    else rest.terms.set(key, term);
  }
  return { quotient, rest };
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

/** The greatest common divisor of c and all factors; 1 where there are no terms. */
const commonFactor = (sum: Sum, c: number): number => [...sum.terms.values()].reduce((g, t) => gcd(g, t.by), c);

const isEmpty = (sum: Sum): boolean => sum.terms.size === 0 && sum.constant === 0;

function divide(sum: Sum, c: number, extents: Extents): Sum {
  if (c === 1) return sum;
  const { quotient, rest } = split(sum, c);
  if (isEmpty(rest)) return quotient;
  const range = sumRange(rest, extents);
  if (Math.floor(range.low / c) === Math.floor(range.high / c) && Number.isFinite(range.low)) {
    return combine(quotient, { constant: Math.floor(range.low / c), terms: new Map() }, 1);
  }
  // (g*y + r) / c = y / (c/g) for 0 <= r < g.
  const g = commonFactor(rest, c);
  if (g > 1) {
    const reduced: Sum = { constant: Math.floor(rest.constant / g), terms: scaleDown(rest.terms, g) };
    return combine(quotient, divide(reduced, c / g, extents), 1);
  }
  const only = onlyAtom(rest);
  if (only?.op === 'div') return combine(quotient, divide(toSum(only.a, extents), only.by * c, extents), 1);
  if (only?.op === 'mod' && only.by % c === 0) {
    return combine(quotient, remainder(divide(toSum(only.a, extents), c, extents), only.by / c, extents), 1);
  }
  const dropped = dropSmallPart(rest, c, extents);
  if (dropped) return combine(quotient, divide(dropped, c, extents), 1);
  return combine(quotient, single(div(fromSum(rest), c)), 1);
}

function remainder(sum: Sum, c: number, extents: Extents): Sum {
  if (c === 1) return { constant: 0, terms: new Map() };
  let { rest } = split(sum, c);
  for (const term of rest.terms.values()) {
    // (k * (x % (a*c))) % c = (k * x) % c
    if (term.atom.op !== 'mod' || term.atom.by % c !== 0) continue;
    const terms = new Map(rest.terms);
    terms.delete(indexKey(term.atom));
    rest = split(combine({ constant: rest.constant, terms }, scale(toSum(term.atom.a, extents), term.by), 1), c).rest;
    return remainder(rest, c, extents);
  }
  const range = sumRange(rest, extents);
  const low = Math.floor(range.low / c);
  if (low === Math.floor(range.high / c) && Number.isFinite(range.low)) {
    return combine(rest, { constant: -low * c, terms: new Map() }, 1);
  }
  // (g*y + r) % c = g * (y % (c/g)) + r for 0 <= r < g.
  const g = commonFactor(rest, c);
  if (g > 1) {
    const constant = Math.floor(rest.constant / g);
    const inner = remainder({ constant, terms: scaleDown(rest.terms, g) }, c / g, extents);
    return combine(scale(inner, g), { constant: rest.constant - constant * g, terms: new Map() }, 1);
  }
  const dropped = dropSmallPart(rest, c, extents);
  if (dropped) {
    const small = combine(rest, dropped, -1);
    return combine(remainder(dropped, c, extents), small, 1);
  }
  return single(mod(fromSum(rest), c));
}

/**
 * (big + small) with big a multiple of g, g a divisor of c, and 0 <= small < g: small decides nothing in a division by c.
 * Gives big where there is such a split.
 */
function dropSmallPart(sum: Sum, c: number, extents: Extents): Sum | undefined {
  const factors = [...new Set([...sum.terms.values()].map((t) => gcd(t.by, c)))].filter((g) => g > 1).sort((a, b) => b - a);
  for (const g of factors) {
    const big: Sum = { constant: Math.floor(sum.constant / g) * g, terms: new Map() };
    const small: Sum = { constant: sum.constant - big.constant, terms: new Map() };
    for (const [key, term] of sum.terms) (term.by % g === 0 ? big : small).terms.set(key, term);
    if (isEmpty(small)) continue;
    const range = sumRange(small, extents);
    if (range.low >= 0 && range.high < g) return big;
  }
  return undefined;
}

const scaleDown = (terms: ReadonlyMap<string, Term>, g: number): Map<string, Term> =>
  new Map([...terms].map(([key, t]) => [key, { atom: t.atom, by: t.by / g }]));

function onlyAtom(sum: Sum): Index | undefined {
  if (sum.constant !== 0 || sum.terms.size !== 1) return undefined;
  const [term] = sum.terms.values();
  return term?.by === 1 ? term.atom : undefined;
}

const rank = (atom: Index): number => (atom.op === 'dim' ? 0 : atom.op === 'axis' ? 1 : 2);

/** Terms by falling factor, then dimensions, axes, others, then by key; negative factors last; the constant at the end. */
function fromSum(sum: Sum): Index {
  const terms = [...sum.terms].sort(([ka, a], [kb, b]) =>
    (b.by - a.by) || (rank(a.atom) - rank(b.atom)) || (ka < kb ? -1 : ka > kb ? 1 : 0));
  let result: Index | undefined;
  for (const [, { atom, by }] of terms) {
    const positive = Math.abs(by) === 1 ? atom : mul(atom, Math.abs(by));
    if (!result) result = by > 0 ? positive : mul(atom, by);
    else result = by > 0 ? add(result, positive) : sub(result, positive);
  }
  if (!result) return int(sum.constant);
  if (sum.constant === 0) return result;
  return sum.constant > 0 ? add(result, int(sum.constant)) : sub(result, int(-sum.constant));
}

/** constant + sum of `by` * atom, for analyses. */
export function linearForm(index: Index, extents: Extents): { constant: number; terms: readonly { atom: Index; by: number }[] } {
  const sum = toSum(index, extents);
  return { constant: sum.constant, terms: [...sum.terms.values()] };
}
