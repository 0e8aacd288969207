/** What is said of a value in a few numbers. All are NaN where the value holds anything that is no number. */

/** The largest or smallest element of a value [tokens, channels]. */
export interface Extreme {
  readonly value: number;
  readonly token: number;
  readonly channel: number;
}

export interface Size {
  /** Root of the mean square of all elements. */
  readonly rms: number;
  /** The same for each token. */
  readonly tokens: readonly number[];
  readonly min: Extreme;
  readonly max: Extreme;
}

export interface Sparsity {
  /** Share of the elements that are exactly 0. */
  readonly zeros: number;
  /** Share of those that are below `threshold` times the root mean square of all: the zeros too. */
  readonly small: number;
  readonly threshold: number;
}

export interface Entropy {
  /** Mean over the queries, in bits. */
  readonly bits: number;
  /** Share of what the queries would have if they saw all their keys alike; 0 where each sees only one key. */
  readonly share: number;
}

/** Keys from `first` up to `end` (excluded): those that a query may see. */
export type Visible = (query: number) => { readonly first: number; readonly end: number };

/** Of a value [tokens, ...], whose axes behind the first count as one. */
export function sizeOf(data: Float32Array, tokens: number): Size {
  const width = data.length / tokens;
  const squares = new Float64Array(tokens);
  let min = 0, max = 0;
  for (let i = 0; i < data.length; i++) {
    const x = data[i] ?? NaN;
    const t = Math.floor(i / width);
    squares[t] = (squares[t] ?? 0) + x * x;
    if (x < (data[min] ?? NaN)) min = i;
    if (x > (data[max] ?? NaN)) max = i;
  }
  const bad = squares.some((s) => Number.isNaN(s));
  const at = (i: number): Extreme => ({ value: bad ? NaN : data[i] ?? NaN, token: Math.floor(i / width), channel: i % width });
  return { rms: Math.sqrt(squares.reduce((a, b) => a + b, 0) / data.length), tokens: Array.from(squares, (s) => Math.sqrt(s / width)), min: at(min), max: at(max) };
}

export function sparsityOf(data: Float32Array, threshold: number): Sparsity {
  const rms = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  if (Number.isNaN(rms)) return { zeros: NaN, small: NaN, threshold };
  let zeros = 0, small = 0;
  for (const x of data) {
    if (x === 0) zeros++;
    if (x === 0 || Math.abs(x) < threshold * rms) small++;
  }
  return { zeros: zeros / data.length, small: small / data.length, threshold };
}

/** Of each head of attention weights [queries, heads, keys]. Weights that a sink took from the keys are left out: the rest is a distribution again. */
export function entropiesOf(weights: Float32Array, [queries, heads, keys]: readonly [number, number, number], visible: Visible): Entropy[] {
  return Array.from({ length: heads }, (_, head) => {
    let bits = 0, most = 0;
    for (let query = 0; query < queries; query++) {
      const at = (query * heads + head) * keys;
      bits += entropyOf(weights.subarray(at, at + keys));
      const { first, end } = visible(query);
      most += Math.log2(Math.max(1, end - first));
    }
    return { bits: bits / queries, share: most === 0 ? 0 : bits / most };
  });
}

/** In bits, of weights that need not sum to 1. */
export function entropyOf(weights: Float32Array): number {
  const total = weights.reduce((sum, p) => sum + p, 0);
  if (total === 0) return 0;
  // -sum of p/total * log2(p/total), where 0 log 0 is 0.
  const sum = weights.reduce((s, p) => s + (p === 0 ? 0 : p * Math.log2(p)), 0);
  return Math.max(0, Math.log2(total) - sum / total);
}
