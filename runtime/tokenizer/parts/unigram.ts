/** Unigram: the cut of a word whose pieces' scores add up highest (Kudo 2018), by Viterbi over a trie of the pieces, as the Rust library computes it. */
import { byteIds, bytesOf, type Model } from './model.ts';
import { PairTable } from './pair-table.ts';

/** What a character costs that no piece spells, below the lowest score. */
const unknownPenalty = 10;

export interface UnigramOptions {
  readonly pieces: readonly (readonly [string, number])[];
  readonly unknown: number | undefined;
  readonly byteFallback: boolean;
  /** Tokens that no text may become. */
  readonly special: ReadonlySet<number>;
}

export class Unigram implements Model {
  readonly ids: ReadonlyMap<string, number>;
  readonly unknown: number | undefined;
  private readonly children = new PairTable(1 << 16);
  /** The piece that ends at a node of the trie, or -1. */
  private readonly ends: number[] = [-1];
  private readonly unknownScore: number;
  private readonly bytes: readonly (number | undefined)[];

  constructor(private readonly options: UnigramOptions) {
    const { pieces, special } = options;
    this.ids = new Map(pieces.map(([piece], id) => [piece, id]));
    this.unknown = options.unknown;
    this.unknownScore = pieces.reduce((least, [, score]) => Math.min(least, score), Infinity) - unknownPenalty;
    this.bytes = options.byteFallback ? byteIds(this.ids) : [];
    const bytes = new Set(this.bytes);
    for (const [piece, id] of this.ids) if (!special.has(id) && !bytes.has(id) && piece !== '') this.add(piece, id);
  }

  private add(piece: string, id: number): void {
    let node = 0;
    for (const char of piece) {
      const code = char.codePointAt(0) ?? 0;
      let child = this.children.get(node, code, -1);
      if (child < 0) {
        child = this.ends.length;
        this.ends.push(-1);
        this.children.set(node, code, child);
      }
      node = child;
    }
    this.ends[node] = id;
  }

  encode(word: string, out: number[]): void {
    const codes = Array.from(word, (char) => char.codePointAt(0) ?? 0);
    const count = codes.length;
    const best = new Float64Array(count + 1);
    const from = new Int32Array(count + 1).fill(-1);
    const piece = new Int32Array(count + 1);
    const offer = (start: number, end: number, id: number, score: number): void => {
      const total = score + (best[start] ?? 0);
      if ((from[end] ?? -1) >= 0 && total <= (best[end] ?? 0)) return;
      best[end] = total;
      from[end] = start;
      piece[end] = id;
    };
    for (let start = 0; start < count; start++) {
      let single = false;
      let node = 0;
      for (let end = start; end < count; end++) {
        node = this.children.get(node, codes[end] ?? 0, -1);
        if (node < 0) break;
        const id = this.ends[node] ?? -1;
        if (id < 0) continue;
        offer(start, end + 1, id, this.options.pieces[id]?.[1] ?? 0);
        single ||= end === start;
      }
      if (!single) offer(start, start + 1, -1, this.unknownScore);
    }
    const cuts: number[] = [];
    for (let end = count; end > 0; end = from[end] ?? 0) cuts.push(end);
    for (let i = cuts.length - 1; i >= 0; i--) {
      const end = cuts[i] ?? 0;
      const id = piece[end] ?? -1;
      if (id >= 0) { out.push(id); continue; }
      // Neighbours that no piece spells are one unknown.
      while (i > 0 && piece[cuts[i - 1] ?? 0] === -1) i--;
      this.spell(codes.slice(from[end] ?? 0, cuts[i] ?? end), out);
    }
  }

  /** What no piece spells, as bytes or as the unknown token. */
  private spell(codes: readonly number[], out: number[]): void {
    const bytes = this.options.byteFallback ? bytesOf(codes.map((code) => String.fromCodePoint(code)).join(''), this.bytes) : undefined;
    if (bytes) for (const id of bytes) out.push(id);
    else if (this.unknown !== undefined) out.push(this.unknown);
  }
}
