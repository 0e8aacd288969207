/** Grammars over bytes: what regular expressions and schemas become, and what a matcher reads. */
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';

export type Expression =
  /** One byte of inclusive ranges. */
  | { readonly kind: 'byte'; readonly ranges: readonly (readonly [number, number])[] }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly items: readonly Expression[] }
  /** `max` Infinity: without a limit. */
  | { readonly kind: 'repeat'; readonly item: Expression; readonly min: number; readonly max: number }
  | { readonly kind: 'rule'; readonly name: string };

/** Rules by name. `root` is the whole text. */
export type Grammar = ReadonlyMap<string, Expression>;

export const empty: Expression = { kind: 'sequence', items: [] };

export function byte(...ranges: (readonly [number, number])[]): Expression { return { kind: 'byte', ranges }; }
export function sequence(...items: readonly Expression[]): Expression { return items.length === 1 ? items[0] ?? empty : { kind: 'sequence', items }; }
/** At least one item. */
export function choice(...items: readonly Expression[]): Expression { return items.length === 1 ? items[0] ?? empty : { kind: 'choice', items }; }
export function repeat(item: Expression, min: number, max: number): Expression { return min === 1 && max === 1 ? item : { kind: 'repeat', item, min, max }; }
export function optional(item: Expression): Expression { return repeat(item, 0, 1); }
export function rule(name: string): Expression { return { kind: 'rule', name }; }
export function bytes(list: Iterable<number>): Expression { return sequence(...Array.from(list, (b) => byte([b, b]))); }
/** The UTF-8 bytes of a text. */
export function literal(text: string): Expression { return bytes(new TextEncoder().encode(text)); }
/** One of some ASCII characters: `0-9`, `eE`. */
export function oneOf(characters: string): Expression {
  const ranges: [number, number][] = [];
  for (let i = 0; i < characters.length; i++) {
    const from = characters.charCodeAt(i);
    if (characters[i + 1] === '-' && i + 2 < characters.length) { ranges.push([from, characters.charCodeAt(i + 2)]); i += 2; } else ranges.push([from, from]);
  }
  return byte(...ranges);
}

/** A constraint that is wrong, asks for what is not supported, or is too large. */
export function constraintError(code: 'E028' | 'E029', path: string, message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code, severity: 'error', path, message, ...(hint === undefined ? {} : { hint }) }]);
}

/** States that matching `expression` takes at most, with repetitions written out. */
function size(expression: Expression): number {
  switch (expression.kind) {
    case 'byte': case 'rule': return 1;
    case 'sequence': case 'choice': return expression.items.reduce((sum, item) => sum + size(item), 1);
    case 'repeat': return size(expression.item) * Math.max(1, expression.max === Infinity ? expression.min + 1 : expression.max);
    default: throw expression satisfies never;
  }
}

/** More states than this take too long to prepare for a vocabulary. */
export const mostStates = 20_000;

/** Throws PeelError (exit code 2) for a grammar that is too large. */
export function checkSize(grammar: Grammar, path: string): void {
  let total = 0;
  for (const expression of grammar.values()) total += size(expression);
  if (total > mostStates) throw constraintError('E029', path, `needs ${total > 1e15 ? 'more than 1e15' : total} states, at most ${mostStates} are kept`, 'smaller limits on repetitions and lengths help');
}

const hex = (b: number): string => `\\x${b.toString(16).padStart(2, '0')}`;

/** A class. One with a single byte would be read as a character there, which above 0x7f is two bytes: the byte is named twice. */
function printByte(ranges: readonly (readonly [number, number])[]): string {
  const [first, ...more] = ranges;
  const all = first && more.length === 0 && first[0] === first[1] && first[0] > 0x7f ? [first, first] : ranges;
  return `[${all.map(([a, b]) => (a === b ? hex(a) : `${hex(a)}-${hex(b)}`)).join('')}]`;
}

/** In the EBNF of XGrammar, byte by byte, so that nothing depends on how characters are read there. */
export function printGrammar(grammar: Grammar): string {
  const print = (e: Expression): string => {
    switch (e.kind) {
      case 'byte': return printByte(e.ranges);
      case 'sequence': return e.items.length === 0 ? '""' : e.items.map((item) => (item.kind === 'choice' ? `(${print(item)})` : print(item))).join(' ');
      case 'choice': return e.items.map(print).join(' | ');
      case 'repeat': return `(${print(e.item)})${suffix(e.min, e.max)}`;
      case 'rule': return e.name;
      default: throw e satisfies never;
    }
  };
  return [...grammar].map(([name, expression]) => `${name} ::= ${print(expression)}\n`).join('');
}

function suffix(min: number, max: number): string {
  if (max === Infinity) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  return min === 0 && max === 1 ? '?' : `{${min},${max}}`;
}
