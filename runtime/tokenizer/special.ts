/** Added and special tokens: finding them in text, and keeping a user's text from being taken for them. */
import { PairTable } from './parts/pair-table.ts';
import type { ChatMessage } from './tokenizer.ts';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** The text that stands for it: its content, normalised where the text is. */
  readonly match: string;
  readonly special: boolean;
  readonly normalized: boolean;
  readonly stripLeft: boolean;
  readonly stripRight: boolean;
  /** Found only where no letter or digit stands beside it. */
  readonly wholeWord: boolean;
}

/** The added tokens of a tokenizer.json, longest first. */
export function addedTokens(json: Readonly<Record<string, unknown>>): AddedToken[] {
  if (!Array.isArray(json.added_tokens)) return [];
  const tokens: AddedToken[] = [];
  for (const entry of json.added_tokens as unknown[]) {
    if (typeof entry !== 'object' || entry === null) continue;
    const { id, content, special, normalized, lstrip, rstrip, single_word } = entry as Record<string, unknown>;
    if (typeof id !== 'number' || typeof content !== 'string' || content === '') continue;
    tokens.push({ id, content, match: content, special: special === true, normalized: normalized === true, stripLeft: lstrip === true, stripRight: rstrip === true, wholeWord: single_word === true });
  }
  return tokens.sort((a, b) => b.content.length - a.content.length);
}

/** Added tokens, ready to be found: a trie, as vocabularies may have thousands of them that begin alike. */
export class TokenFinder {
  private readonly children = new PairTable();
  private readonly ends: (AddedToken | undefined)[] = [undefined];

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      let node = 0;
      for (let i = 0; i < token.match.length; i++) {
        const code = token.match.charCodeAt(i);
        let child = this.children.get(node, code, -1);
        if (child < 0) {
          child = this.ends.length;
          this.ends.push(undefined);
          this.children.set(node, code, child);
        }
        node = child;
      }
      this.ends[node] ??= token;
    }
  }

  /** The longest token that begins at a position of `text`. */
  at(text: string, position: number): AddedToken | undefined {
    let found: AddedToken | undefined;
    for (let node = 0, i = position; i < text.length; i++) {
      node = this.children.get(node, text.charCodeAt(i), -1);
      if (node < 0) break;
      found = this.ends[node] ?? found;
    }
    return found;
  }

  /** Cuts `text` at added tokens: leftmost first, the longest of those that start there. */
  split(text: string): (string | AddedToken)[] {
    if (this.ends.length === 1) return [text];
    const parts: (string | AddedToken)[] = [];
    let start = 0;
    for (let at = 0; at < text.length;) {
      const found = this.at(text, at);
      if (!found) { at++; continue; }
      const end = at + found.match.length;
      if (found.wholeWord && (/[\p{L}\p{N}_]$/u.test(text.slice(Math.max(0, at - 2), at)) || /^[\p{L}\p{N}_]/u.test(text.slice(end, end + 2)))) { at = end; continue; }
      const before = text.slice(start, at);
      parts.push(found.stripLeft ? before.trimEnd() : before, found);
      at = end;
      if (found.stripRight) while (at < text.length && /\s/.test(text[at] ?? '')) at++;
      start = at;
    }
    parts.push(text.slice(start));
    return parts;
  }
}

/**
 * Messages in which nothing looks like a special token: a character that occurs nowhere stands behind the first character of each
 * such text, until `restore` takes it out of what a template made of it.
 */
export function escapeSpecial(messages: readonly ChatMessage[], special: TokenFinder): { escaped: ChatMessage[]; restore: (text: string) => string } {
  const all = messages.map((m) => m.content + m.role).join('');
  // Unicode's noncharacters, meant for such internal use.
  const marker = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i)).find((c) => !all.includes(c)) ?? '\ufdd0';
  const escape = (text: string): string => {
    let result = '';
    for (let at = 0; at < text.length; at++) {
      result += text[at] ?? '';
      if (special.at(text, at)) result += marker;
    }
    return result;
  };
  return {
    escaped: messages.map((m) => ({ role: escape(m.role), content: escape(m.content) })),
    restore: (text) => text.replaceAll(marker, ''),
  };
}
