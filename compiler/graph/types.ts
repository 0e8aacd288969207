/**
 * The graph: a model as primitive operators in static single assignment, in topological order.
 * Each node gives one value. Activations have the token axis `T` first. The reference backend interprets this directly.
 */
import type { Dim, Scalar, Shape } from '../kernels/scalar.ts';

export type { Dim, Shape };
export type DType = 'f32' | 'i32';
export type NodeId = number;

/** Where in the model a node comes from: a readable label (`layers.3.attention.q`), the layer, and the spec's JSON pointer. */
export interface Origin {
  readonly label: string;
  readonly layer?: number;
  readonly path?: string;
}

/** A named weight that the graph needs. `shape` is what the operators use; `derivation` spells it in the spec's terms. */
export interface WeightSlot {
  readonly slot: string;
  readonly shape: readonly number[];
  readonly derivation?: string;
  readonly path?: string;
}

/** A per-sequence state that outlives a step: row p of `[S, ...row]` belongs to token p. */
export interface StateSlot {
  readonly name: string;
  readonly row: readonly number[];
}

export type MaskWindow = { readonly kind: 'sliding' | 'chunked' | 'symmetric'; readonly size: number };

/**
 * The primitive operators and their attributes. Shapes below: lower-case letters are static sizes.
 *
 * input        ids, positions (P..P+T-1) or token types: i32[T]
 * weight       the whole of a slot
 * constant     small literal data known when compiling, row-major
 * map          elementwise expression over operands broadcast to the node's shape (NumPy rules, aligned at the last axis);
 *              `index` with `axis` n in the expression is the element's position on axis n of the result
 * gather       (table[n, d], ids i32[...]) -> [..., d]
 * linear       x times w transposed. group none: (x[..., k], w[n, k]) -> [..., n].
 *              head: (x[T, h, k], w[h, n, k]) -> [T, h, n].
 *              expert: (x[T, k] or x[T, j, k], w[e, n, k], choice i32[T, j]) -> [T, j, n], where w row block choice[t, j] is used
 * norm         over the last axis, without weights. rms: x / sqrt(mean(x^2) + eps). layer: (x - mean) / sqrt(var + eps).
 *              l2: x / max(sqrt(sum(x^2)), eps)
 * softmax      over the last axis; with a second operand sinks[h] for x[T, h, S]: one more logit a head, dropped after the division
 * reduce       over one axis, which is removed
 * rope         (x[T, h, d], angle[T, r/2]) with r <= d: rotates the first r of d elements, pairing (j, j + r/2) for half or
 *              (2j, 2j+1) for interleaved; `scale` multiplies both sine and cosine
 * mask         x[T, h, S] with the scores that the query may not see set to -infinity. Query t stands at position P + t, key s at s.
 *              sliding: s > q - size. chunked: floor(s / size) = floor(q / size). symmetric: |q - s| <= size
 * scores       (q[T, h, d], k[S, g, d]) -> [T, h, S]; query head j uses key head floor(j * g / h)
 * mix          (p[T, h, S], v[S, g, d]) -> [T, h, d]
 * cache        appends x[T, ...] to a state and gives all of it: [S, ...]
 * topk         x[..., n] -> i32[..., k]: indices of the k largest on the last axis, largest first, ties to the lower index
 * take         (x[..., n], index i32[..., k]) -> [..., k]
 * member       index i32[..., k] -> [..., size]: 1 where the position is among the indices, else 0
 * lag          the row of each token of the step as it was `rows` tokens before: state[S, ...] -> [T, ...], 0 before the first token
 * tail         the last R tokens: x[T, ...] -> [R, ...]
 * row          one token of x[T, d] -> [1, d]: the first or the last
 */
export type Operator =
  | { readonly op: 'input'; readonly name: 'ids' | 'positions' | 'types' }
  | { readonly op: 'weight'; readonly slot: string }
  | { readonly op: 'constant'; readonly data: readonly number[] }
  | { readonly op: 'map'; readonly expression: Scalar }
  | { readonly op: 'gather' }
  | { readonly op: 'linear'; readonly group: 'none' | 'head' | 'expert' }
  | { readonly op: 'norm'; readonly kind: 'rms' | 'layer' | 'l2'; readonly eps: number }
  | { readonly op: 'softmax' }
  | { readonly op: 'reduce'; readonly fn: 'sum' | 'max' | 'min' | 'mean'; readonly axis: number }
  | { readonly op: 'rope'; readonly pairing: 'half' | 'interleaved'; readonly dims: number; readonly scale: number }
  | { readonly op: 'mask'; readonly causal: boolean; readonly window?: MaskWindow }
  | { readonly op: 'scores' }
  | { readonly op: 'mix' }
  | { readonly op: 'cache'; readonly state: string }
  | { readonly op: 'topk'; readonly k: number }
  | { readonly op: 'take' }
  | { readonly op: 'member'; readonly size: number }
  | { readonly op: 'reshape' }
  | { readonly op: 'transpose'; readonly permutation: readonly number[] }
  | { readonly op: 'slice'; readonly axis: number; readonly start: number; readonly length: number }
  | { readonly op: 'concat'; readonly axis: number }
  | { readonly op: 'lag'; readonly rows: number }
  | { readonly op: 'tail' }
  | { readonly op: 'row'; readonly which: 'first' | 'last' };

export type OperatorName = Operator['op'];

export interface Node {
  readonly id: NodeId;
  readonly operator: Operator;
  readonly inputs: readonly NodeId[];
  readonly dtype: DType;
  readonly shape: Shape;
  readonly origin: Origin;
}

/** Named results: `embeddings`, `hidden.{i}` (the output of layer i, from 0), `final` (after the output norm), `logits`. */
export interface GraphOutput {
  readonly name: string;
  readonly node: NodeId;
}

/**
 * A value worth looking at, by the name that the spec's ids give it: `layers.0.attention.q`, `layers.3.moe.choice`, `hidden.2`. One node may have
 * several names. See compiler/taps.ts.
 */
export interface GraphValue {
  readonly name: string;
  readonly node: NodeId;
}

export interface Graph {
  readonly name: string;
  /** Topological order; `nodes[i].id` need not equal i. */
  readonly nodes: readonly Node[];
  readonly weights: readonly WeightSlot[];
  readonly states: readonly StateSlot[];
  readonly outputs: readonly GraphOutput[];
  /** Everything that has a name, outputs too, in the order in which it is computed; each name once. Costs nothing: an output is what is kept. */
  readonly values: readonly GraphValue[];
}
