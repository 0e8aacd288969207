/** Tokens as they are shown: what cannot be seen is spelled. */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

const spelled: Readonly<Record<string, string>> = { ' ': '·', '\n': '↵', '\r': '␍', '\t': '⇥' };

/** Text with spaces and line breaks as signs, and with whatever would move, hide or reorder others as `\u{...}`. */
export function visibleText(text: string): string {
  return text.replace(/[\s\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{DI}]/gu, (c) => spelled[c] ?? `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A token's text; part of a character as its bytes, an id without a token or a model without a tokenizer as the number. */
export function tokenText(id: number, tokenizer: Tokenizer | undefined): string {
  const bytes = tokenizer?.bytesOf(id);
  if (!bytes || bytes.length === 0) return visibleText(tokenizer?.tokenOf(id) ?? `#${id}`);
  try {
    return visibleText(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return Array.from(bytes, (b) => `<${b.toString(16).padStart(2, '0')}>`).join('');
  }
}
