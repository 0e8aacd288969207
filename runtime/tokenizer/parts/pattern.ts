/** Patterns of tokenizer.json files, which are Oniguruma's, as JavaScript's: the library's work. */
import { SplitPreTokenizer } from '@huggingface/tokenizers';
import { isFields, type Fields } from './fields.ts';

export function patternOf(fields: Fields): RegExp {
  const { pattern } = fields;
  const wanted = isFields(pattern) ? pattern : {};
  const given = typeof wanted.Regex === 'string' ? { Regex: wanted.Regex } : typeof wanted.String === 'string' ? { String: wanted.String } : undefined;
  const found = given && new SplitPreTokenizer({ type: 'Split', pattern: given, behavior: 'Isolated', invert: true }).pattern;
  if (!found) throw new Error('a pattern must have a String or a Regex');
  return found;
}
