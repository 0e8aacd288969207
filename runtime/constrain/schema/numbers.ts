/** Numbers within bounds, as texts. At most 15 digits on either side of the point, so that what is written is what is read. */
import { bytes, choice, empty, literal, oneOf, optional, repeat, sequence, type Expression } from '../grammar.ts';

const digit = oneOf('0-9');
const digitsAfter = 15;
const nothing: Expression = { kind: 'choice', items: [] };

/** -?(0|[1-9]...) with up to 16 digits. */
export function anyInteger(): Expression {
  return sequence(optional(literal('-')), choice(literal('0'), sequence(oneOf('1-9'), repeat(digit, 0, 14))));
}

export function anyNumber(): Expression {
  const exponent = sequence(oneOf('eE'), optional(oneOf('+-')), choice(digit, sequence(oneOf('1-9'), digit)));
  return sequence(anyInteger(), optional(sequence(literal('.'), repeat(digit, 1, digitsAfter))), optional(exponent));
}

const range = (from: string, to: string): Expression => (from === to ? literal(from) : oneOf(`${from}-${to}`));

/** Digit strings of one length from `low` to `high`, which have that length. */
function sameLength(low: string, high: string): Expression {
  if (low === high) return literal(low);
  const [l, h, n] = [low[0] ?? '0', high[0] ?? '0', low.length - 1];
  if (n === 0) return range(l, h);
  if (l === h) return sequence(literal(l), sameLength(low.slice(1), high.slice(1)));
  const items: Expression[] = [];
  const [wholeLow, wholeHigh] = [/^0*$/.test(low.slice(1)), /^9*$/.test(high.slice(1))];
  if (!wholeLow) items.push(sequence(literal(l), sameLength(low.slice(1), '9'.repeat(n))));
  const from = wholeLow ? l : String(Number(l) + 1), to = wholeHigh ? h : String(Number(h) - 1);
  if (from <= to) items.push(sequence(range(from, to), repeat(digit, n, n)));
  if (!wholeHigh) items.push(sequence(literal(h), sameLength('0'.repeat(n), high.slice(1))));
  return choice(...items);
}

/** Whole numbers from `low` to `high`, neither negative; `high` undefined: as many digits as are kept. */
function naturals(low: bigint, high: bigint = 10n ** 15n - 1n): Expression {
  if (low > high) return nothing;
  const [l, h] = [String(low), String(high)];
  const items: Expression[] = [];
  for (let n = l.length; n <= h.length; n++) items.push(sameLength(n === l.length ? l : `1${'0'.repeat(n - 1)}`, n === h.length ? h : '9'.repeat(n)));
  return choice(...items);
}

/** Whole numbers from `low` to `high`, where given. */
export function integers(low: bigint | undefined, high: bigint | undefined): Expression {
  const items: Expression[] = [];
  if (high === undefined || high >= 0n) items.push(naturals(low === undefined || low < 0n ? 0n : low, high));
  if (low === undefined || low < 0n) items.push(sequence(literal('-'), naturals(high === undefined || high >= 0n ? 1n : -high, low === undefined ? undefined : -low)));
  return choice(...items);
}

export interface Bound { readonly value: number; readonly exclusive: boolean }

/** The digits of a number that is not negative, without an exponent: those before and those after the point. */
function decimal(value: number): { whole: string; part: string } {
  const [mantissa = '0', exponent = '0'] = String(value).split('e');
  const [whole = '0', part = ''] = mantissa.split('.');
  const shift = Number(exponent);
  const digits = whole + part;
  const point = whole.length + shift;
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0');
  const at = Math.max(1, point);
  return { whole: padded.slice(0, at).replace(/^0+(?=\d)/, ''), part: padded.slice(at).replace(/0+$/, '') };
}

const upTo = (n: number): Expression => repeat(digit, 0, Math.max(0, n));

/** Digits after the point of a fraction above, or not below, `part`; at most `left` digits. */
function partAbove(part: string, exclusive: boolean, left: number): Expression {
  if (part === '') return exclusive ? choice(...Array.from({ length: left }, (_, zeros) => sequence(literal('0'.repeat(zeros)), oneOf('1-9'), upTo(left - zeros - 1)))) : upTo(left);
  const d = Number(part[0]);
  return choice(...(d < 9 ? [sequence(oneOf(`${d + 1}-9`), upTo(left - 1))] : []), sequence(literal(String(d)), partAbove(part.slice(1), exclusive, left - 1)));
}

/** Digits after the point of a fraction below, or not above, `part`. */
function partBelow(part: string, exclusive: boolean, left: number): Expression {
  if (part === '') return exclusive ? nothing : repeat(literal('0'), 0, left);
  const d = Number(part[0]);
  return choice(empty, ...(d > 0 ? [sequence(oneOf(`0-${d - 1}`), upTo(left - 1))] : []), sequence(literal(String(d)), partBelow(part.slice(1), exclusive, left - 1)));
}

/** Both at once. */
function partBetween(low: string, lowOut: boolean, high: string, highOut: boolean, left: number): Expression {
  if (low === '') return lowOut ? both(low, lowOut, high, highOut, left) : partBelow(high, highOut, left);
  if (high === '') return nothing;
  return both(low, lowOut, high, highOut, left);
}

function both(low: string, lowOut: boolean, high: string, highOut: boolean, left: number): Expression {
  if (left === 0) return nothing;
  if (high === '') return nothing; // Above 0 and not above 0.
  const l = Number(low[0] ?? 0), h = Number(high[0]);
  if (l > h) return nothing;
  if (l === h) return sequence(literal(String(l)), partBetween(low.slice(1), lowOut, high.slice(1), highOut, left - 1));
  return choice(
    sequence(literal(String(l)), partAbove(low.slice(1), lowOut, left - 1)), ...(h - l > 1 ? [sequence(oneOf(`${l + 1}-${h - 1}`), upTo(left - 1))] : []),
    sequence(literal(String(h)), partBelow(high.slice(1), highOut, left - 1)));
}

/** A point and digits, where `digits` may be empty: then there is no point. */
function fraction(digits: Expression, mayBeEmpty: boolean): Expression {
  // A point must be followed by a digit: `digits` that match nothing stand for no point at all.
  const pointed = sequence(literal('.'), nonEmpty(digits));
  return mayBeEmpty ? optional(pointed) : pointed;
}

/** What `e` matches but the empty text. */
function nonEmpty(e: Expression): Expression {
  switch (e.kind) {
    case 'byte': return e;
    case 'rule': return e;
    case 'choice': return choice(...e.items.map(nonEmpty));
    case 'repeat': return e.max === 0 ? nothing : repeat(e.item, Math.max(1, e.min), e.max);
    case 'sequence': {
      const [first, ...rest] = e.items;
      if (!first) return nothing;
      return nullable(first) ? choice(sequence(nonEmpty(first), ...rest), nonEmpty(sequence(...rest))) : e;
    }
    default: throw e satisfies never;
  }
}

function nullable(e: Expression): boolean {
  switch (e.kind) {
    case 'byte': case 'rule': return false;
    case 'choice': return e.items.some(nullable);
    case 'repeat': return e.min === 0 || nullable(e.item);
    case 'sequence': return e.items.every(nullable);
    default: throw e satisfies never;
  }
}

/** Numbers that are not negative, from `low` to `high`. */
function positives(low: Bound, high: Bound | undefined): Expression {
  if (high && (high.value < low.value || (high.value === low.value && (low.exclusive || high.exclusive)))) return nothing;
  const l = decimal(low.value), h = high && decimal(high.value);
  const withPart = (whole: Expression, digits: Expression): Expression => sequence(whole, fraction(digits, nullable(digits)));
  if (h && h.whole === l.whole) return withPart(literal(l.whole), partBetween(l.part, low.exclusive, h.part, high.exclusive, digitsAfter));
  const between = naturals(BigInt(l.whole) + 1n, h === undefined ? undefined : BigInt(h.whole) - 1n);
  return choice(
    withPart(literal(l.whole), partAbove(l.part, low.exclusive, digitsAfter)), withPart(between, upTo(digitsAfter)),
    ...(h && high ? [withPart(literal(h.whole), partBelow(h.part, high.exclusive, digitsAfter))] : []));
}

const negated = (b: Bound): Bound => ({ value: -b.value, exclusive: b.exclusive });

/** Numbers from `low` to `high`, where given, without exponents. */
export function numbers(low: Bound | undefined, high: Bound | undefined): Expression {
  const items: Expression[] = [];
  const zero: Bound = { value: 0, exclusive: false }, aboveZero: Bound = { value: 0, exclusive: true };
  if (!high || high.value >= 0) items.push(positives(low && low.value >= 0 ? low : zero, high));
  if (!low || low.value < 0) items.push(sequence(bytes([45]), positives(high && high.value < 0 ? negated(high) : aboveZero, low && negated(low))));
  return choice(...items);
}
