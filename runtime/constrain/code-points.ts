/** Sets of code points, and the bytes that write them. */
import { byte, bytes, choice, literal, oneOf, sequence, type Expression } from './grammar.ts';

/** Inclusive ranges, ascending, apart from each other. Surrogates are no characters, and in no set. */
export type CodePoints = readonly (readonly [number, number])[];

const last = 0x10ffff;
export const everything: CodePoints = [[0, 0xd7ff], [0xe000, last]];

/** All characters, in order: what `charactersOf` looks through. */
export function allCharacters(): string {
  const parts: string[] = [];
  for (const [from, to] of everything) for (let c = from; c <= to; c += 0x1000) parts.push(String.fromCodePoint(...Array.from({ length: Math.min(0x1000, to + 1 - c) }, (_, i) => c + i)));
  return parts.join('');
}

/** The code point at an index into `allCharacters`, which has no surrogates of its own. */
function codePointAt(index: number): number {
  return index < 0xd800 ? index : index < 0xf800 ? index + 0x800 : 0x10000 + (index - 0xf800) / 2;
}

/** The characters that a `u` regular expression for one character matches. `all`: `allCharacters()`. */
export function charactersOf(source: string, all: string): CodePoints {
  const ranges = [...all.matchAll(new RegExp(`(?:${source})+`, 'gu'))].map((m) => [codePointAt(m.index), codePointAt(m.index + m[0].length - 1 - (m.index + m[0].length > 0xf800 ? 1 : 0))] as const);
  // A run may go over the gap where surrogates would be.
  return ranges.flatMap(([a, b]) => (a < 0xd800 && b > 0xdfff ? [[a, 0xd7ff] as const, [0xe000, b] as const] : [[a, b] as const]));
}

const digits: CodePoints = [[48, 57]];
const wordCharacters: CodePoints = [[48, 57], [65, 90], [95, 95], [97, 122]];
const spaces: CodePoints = [[9, 13], [32, 32], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]];
const sets: Readonly<Record<string, CodePoints>> = {
  d: digits, D: without(everything, digits), w: wordCharacters, W: without(everything, wordCharacters), s: spaces, S: without(everything, spaces),
  n: [[10, 10]], r: [[13, 13]], t: [[9, 9]], f: [[12, 12]], v: [[11, 11]],
};
const hexEscape = /^\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\})$/;

/** What `charactersOf` gives, for escapes and classes of the usual kinds, without looking through all characters; undefined for others. */
export function plainCharacters(source: string): CodePoints | undefined {
  const [, not, inside = ''] = /^\[(\^?)([^]*)\]$/.exec(source.startsWith('\\') ? `[${source}]` : source) ?? [];
  const items = inside.match(/\\x[0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]+\}|\\[dDwWsSnrtfv^$\\.*+?()[\]{}|/-]|[^\\]/gu) ?? [];
  if (items.join('') !== inside) return undefined;
  const parts = items.map((item): CodePoints => {
    const hex = hexEscape.exec(item);
    const c = hex ? parseInt(hex.slice(1).find((digits) => digits !== undefined) ?? '', 16) : item.codePointAt(item.startsWith('\\') ? 1 : 0) ?? 0;
    return (item.startsWith('\\') && !hex ? sets[item[1] ?? ''] : undefined) ?? [[c, c]];
  });
  const found: (readonly [number, number])[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? [], to = parts[i + 2]?.[0]?.[1];
    if (items[i + 1] === '-' && to !== undefined) {
      found.push([part[0]?.[0] ?? 0, to]);
      i += 2;
    } else found.push(...part);
  }
  return not === '^' ? without(everything, found) : intersect(joined(found), everything);
}

/** Ranges in order, those that meet as one. */
function joined(ranges: readonly (readonly [number, number])[]): CodePoints {
  const result: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = result.at(-1);
    if (before && from <= before[1] + 1) before[1] = Math.max(before[1], to);
    else result.push([from, to]);
  }
  return result;
}

export function intersect(a: CodePoints, b: CodePoints): CodePoints {
  const ranges: [number, number][] = [];
  for (const [p, q] of a) for (const [r, s] of b) if (Math.max(p, r) <= Math.min(q, s)) ranges.push([Math.max(p, r), Math.min(q, s)]);
  return ranges.sort((x, y) => x[0] - y[0]);
}

export function without(a: CodePoints, b: CodePoints): CodePoints {
  let left: (readonly [number, number])[] = [...a];
  for (const [r, s] of b) left = left.flatMap(([p, q]) => (s < p || r > q ? [[p, q] as const] : [...(p < r ? [[p, r - 1] as const] : []), ...(q > s ? [[s + 1, q] as const] : [])]));
  return left;
}

/** Where the number of UTF-8 bytes changes. */
const lengths: CodePoints = [[0, 0x7f], [0x80, 0x7ff], [0x800, 0xffff], [0x10000, last]];

/** The UTF-8 sequences of code points from..to, which all have as many bytes. */
function sequences(from: readonly number[], to: readonly number[]): Expression[] {
  const [f = 0, ...fs] = from, [t = 0, ...ts] = to;
  if (fs.length === 0) return [byte([f, t])];
  if (f === t) return sequences(fs, ts).map((rest) => sequence(byte([f, f]), rest));
  const [low, high] = [fs.map(() => 0x80), ts.map(() => 0xbf)];
  const all = (list: readonly number[], value: number): boolean => list.every((b) => b === value);
  const [atStart, atEnd] = [all(fs, 0x80), all(ts, 0xbf)];
  const [first, final] = [atStart ? f : f + 1, atEnd ? t : t - 1];
  return [
    ...(atStart ? [] : sequences([f, ...fs], [f, ...high])),
    ...(first <= final ? [sequence(byte([first, final]), ...low.map((b, i) => byte([b, high[i] ?? b])))] : []),
    ...(atEnd ? [] : sequences([t, ...low], [t, ...ts])),
  ];
}

const encoder = new TextEncoder();

/** One character of the set in UTF-8; undefined for an empty set. */
export function utf8(set: CodePoints): Expression | undefined {
  const single = intersect(set, [lengths[0] ?? [0, 0]]);
  const items: Expression[] = single.length > 0 ? [byte(...single)] : [];
  for (const range of lengths.slice(1)) {
    for (const [a, b] of intersect(set, [range])) items.push(...sequences([...encoder.encode(String.fromCodePoint(a))], [...encoder.encode(String.fromCodePoint(b))]));
  }
  return items.length === 0 ? undefined : choice(...items);
}

const named: Readonly<Record<number, string>> = { 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r', 34: '"', 92: '\\' };

/** One character of the set inside a JSON string: as it is, or escaped where it must be. */
export function jsonCharacter(set: CodePoints): Expression | undefined {
  const escaped: CodePoints = [[0, 0x1f], [34, 34], [92, 92]];
  const plain = utf8(without(set, escaped));
  const items: Expression[] = plain ? [plain] : [];
  for (const [a, b] of intersect(set, escaped)) {
    for (let c = a; c <= b; c++) items.push(named[c] === undefined ? literal(`\\u${c.toString(16).padStart(4, '0')}`) : literal(`\\${named[c] ?? ''}`));
  }
  return items.length === 0 ? undefined : choice(...items);
}

/** Any one character inside a JSON string, escapes included; surrogates only as characters. */
export function anyJsonCharacter(): Expression {
  const digit = oneOf('0-9a-fA-F');
  const plain = utf8(without(everything, [[0, 0x1f], [34, 34], [92, 92]]));
  return choice(...(plain ? [plain] : []), sequence(bytes([92]), choice(oneOf('"\\/bfnrt'),
    sequence(oneOf('u'), choice(sequence(oneOf('0-9a-cA-Ce-fE-F'), digit, digit, digit), sequence(oneOf('dD'), oneOf('0-7'), digit, digit))))));
}
