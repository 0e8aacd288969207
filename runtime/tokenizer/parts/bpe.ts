/**
 * Byte-pair encoding: of all neighbours that join, those of the lowest rank do, the leftmost first (Sennrich et al. 2016, as the Rust library
 * computes it). A heap of candidates makes a word of n symbols cost n log n, however long it is; the JavaScript library's own takes seconds for
 * 100 KB, as it makes an object, a text and a JSON text of every candidate.
 */
import { byteIds, bytesOf, type Model } from './model.ts';
import { PairTable } from './pair-table.ts';

/** Which neighbours join, by the index of the merge: -1 where none does. */
interface Merges {
  find(left: number, right: number): number;
  readonly target: Int32Array;
  readonly rank: Int32Array;
}

/** Two pieces that join, as a pair or as a text with a space between them. */
export type Merge = string | readonly [string, string];

export const isMerge = (merge: unknown): merge is Merge =>
  (typeof merge === 'string' ? merge.indexOf(' ', 1) > 0 : Array.isArray(merge) && typeof merge[0] === 'string' && typeof merge[1] === 'string');

function pairOf(merge: Merge): readonly [string, string] {
  if (typeof merge !== 'string') return merge;
  const at = merge.indexOf(' ', 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

export interface BpeOptions {
  readonly ids: ReadonlyMap<string, number>;
  /** Pairs that join, first ranks lowest. */
  readonly merges: readonly Merge[];
  /** SentencePiece's form in place of merges: by id; two pieces join to any piece, the one of the highest score first. */
  readonly scores?: readonly number[] | undefined;
  readonly unknown: string | undefined;
  readonly byteFallback: boolean;
  readonly fuseUnknown: boolean;
  readonly ignoreMerges: boolean;
  readonly continuingPrefix: string;
  readonly wordSuffix: string;
  /** Tokens that no text may become. */
  readonly special: ReadonlySet<number>;
}

function piecesOf(ids: ReadonlyMap<string, number>): string[] {
  const pieces: string[] = [];
  for (const [piece, id] of ids) pieces[id] = piece;
  return pieces;
}

function listedMerges({ ids, continuingPrefix, special }: Omit<BpeOptions, 'merges'>, merges: readonly Merge[]): Merges {
  const table = new PairTable(merges.length);
  const target = new Int32Array(merges.length);
  const pieces = piecesOf(ids);
  let last = -1;
  const join = (left: string, right: string): number | undefined => {
    // Vocabularies mostly hold what the merges give in the merges' order: the next piece is compared first, which is cheaper than a look-up.
    const next = pieces[last + 1];
    if (next?.length === left.length + right.length && next.startsWith(left) && next.endsWith(right)) return last + 1;
    return ids.get(left + right);
  };
  for (let rank = 0; rank < merges.length; rank++) {
    const [left, right] = pairOf(merges[rank] ?? ['', '']);
    const [a, b] = [ids.get(left), ids.get(right)];
    const joined = join(left, continuingPrefix !== '' && right.startsWith(continuingPrefix) ? right.slice(continuingPrefix.length) : right);
    if (a === undefined || b === undefined || joined === undefined) throw new Error(`the merge of '${left}' and '${right}' is not in the vocabulary`);
    last = joined;
    if (special.has(joined)) continue;
    table.set(a, b, rank);
    target[rank] = joined;
  }
  return { find: (a, b) => table.get(a, b, -1), target, rank: new Int32Array(merges.length).map((_, rank) => rank) };
}

/** Pairs found out about as they come up: a vocabulary has millions. */
const mostKnownPairs = 1 << 22;

function scoredMerges({ ids, special }: Omit<BpeOptions, 'merges'>, scores: readonly number[]): Merges {
  const pieces = piecesOf(ids);
  const byScore = [...new Set(scores)].sort((a, b) => b - a);
  const rankOf = new Map(byScore.map((score, rank) => [score, rank]));
  const table = new PairTable();
  const isByte = /^<0x[0-9A-F]{2}>$/;
  const look = (a: number, b: number): number => {
    const joined = (pieces[a] ?? '') + (pieces[b] ?? '');
    const id = ids.get(joined);
    return id === undefined || special.has(id) || isByte.test(joined) ? -1 : id;
  };
  return {
    find(a, b) {
      const known = table.get(a, b, -2);
      if (known !== -2) return known;
      const id = look(a, b);
      if (table.size < mostKnownPairs) table.set(a, b, id);
      return id;
    },
    target: Int32Array.from(pieces, (_, id) => id), rank: Int32Array.from(pieces, (_, id) => rankOf.get(scores[id] ?? 0) ?? byScore.length),
  };
}

/** Candidates by key, smallest first. A key holds a rank and a position; `what` goes with it. */
class Heap {
  private keys = new Float64Array(64);
  private whats = new Int32Array(64);
  size = 0;

  push(key: number, what: number): void {
    if (this.size === this.keys.length) {
      const { keys, whats } = this;
      this.keys = new Float64Array(2 * keys.length);
      this.keys.set(keys);
      this.whats = new Int32Array(2 * whats.length);
      this.whats.set(whats);
    }
    const { keys, whats } = this;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = keys[parent] ?? 0;
      if (above <= key) break;
      keys[at] = above;
      whats[at] = whats[parent] ?? 0;
      at = parent;
    }
    keys[at] = key;
    whats[at] = what;
  }

  get key(): number { return this.keys[0] ?? 0; }
  get what(): number { return this.whats[0] ?? 0; }

  pop(): void {
    const { keys, whats } = this;
    const size = --this.size;
    const key = keys[size] ?? 0;
    const what = whats[size] ?? 0;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++;
      const below = keys[child] ?? 0;
      if (below >= key) break;
      keys[at] = below;
      whats[at] = whats[child] ?? 0;
      at = child;
    }
    keys[at] = key;
    whats[at] = what;
  }
}

const positions = 2 ** 26; // More than a text has symbols.
const longestKnown = 48;
const mostKnown = 20_000;

export class Bpe implements Model {
  readonly ids: ReadonlyMap<string, number>;
  readonly unknown: number | undefined;
  private readonly merges: Merges;
  private readonly bytes: readonly (number | undefined)[];
  private readonly known = new Map<string, readonly number[]>();
  private readonly heap = new Heap();

  /** Merges are not kept: there are tens of thousands. */
  private readonly options: Omit<BpeOptions, 'merges' | 'scores'>;

  constructor({ merges, scores, ...options }: BpeOptions) {
    this.options = options;
    this.ids = options.ids;
    this.unknown = options.unknown === undefined ? undefined : options.ids.get(options.unknown);
    this.merges = scores ? scoredMerges(options, scores) : listedMerges(options, merges);
    this.bytes = options.byteFallback ? byteIds(options.ids) : [];
  }

  encode(word: string, out: number[]): void {
    if (this.options.ignoreMerges) {
      const id = this.ids.get(word);
      if (id !== undefined && !this.options.special.has(id)) { out.push(id); return; }
    }
    if (word.length > longestKnown) { for (const id of this.join(this.symbols(word))) out.push(id); return; }
    let ids = this.known.get(word);
    if (!ids) {
      ids = this.join(this.symbols(word));
      if (this.known.size >= mostKnown) this.known.clear();
      this.known.set(word, ids);
    }
    for (const id of ids) out.push(id);
  }

  /** A word's characters as ids, what is unknown among them as bytes or as the unknown token. */
  private symbols(word: string): number[] {
    const { byteFallback, fuseUnknown, continuingPrefix, wordSuffix } = this.options;
    const plain = continuingPrefix === '' && wordSuffix === '';
    const symbols: number[] = [];
    let pending = false;
    for (let at = 0; at < word.length;) {
      const code = word.codePointAt(at) ?? 0;
      const next = at + (code > 0xffff ? 2 : 1);
      const char = word.slice(at, next);
      const text = plain ? char : (at > 0 ? continuingPrefix : '') + char + (next === word.length ? wordSuffix : '');
      at = next;
      const id = this.ids.get(text);
      if (id !== undefined) {
        if (pending) symbols.push(this.unknown ?? 0);
        pending = false;
        symbols.push(id);
        continue;
      }
      const bytes = byteFallback ? bytesOf(text, this.bytes) : undefined;
      if (bytes) { symbols.push(...bytes); continue; }
      if (this.unknown === undefined) continue;
      if (pending && !fuseUnknown) symbols.push(this.unknown);
      pending = true;
    }
    if (pending) symbols.push(this.unknown ?? 0);
    return symbols;
  }

  private join(symbols: number[]): number[] {
    const count = symbols.length;
    if (count < 2) return symbols;
    const { merges, heap } = this;
    const { target, rank } = merges;
    const symbol = Int32Array.from(symbols);
    const before = new Int32Array(count);
    const after = new Int32Array(count);
    const consider = (left: number, right: number): void => {
      const merge = merges.find(symbol[left] ?? 0, symbol[right] ?? 0);
      if (merge >= 0) heap.push((rank[merge] ?? 0) * positions + left, merge);
    };
    heap.size = 0;
    for (let i = 0; i < count; i++) {
      before[i] = i - 1;
      after[i] = i + 1 < count ? i + 1 : -1;
      if (i + 1 < count) consider(i, i + 1);
    }
    while (heap.size > 0) {
      const left = heap.key % positions;
      const merge = heap.what;
      heap.pop();
      const right = after[left] ?? -1;
      if ((symbol[left] ?? -1) < 0 || right < 0) continue;
      // The neighbours may have changed since they were put there.
      const now = merges.find(symbol[left] ?? 0, symbol[right] ?? 0);
      if (now < 0 || target[now] !== target[merge]) continue;
      symbol[left] = target[merge] ?? 0;
      symbol[right] = -1;
      const next = after[right] ?? -1;
      after[left] = next;
      if (next >= 0) { before[next] = left; consider(left, next); }
      const previous = before[left] ?? -1;
      if (previous >= 0) consider(previous, left);
    }
    const ids: number[] = [];
    for (let at = 0; at >= 0; at = after[at] ?? -1) ids.push(symbol[at] ?? 0);
    return ids;
  }
}
