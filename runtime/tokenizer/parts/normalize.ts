/** Normalisers of tokenizer.json files, as the Rust library computes them. */
import { bertNormalizer, lowercase } from './bert.ts';
import { charsmapNormalizer } from './charsmap.ts';
import { list, text, whiteSpace, type Fields } from './fields.ts';
import { patternOf } from './pattern.ts';
import { bytesAsText } from './byte-text.ts';

export type Normalize = (text: string) => string;

function strip(fields: Fields): Normalize {
  const [left, right] = [new RegExp(`^${whiteSpace}+`, 'u'), new RegExp(`${whiteSpace}+$`, 'u')];
  const end = (value: string): string => {
    // A pattern that ends in $ would try every run of spaces in between.
    let at = value.length;
    while (at > 0 && right.test(value[at - 1] ?? '')) at--;
    return value.slice(0, at);
  };
  return (value) => {
    const begun = fields.strip_left === true ? value.replace(left, '') : value;
    return fields.strip_right === true ? end(begun) : begun;
  };
}

/** SentencePiece's rules for machine translation. */
function nmt(value: string): string {
  return value.replace(/[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g, '')
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, ' ');
}

/** Throws Error where a component is wrong or not known. */
export function normalizer(fields: Fields): Normalize {
  switch (fields.type) {
    case 'Sequence': {
      const steps = list(fields, 'normalizers').map(normalizer);
      return (value) => steps.reduce((result, step) => step(result), value);
    }
    case 'NFC': case 'NFD': case 'NFKC': case 'NFKD': {
      const form = fields.type;
      return (value) => value.normalize(form);
    }
    case 'Lowercase': return lowercase;
    case 'StripAccents': return (value) => value.replace(/\p{M}/gu, '');
    case 'Strip': return strip(fields);
    case 'Prepend': {
      const prefix = text(fields, 'prepend', '');
      return (value) => (value === '' ? '' : prefix + value);
    }
    case 'Replace': {
      const [pattern, content] = [patternOf(fields), text(fields, 'content', '')];
      return (value) => value.replace(pattern, () => content);
    }
    case 'Precompiled': {
      const map = text(fields, 'precompiled_charsmap', '');
      return map === '' ? (value) => value : charsmapNormalizer(map);
    }
    case 'BertNormalizer': {
      const small = fields.lowercase !== false;
      return bertNormalizer({
        cleanText: fields.clean_text !== false, chineseChars: fields.handle_chinese_chars !== false, lowercase: small,
        stripAccents: typeof fields.strip_accents === 'boolean' ? fields.strip_accents : small,
      });
    }
    case 'Nmt': return nmt;
    case 'ByteLevel': return bytesAsText;
    default: throw new Error(`there is no normalizer '${String(fields.type)}'`);
  }
}
