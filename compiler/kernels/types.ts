/**
 * Kernels: what a backend executes. Three families of template (nest, linear, attention) whose free parts are scalar
 * expressions, and two small selections (topk, argmax). A schedule is an ordered list of kernels over buffers.
 */
import type { RowOrder } from './row-order.ts';
import type { Dim, Index, Scalar, Shape } from './scalar.ts';
import type { WeightFormat } from '../formats.ts';
import type { DType, MaskWindow, Origin, StateSlot, WeightSlot } from '../graph/types.ts';

export type BufferId = number;

/**
 * A tensor in memory, dense and row-major in `shape` order.
 * weight: read only, `name` is the slot. constant: read only, `data` in the plan. state: kept between steps, shape [S, ...row].
 * input: written by the host before each step. activation: lives within a step. output: an activation that the host may read after it.
 */
export interface Buffer {
  readonly id: BufferId;
  readonly role: 'weight' | 'constant' | 'state' | 'input' | 'activation' | 'output';
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data?: readonly number[];
  /** How a weight is stored; f32 if absent. Kernels compute with the numbers that it stands for. */
  readonly format?: WeightFormat;
  /** How a weight's rows are ordered in memory; their own order if absent. `shape` and indices are of the ordered rows. */
  readonly rowOrder?: RowOrder;
}

/**
 * One result of a kernel: element `index` (one per axis of the buffer) of `buffer` becomes `value`, for every point of the loop space.
 * A value stored into an i32 buffer is a whole number: truncated, or an `index` expression as it is.
 */
export interface Store {
  readonly buffer: BufferId;
  readonly index: readonly Index[];
  readonly value: Scalar;
}

interface KernelCommon {
  readonly id: number;
  readonly origin: Origin;
  /** Graph nodes that this kernel computes, for reports. */
  readonly nodes: readonly number[];
  /** Buffers that `load` and `at` refer to by position in this list. */
  readonly sources: readonly BufferId[];
}

/**
 * For every point of `space` (axes 0..n-1): all stores. A buffer is not both a source and a store's target. `reduce` axes are
 * numbered by nesting depth from n on, so that equal subexpressions are structurally equal; a backend computes each distinct one
 * once for every value of the axes that it depends on (a row's norm once a row).
 */
export interface NestKernel extends KernelCommon {
  readonly kind: 'nest';
  readonly space: Shape;
  readonly stores: readonly Store[];
}

/** A weight operand of a linear kernel: rows `[n, k]`, or `[groups, n, k]` for head and expert groups. */
export interface LinearWeight {
  readonly buffer: BufferId;
  readonly rows: number;
}

/**
 * accumulator[row..., n] = sum over k of input(row..., k) * w[n, k], over the rows of all `weights` (N = sum of their rows), in this `order`:
 * stacked: all rows of the first weight, then all of the second, ... interleaved: the m weights are equally tall, and n = row * m + which
 * (row i of weight 0, row i of weight 1, ..., row i + 1 of weight 0, ...), so that what gate and up give for one element lies side by side.
 * `rowShape` is the loop space of the rows: [T], [R], [T, h] (head) or [T, j] (expert). The axes of `input` are the row axes,
 * then k. The last element of an `accumulator` index is always an n in 0..N-1. The axes of `stores` are the row axes, then
 * stacked: n itself; interleaved: the weight row i in 0..N/m-1, whose accumulators are i * m + which. Reduce axes follow those (and for
 * `input` follow k), numbered by depth as in a nest. A `reduce` in `input` (a norm's statistics) never depends on k.
 * `granule`: every accumulator that a store at n (or i * m) uses lies with it in the same aligned block of `granule` rows of N, so
 * a backend may split N at multiples of it only. 1 where each n uses only its own accumulator; at least m where interleaved.
 * The last block may be shorter.
 * head: the weight's first axis is row axis 1. expert: it is `choice[row]`, an element of source `choice`.
 * A store covers the part `from`..`to` (excluded) of its last axis (q, k and v of one product go to three buffers); `from` times the
 * number of n a step is a multiple of `granule` where the store uses more than one accumulator.
 */
export interface LinearKernel extends KernelCommon {
  readonly kind: 'linear';
  readonly group: 'none' | 'head' | 'expert';
  readonly rowShape: Shape;
  readonly k: number;
  readonly weights: readonly LinearWeight[];
  readonly order: 'stacked' | 'interleaved';
  readonly input: Scalar;
  readonly choice?: { readonly source: number; readonly index: readonly Index[] };
  readonly granule: number;
  readonly stores: readonly (Store & { readonly from: number; readonly to: number })[];
}

/** A strided read of a `[rows, heads, dim]` tensor inside a buffer, in elements: element (r, h, j) is at r * rowStride + h * headStride + j + offset. */
export interface HeadView {
  readonly buffer: BufferId;
  readonly offset: number;
  readonly rowStride: number;
  readonly headStride: number;
}

/**
 * For token t and head h: p = softmax over keys s of score(q[t,h] . k[s, floor(h g / H)]), output = sum of p * v.
 * Axes of `score`: 0 = t, 1 = h, 2 = s; its `accumulator` (index [t, h, s]) is the dot product. Keys outside the mask are never read and count as
 * -infinity: `mask` says which those are. `keys` is the dimension of the key axis (S with a cache, T without).
 * Axes of `stores`: t, h, j (value dimension); their `accumulator` (index [t, h, j]) is the mixed value.
 */
export interface AttentionKernel extends KernelCommon {
  readonly kind: 'attention';
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly keys: Dim;
  readonly query: HeadView;
  readonly key: HeadView;
  readonly value: HeadView;
  readonly mask: { readonly causal: boolean; readonly window?: MaskWindow };
  readonly score: Scalar;
  /** f32[heads]: an extra logit per head that takes part in the softmax's denominator. */
  readonly sinks?: BufferId;
  readonly stores: readonly Store[];
}

/** x[rows..., n] -> i32[rows..., k], indices of the largest on the last axis, largest first, ties to the lower index. `value` has the row axes, then n. */
export interface TopKKernel extends KernelCommon {
  readonly kind: 'topk';
  readonly rowShape: Shape;
  readonly n: number;
  readonly k: number;
  readonly value: Scalar;
  readonly target: BufferId;
}

/** Index of the largest element of the last row of f32[R, n] -> i32[1]; ties to the lower index, -1 where one is NaN or the largest is infinite. */
export interface ArgmaxKernel extends KernelCommon {
  readonly kind: 'argmax';
  readonly input: BufferId;
  readonly n: number;
  readonly target: BufferId;
}

export type Kernel = NestKernel | LinearKernel | AttentionKernel | TopKKernel | ArgmaxKernel;

/** Kernels in execution order over buffers: what the fusion passes rewrite. */
export interface Schedule {
  readonly name: string;
  readonly buffers: readonly Buffer[];
  readonly kernels: readonly Kernel[];
  readonly weights: readonly WeightSlot[];
  readonly states: readonly StateSlot[];
  /** Graph output name -> buffer. */
  readonly outputs: readonly { readonly name: string; readonly buffer: BufferId }[];
}
