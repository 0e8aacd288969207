/**
 * What cuts text into words, as the Rust library does it. The JavaScript library knows only ASCII in some patterns (Digits, Whitespace), takes
 * every way to split for one, and leaves words that Metaspace should part in one piece; its translation of patterns is used here.
 */
import { gpt2Pattern } from '../word-patterns.ts';
import { bytesAsText } from './byte-text.ts';
import { list, text, whiteSpace, type Fields } from './fields.ts';
import { patternOf } from './pattern.ts';

/** Words of a word. `first`: it begins the whole text. */
export type Cut = (word: string, first: boolean) => readonly string[];

interface Part {
  readonly text: string;
  readonly match: boolean;
}

function partsOf(word: string, pattern: RegExp): Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const match of word.matchAll(pattern)) {
    if (match.index > end) parts.push({ text: word.slice(end, match.index), match: false });
    if (match[0] !== '') parts.push({ text: match[0], match: true });
    end = match.index + match[0].length;
  }
  if (end < word.length) parts.push({ text: word.slice(end), match: false });
  return parts;
}

function behave(parts: readonly Part[], behavior: string): string[] {
  switch (behavior) {
    case 'Isolated': return parts.map((part) => part.text);
    case 'Removed': return parts.filter((part) => !part.match).map((part) => part.text);
    case 'Contiguous': return gather(parts, (part, before) => part.match === before.match);
    case 'MergedWithPrevious': return gather(parts, (part, before) => part.match && !before.match);
    case 'MergedWithNext': return gather(parts, (part, before) => before.match && !part.match);
    default: throw new Error(`there is no way to split '${behavior}'`);
  }
}

/** Texts of parts, those that `joins` says together with the part before them. */
function gather(parts: readonly Part[], joins: (part: Part, before: Part) => boolean): string[] {
  const words: string[] = [];
  for (const [i, part] of parts.entries()) {
    const before = parts[i - 1];
    if (before && joins(part, before)) words[words.length - 1] = (words.at(-1) ?? '') + part.text;
    else words.push(part.text);
  }
  return words;
}

function split(pattern: RegExp, behavior: string, invert = false): Cut {
  behave([], behavior);
  return (word) => {
    const parts = partsOf(word, pattern);
    return behave(invert ? parts.map((part) => ({ text: part.text, match: !part.match })) : parts, behavior);
  };
}
const regex = (pattern: string): RegExp => patternOf({ pattern: { Regex: pattern } });
/** Rust's `\w`. */
const wordCharacters = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const punctuation = '[\\p{P}!-/:-@\\[-`{-~]';

function metaspace(fields: Fields): Cut {
  const replacement = text(fields, 'replacement', '▁');
  // Older files have a flag in place of the scheme.
  const scheme = text(fields, 'prepend_scheme', fields.add_prefix_space === false ? 'never' : 'always');
  const parted = fields.split !== false;
  const marks = patternOf({ pattern: { String: replacement } });
  return (word, first) => {
    const marked = word.replaceAll(' ', replacement);
    const prefixed = !marked.startsWith(replacement) && (scheme === 'always' || (scheme === 'first' && first)) ? replacement + marked : marked;
    return parted ? behave(partsOf(prefixed, marks), 'MergedWithNext') : [prefixed];
  };
}

function byteLevel(fields: Fields): Cut {
  const pattern = fields.use_regex === false ? undefined : regex(gpt2Pattern);
  const prefix = fields.add_prefix_space !== false;
  return (word) => {
    const prefixed = prefix && !word.startsWith(' ') ? ` ${word}` : word;
    return pattern ? partsOf(prefixed, pattern).map((part) => bytesAsText(part.text)) : [bytesAsText(prefixed)];
  };
}

/** Throws Error where a component is wrong or not known. */
export function cutter(fields: Fields): Cut {
  switch (fields.type) {
    case 'Sequence': {
      const steps = list(fields, 'pretokenizers').map(cutter);
      return (word, first) => steps.reduce<readonly string[]>((words, step) => {
        const cut: string[] = [];
        words.forEach((part, i) => { for (const found of step(part, first && i === 0)) if (found !== '') cut.push(found); });
        return cut;
      }, [word]);
    }
    case 'ByteLevel': return byteLevel(fields);
    case 'Metaspace': return metaspace(fields);
    case 'Split': return split(patternOf(fields), text(fields, 'behavior', 'Isolated'), fields.invert === true);
    case 'Digits': return split(/\p{N}/gu, fields.individual_digits === true ? 'Isolated' : 'Contiguous');
    case 'Punctuation': return split(new RegExp(punctuation, 'gu'), text(fields, 'behavior', 'Isolated'));
    case 'Whitespace': return split(new RegExp(`[${wordCharacters}]+|[^${wordCharacters}${whiteSpace}]+`, 'gu'), 'Removed', true);
    case 'WhitespaceSplit': return split(new RegExp(whiteSpace, 'gu'), 'Removed');
    case 'CharDelimiterSplit': return split(patternOf({ pattern: { String: text(fields, 'delimiter', ' ') } }), 'Removed');
    case 'BertPreTokenizer': {
      const [spaces, marks] = [split(new RegExp(whiteSpace, 'gu'), 'Removed'), split(new RegExp(punctuation, 'gu'), 'Isolated')];
      return (word, first) => spaces(word, first).flatMap((part) => marks(part, false));
    }
    case 'FixedLength': {
      const length = Math.max(1, Number(fields.length ?? 5));
      return (word) => {
        const chars = [...word];
        return Array.from({ length: Math.ceil(chars.length / length) }, (_, i) => chars.slice(i * length, (i + 1) * length).join(''));
      };
    }
    default: throw new Error(`there is no pre-tokenizer '${String(fields.type)}'`);
  }
}
