/** Patterns that many tokenizers cut words with, and a component of a tokenizer.json that cuts with one. */
export type Component = { readonly type: string; readonly [key: string]: unknown };

export const isolate = (pattern: string): Component => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false });

export const gpt2Pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
export const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
export const blanks = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
/** The pattern that tokenizers of OpenAI's and Meta's kind cut words with; `digits` is how many digits stay together. */
export const wordPattern = (digits: string, space = blanks): string =>
  `${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${space}`;
