/** GPT-2's way to write bytes as text: printable ones stand for themselves, the others for characters from U+0100 on. */
const printable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);

function table(): readonly string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}
const chars = table();
const bytes: ReadonlyMap<string, number> = new Map(chars.map((char, byte) => [char, byte]));

export function bytesAsText(text: string): string {
  let result = '';
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 128) { result += chars[code] ?? ''; continue; }
    for (const byte of Buffer.from(text.slice(at), 'utf8')) result += chars[byte] ?? '';
    break;
  }
  return result;
}

/** The bytes that a token stands for; undefined where a character of it stands for none. */
export function textAsBytes(text: string): number[] | undefined {
  const found: number[] = [];
  for (const char of text) {
    const byte = bytes.get(char);
    if (byte === undefined) return undefined;
    found.push(byte);
  }
  return found;
}
