/** Characters that a segmenter gets at a time. */
const pieceLength = 512;

/**
 * SentencePiece's precompiled character map: a double-array trie of UTF-8 texts (Darts-clone's units of 32 bits) and the texts that stand for
 * them. The JavaScript library approximates it by NFKC; this reads it, and applies it as the Rust library does: to grapheme clusters of up to
 * 5 bytes as a whole, and else to each character, by the shortest entry that a text begins with.
 */
export function charsmapNormalizer(base64: string): (text: string) => string {
  const bytes = Buffer.from(base64, 'base64');
  const size = bytes.length >= 4 ? bytes.readUInt32LE(0) : 0;
  if (size === 0 || size % 4 !== 0 || 4 + size > bytes.length) throw new Error('the precompiled charsmap is damaged');
  const units = new Uint32Array(size / 4);
  for (let i = 0; i < units.length; i++) units[i] = bytes.readUInt32LE(4 + 4 * i);
  const texts = bytes.subarray(4 + size);

  const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
  const find = (chunk: string): string | undefined => {
    let at = offset(units[0] ?? 0);
    for (const byte of Buffer.from(chunk, 'utf8')) {
      if (byte === 0) break;
      at ^= byte;
      const unit = units[at];
      if (unit === undefined || ((unit & 0x800000ff) >>> 0) !== byte) return undefined;
      at ^= offset(unit);
      if ((unit >>> 8) & 1) {
        const begin = (units[at] ?? 0) & 0x7fffffff;
        const end = texts.indexOf(0, begin);
        return texts.toString('utf8', begin, end < 0 ? texts.length : end);
      }
    }
    return undefined;
  };
  const known = new Map<string, string | undefined>();
  const mapped = (chunk: string): string | undefined => {
    if (known.has(chunk)) return known.get(chunk);
    const found = find(chunk);
    if (known.size < 100_000) known.set(chunk, found);
    return found;
  };
  const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
  const cluster = (grapheme: string): string => {
    const whole = Buffer.byteLength(grapheme) < 6 ? mapped(grapheme) : undefined;
    if (whole !== undefined) return whole;
    let result = '';
    for (const char of grapheme) result += mapped(char) ?? char;
    return result;
  };
  // A segmenter's cost grows with the square of a text's length: it gets pieces, of which all clusters but the last are whole.
  const clusters = (text: string): string => {
    let result = '';
    for (let at = 0, size = pieceLength; at < text.length;) {
      const piece = text.slice(at, at + size);
      const found = Array.from(segmenter.segment(piece), ({ segment }) => segment);
      const last = at + size < text.length ? found.pop() ?? '' : '';
      for (const segment of found) result += cluster(segment);
      at += piece.length - last.length;
      size = found.length === 0 ? 2 * size : pieceLength;
    }
    return result;
  };
  // An ASCII character before another is a cluster of its own, but for a line's end; only what is left needs the segmenter.
  return (text) => text.replace(/\r\n|[\0-\x7f](?=[\0-\x7f]|$)|[\0-\x7f]?[^\0-\x7f]+/gu, (run) => (run.length === 1 || run === '\r\n' ? cluster(run) : clusters(run)));
}
