/**
 * Regular expressions, in JavaScript's syntax with the `u` flag, as grammars. The whole text must match. What matching without a memory of
 * the text cannot do (lookaround, back references, word borders) is refused. V8 says what is wrong with a pattern, and which characters a class has.
 */
import { allCharacters, charactersOf, everything, plainCharacters, without, type CodePoints } from './code-points.ts';
import { choice, constraintError, empty, repeat, sequence, type Expression } from './grammar.ts';

const longest = 10_000;
const deepest = 200;

/** Writes one character of a set; undefined where the set is empty. */
export type WriteCharacter = (set: CodePoints) => Expression | undefined;

class Parser {
  private at = 0;
  private readonly classes = new Map<string, CodePoints>();
  private all: string | undefined;
  constructor(private readonly pattern: string, private readonly path: string, private readonly write: WriteCharacter) {}

  private refuse(what: string, at = this.at): never {
    throw constraintError('E028', this.path, `${what} at character ${at + 1} of the pattern cannot be used to constrain text`, 'write the pattern without it');
  }
  private get next(): string { return this.pattern[this.at] ?? ''; }
  private eat(text: string): boolean {
    if (!this.pattern.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  whole(): Expression {
    return this.alternatives(0, true, true);
  }

  /** `first`, `last`: whether the text begins and ends with it, so that ^ and $ hold there. */
  private alternatives(depth: number, first: boolean, last: boolean): Expression {
    if (depth > deepest) throw constraintError('E029', this.path, `is nested more than ${deepest} deep`);
    const items = [this.sequence(depth, first, last)];
    while (this.eat('|')) items.push(this.sequence(depth, first, last));
    return choice(...items);
  }

  private sequence(depth: number, first: boolean, last: boolean): Expression {
    const items: Expression[] = [];
    let closed = -1;
    for (let isFirst = first; this.next !== '' && this.next !== '|' && this.next !== ')';) {
      const at = this.at;
      if (closed >= 0) this.refuse('$ before more text', closed);
      if (this.eat('^')) {
        if (!isFirst) this.refuse('^ after text', at);
        continue;
      }
      if (this.eat('$')) {
        if (!last) this.refuse('$ before more text', at);
        closed = at;
        continue;
      }
      items.push(this.quantified(depth, isFirst, last));
      isFirst = false;
    }
    return sequence(...items);
  }

  private quantified(depth: number, first: boolean, last: boolean): Expression {
    // An anchor in a group holds only where the group is alone at that end.
    const end = this.endOfAtom();
    const isLast = last && /^(?:$|[|)])/.test(this.pattern.slice(end));
    const item = this.atom(depth, first && !/^[*+?{]/.test(this.pattern.slice(end)), isLast);
    const [text, limits, from, comma, to] = /^(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})/.exec(this.pattern.slice(this.at)) ?? [];
    if (text === undefined) return item;
    this.at += text.length;
    this.eat('?'); // Lazy or not, the same texts match.
    if (limits !== undefined) return repeat(item, limits === '+' ? 1 : 0, limits === '?' ? 1 : Infinity);
    const min = Number(from);
    const max = comma === undefined ? min : to === undefined || to === '' ? Infinity : Number(to);
    return max === 0 ? empty : repeat(item, min, max);
  }

  /** Where the atom at the present place ends, in front of its quantifier. */
  private endOfAtom(): number {
    const { pattern } = this;
    let depth = 0, inClass = false;
    for (let i = this.at; i < pattern.length; i++) {
      const c = pattern[i];
      if (c === '\\') { i += this.escapeLength(i) - 1; } else if (inClass) inClass = c !== ']';
      else if (c === '[') inClass = true;
      else if (c === '(') depth++;
      else if (c === ')') depth--;
      if (depth === 0 && !inClass) return i + ((pattern.codePointAt(i) ?? 0) > 0xffff ? 2 : 1);
    }
    return pattern.length;
  }

  /** Characters of the escape at `at`: \n, \x41, \u0041, \u{1F600}, \p{L}, \cA, \k<name>. */
  private escapeLength(at: number): number {
    return /^\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F]+\}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[pP]\{[^}]*\}|c[A-Za-z]|k<[^>]*>|[1-9]\d*|[\s\S])/u.exec(this.pattern.slice(at))?.[0].length ?? 2;
  }

  private atom(depth: number, first: boolean, last: boolean): Expression {
    const at = this.at;
    if (this.eat('(')) {
      if (/^\?<?[=!]/.test(this.pattern.slice(this.at))) this.refuse('lookaround', at);
      const [prefix = ''] = /^\?(?::|<[^>]*>)/.exec(this.pattern.slice(this.at)) ?? [];
      if (prefix === '' && this.next === '?') this.refuse('a group with flags', at);
      this.at += prefix.length;
      const inside = this.alternatives(depth + 1, first, last);
      this.eat(')');
      return inside;
    }
    if (this.next === '[') {
      let end = at + 1;
      while (end < this.pattern.length && this.pattern[end] !== ']') end += this.pattern[end] === '\\' ? this.escapeLength(end) : 1;
      this.at = end + 1;
    } else if (this.next === '\\') {
      const length = this.escapeLength(at);
      const kind = this.pattern[at + 1] ?? '';
      if (kind === 'b' || kind === 'B') this.refuse('a word border', at);
      if (kind === 'k' || /[1-9]/.test(kind)) this.refuse('a back reference', at);
      this.at += length;
    } else this.at += (this.pattern.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    const source = this.pattern.slice(at, this.at);
    const set = this.set(source);
    return this.write(set) ?? this.refuse(`'${source}', which no character matches here,`, at);
  }

  private set(source: string): CodePoints {
    if (source === '.') return without(everything, [[10, 10], [13, 13], [0x2028, 0x2029]]);
    let known = this.classes.get(source);
    if (!known) {
      const only = [...source];
      const c = only[0]?.codePointAt(0) ?? 0;
      known = only.length === 1 ? [[c, c]] : plainCharacters(source) ?? charactersOf(source, this.all ??= allCharacters());
      this.classes.set(source, known);
    }
    return known;
  }
}

/**
 * The texts that `pattern` matches from their beginning to their end. `path` names it in messages. Throws PeelError (exit code 2) for what is no
 * regular expression, or has what cannot be used here.
 */
export function regexGrammar(pattern: string, path: string, write: WriteCharacter): Expression {
  if (pattern.length > longest) throw constraintError('E029', path, `has ${pattern.length} characters, at most ${longest} are read`);
  try {
    new RegExp(pattern, 'u');
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '').slice(-200) : String(error);
    throw constraintError('E028', path, `is no regular expression: ${reason}`, 'the syntax is JavaScript\'s, with the u flag');
  }
  return new Parser(pattern, path, write).whole();
}
