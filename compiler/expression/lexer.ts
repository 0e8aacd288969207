import type { ExpressionError, Span } from './types.ts';

export type Token =
  | { readonly kind: 'number'; readonly value: number; readonly at: Span }
  | { readonly kind: 'string'; readonly value: string; readonly at: Span }
  | { readonly kind: 'name'; readonly name: string; readonly at: Span }
  | { readonly kind: 'symbol'; readonly symbol: string; readonly at: Span }
  | { readonly kind: 'end'; readonly at: Span };

const SYMBOLS = ['**', '//', '<=', '>=', '==', '!=', '&&', '||', '??', '+', '-', '*', '/', '%', '<', '>', '!', '?', ':', '(', ')', '[', ']', ',', '.'];
const NUMBER = /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const SPACE = /[ \t\r\n]*/y;

/** Splits an expression's text into tokens, the last of which is `end`. */
export function tokenize(text: string): Token[] | ExpressionError {
  const tokens: Token[] = [];
  let position = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position;
    return pattern.exec(text)?.[0];
  };
  for (;;) {
    position += take(SPACE)?.length ?? 0;
    const start = position;
    if (start >= text.length) return [...tokens, { kind: 'end', at: { start, end: start } }];
    const number = take(NUMBER);
    const name = number === undefined ? take(NAME) : undefined;
    if (number !== undefined) {
      position += number.length;
      const at = { start, end: position };
      const value = Number(number);
      if (!Number.isFinite(value)) return { code: 'E401', message: `${number} is not a finite number`, at };
      tokens.push({ kind: 'number', value, at });
    } else if (name !== undefined) {
      position += name.length;
      tokens.push({ kind: 'name', name, at: { start, end: position } });
    } else if (text[start] === "'" || text[start] === '"') {
      const end = text.indexOf(text[start] ?? '', start + 1);
      if (end < 0) return { code: 'E401', message: `the quote ${text[start]} is not closed`, at: { start, end: text.length } };
      position = end + 1;
      tokens.push({ kind: 'string', value: text.slice(start + 1, end), at: { start, end: position } });
    } else {
      const symbol = SYMBOLS.find((candidate) => text.startsWith(candidate, start));
      if (symbol === undefined) {
        const found = String.fromCodePoint(text.codePointAt(start) ?? 32);
        const hint = found === '=' ? 'equality is ==' : found === '&' || found === '|' ? `use ${found}${found}` : undefined;
        return { code: 'E401', message: `\`${found}\` has no meaning in an expression`, at: { start, end: start + found.length }, ...(hint ? { hint } : {}) };
      }
      position += symbol.length;
      tokens.push({ kind: 'symbol', symbol, at: { start, end: position } });
    }
  }
}
