/** Grammars over bytes: what regular expressions and schemas become, and what the automaton reads. */
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
export function bytes(list: Iterable<number>): Expression { return { kind: 'sequence', items: Array.from(list, (b) => byte([b, b])) }; }
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

/** Nodes of the expression, in each of the places where it stands. */
function size(e: Expression): number {
  switch (e.kind) {
    case 'byte': case 'rule': return 1;
    case 'sequence': case 'choice': return e.items.reduce((sum, item) => sum + size(item), 1);
    case 'repeat': return 1 + size(e.item);
    default: throw e satisfies never;
  }
}

/** More than this takes seconds to prepare. */
const mostNodes = 500_000;

/** Throws PeelError (exit code 2) for a grammar that is too large. */
export function checkSize(grammar: Grammar, path: string): void {
  let total = 0;
  for (const e of grammar.values()) total += size(e);
  if (total > mostNodes) throw constraintError('E029', path, `needs ${total} nodes, at most ${mostNodes} are kept`, 'fewer alternatives and shorter texts help');
}
