/** WordPiece: the longest piece that begins what is left of a word, again and again; a word that does not come out is one unknown. */
import type { Model } from './model.ts';

export interface WordPieceOptions {
  readonly ids: ReadonlyMap<string, number>;
  readonly unknown: string;
  readonly continuingPrefix: string;
  /** Characters of a word; longer ones are unknown. */
  readonly longestWord: number;
  /** Tokens that no text may become. */
  readonly special: ReadonlySet<number>;
}

export class WordPiece implements Model {
  readonly ids: ReadonlyMap<string, number>;
  readonly unknown: number | undefined;

  constructor(private readonly options: WordPieceOptions) {
    this.ids = options.ids;
    this.unknown = options.ids.get(options.unknown);
  }

  encode(word: string, out: number[]): void {
    for (const id of this.pieces(word) ?? (this.unknown === undefined ? [] : [this.unknown])) out.push(id);
  }

  private pieces(word: string): number[] | undefined {
    const { longestWord, continuingPrefix, special } = this.options;
    if (word.length > 2 * longestWord) return undefined;
    const chars = [...word];
    if (chars.length > longestWord) return undefined;
    const found: number[] = [];
    for (let start = 0; start < chars.length;) {
      let end = chars.length;
      let id: number | undefined;
      for (; end > start; end--) {
        id = this.ids.get((start > 0 ? continuingPrefix : '') + chars.slice(start, end).join(''));
        if (id !== undefined && !special.has(id)) break;
      }
      if (id === undefined || end === start) return undefined;
      found.push(id);
      start = end;
    }
    return found;
  }
}
