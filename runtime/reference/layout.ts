/** Operators that only move elements: transpose, slice, concat, lag, tail, row. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { count, size, strides, walk } from './tensor.ts';
import type { Sizes, Tensor, Values } from './tensor.ts';

/** Storage of the same sort for n elements. */
function like(data: Values, n: number): Values {
  if (data instanceof Int32Array) return new Int32Array(n);
  return data instanceof Float32Array ? new Float32Array(n) : new Float64Array(n);
}

export function transpose(permutation: readonly number[], x: Tensor): Tensor {
  const own = strides(x.shape);
  const shape = permutation.map((p) => size(x, p));
  const data = like(x.data, x.data.length);
  walk(shape, permutation.map((p) => own[p] ?? 0), (flat, offset) => { data[flat] = x.data[offset] ?? NaN; });
  return { data, shape };
}

export function slice(axis: number, start: number, length: number, x: Tensor): Tensor {
  const n = size(x, axis);
  const inner = count(x.shape.slice(axis + 1));
  const outer = count(x.shape.slice(0, axis));
  const data = like(x.data, outer * length * inner);
  for (let o = 0; o < outer; o++) {
    const from = (o * n + start) * inner;
    data.set(x.data.subarray(from, from + length * inner), o * length * inner);
  }
  return { data, shape: x.shape.map((d, i) => (i === axis ? length : d)) };
}

export function concat(axis: number, parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (!first) throw new InternalError('reference', 'concat of nothing');
  const total = parts.reduce((sum, part) => sum + size(part, axis), 0);
  const inner = count(first.shape.slice(axis + 1));
  const outer = count(first.shape.slice(0, axis));
  const data = new Float64Array(outer * total * inner);
  let before = 0;
  for (const part of parts) {
    const n = size(part, axis);
    for (let o = 0; o < outer; o++) data.set(part.data.subarray(o * n * inner, (o + 1) * n * inner), (o * total + before) * inner);
    before += n;
  }
  return { data, shape: first.shape.map((d, i) => (i === axis ? total : d)) };
}

/** The T rows of a state that end `rows` before its end, 0 where there is none: what each token of the step saw then. */
export function lag(rows: number, { T, P }: Sizes, state: Tensor): Tensor {
  const width = count(state.shape.slice(1));
  const data = new Float64Array(T * width);
  for (let t = Math.max(0, rows - P); t < T; t++) data.set(state.data.subarray((P + t - rows) * width, (P + t - rows + 1) * width), t * width);
  return { data, shape: [T, ...state.shape.slice(1)] };
}

/** The last `rows` tokens. */
export function tail(rows: number, x: Tensor): Tensor {
  return slice(0, size(x, 0) - rows, rows, x);
}

export function row(which: 'first' | 'last', x: Tensor): Tensor {
  return slice(0, which === 'first' ? 0 : size(x, 0) - 1, 1, x);
}
