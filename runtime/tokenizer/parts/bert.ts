/** BERT's normaliser as the Rust library computes it; the JavaScript library misses Chinese characters beyond U+FFFF and lowercases by context. */
const control = /^[\p{Cc}\p{Cf}\p{Co}\p{Cs}]$/u;
const blank = /^\p{White_Space}$/u;

function isChinese(code: number): boolean {
  return (code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) || (code >= 0x20000 && code <= 0x2a6df) || (code >= 0x2a700 && code <= 0x2b73f)
    || (code >= 0x2b740 && code <= 0x2b81f) || (code >= 0x2b920 && code <= 0x2ceaf) || (code >= 0xf900 && code <= 0xfaff) || (code >= 0x2f800 && code <= 0x2fa1f);
}

/** Small letters, each character for itself: JavaScript's own looks at its neighbours where it is a capital sigma. */
export function lowercase(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text.toLowerCase() : Array.from(text, (char) => char.toLowerCase()).join('');
}

export interface BertOptions {
  readonly cleanText: boolean;
  readonly chineseChars: boolean;
  readonly lowercase: boolean;
  readonly stripAccents: boolean;
}

export function bertNormalizer(options: BertOptions): (text: string) => string {
  const clean = (char: string): string => {
    if (char === '\t' || char === '\n' || char === '\r' || blank.test(char)) return control.test(char) && !/[\t\n\r]/.test(char) ? '' : ' ';
    return char === '\0' || char === '\ufffd' || control.test(char) ? '' : char;
  };
  return (text) => {
    let result = text;
    if (options.cleanText) result = Array.from(result, clean).join('');
    if (options.chineseChars) result = Array.from(result, (char) => (isChinese(char.codePointAt(0) ?? 0) ? ` ${char} ` : char)).join('');
    if (options.stripAccents) result = result.normalize('NFD').replace(/\p{Mn}/gu, '');
    return options.lowercase ? lowercase(result) : result;
  };
}
