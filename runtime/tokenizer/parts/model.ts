/** What turns words into ids. The contract of bpe.ts, unigram.ts and word-piece.ts. */
export interface Model {
  readonly ids: ReadonlyMap<string, number>;
  /** The id of what cannot be spelt. */
  readonly unknown: number | undefined;
  /** Adds a word's ids to `out`. */
  encode(word: string, out: number[]): void;
}

export const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

/** Ids of the 256 byte tokens; undefined for those that are not there. */
export function byteIds(ids: ReadonlyMap<string, number>): readonly (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => ids.get(byteToken(byte)));
}

/** The byte tokens of a text, or undefined where one is missing. */
export function bytesOf(text: string, bytes: readonly (number | undefined)[]): number[] | undefined {
  const found = [...new TextEncoder().encode(text)].map((byte) => bytes[byte]);
  return found.every((id) => id !== undefined) ? found : undefined;
}
