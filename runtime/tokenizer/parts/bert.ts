/** BERT's normaliser as the Rust library computes it; the JavaScript library misses Chinese characters beyond U+FFFF and lowercases by context. */
const control = /^[\p{Cc}\p{Cf}\p{Co}\p{Cs}]$/u;
const blank = /^\p{White_Space}$/u;
/** What is taken out, and white space that is no space. */
const unclean = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\0\ufffd]|[^ \P{White_Space}]/gu;
const beyondLatin = /[\u3400-\u9fff\uf900-\ufaff\u{20000}-\u{2fa1f}]/gu;

function isChinese(code: number): boolean {
  return (code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) || (code >= 0x20000 && code <= 0x2a6df) || (code >= 0x2a700 && code <= 0x2b73f)
    || (code >= 0x2b740 && code <= 0x2b81f) || (code >= 0x2b920 && code <= 0x2ceaf) || (code >= 0xf900 && code <= 0xfaff) || (code >= 0x2f800 && code <= 0x2fa1f);
}

/** Small letters, each character for itself: JavaScript's own looks at its neighbours where it is a capital sigma. */
export function lowercase(text: string): string {
  return text.includes('Σ') ? text.split('Σ').map((part) => part.toLowerCase()).join('σ') : text.toLowerCase();
}

export interface BertOptions {
  readonly cleanText: boolean;
  readonly chineseChars: boolean;
  readonly lowercase: boolean;
  readonly stripAccents: boolean;
}

export function bertNormalizer(options: BertOptions): (text: string) => string {
  const clean = (char: string): string => (/[\t\n\r]/.test(char) || (blank.test(char) && !control.test(char)) ? ' ' : '');
  return (text) => {
    let result = text;
    if (options.cleanText) result = result.replace(unclean, clean);
    if (options.chineseChars) result = result.replace(beyondLatin, (char) => (isChinese(char.codePointAt(0) ?? 0) ? ` ${char} ` : char));
    if (options.stripAccents) result = result.normalize('NFD').replace(/\p{Mn}/gu, '');
    return options.lowercase ? lowercase(result) : result;
  };
}
