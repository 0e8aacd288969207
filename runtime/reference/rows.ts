/** Operators over the last axis (norm, softmax, topk, take, member) and the reduction over any one. */
import { count, rowsOf, size, zeros } from './tensor.ts';
import type { Tensor } from './tensor.ts';

export function norm(kind: 'rms' | 'layer' | 'l2', eps: number, x: Tensor): Tensor<Float64Array> {
  const { width, rows } = rowsOf(x);
  const result = zeros(x.shape);
  for (let r = 0; r < rows; r++) {
    const row = x.data.subarray(r * width, (r + 1) * width);
    let sum = 0;
    let squares = 0;
    for (const v of row) sum += v;
    const mean = kind === 'layer' ? sum / width : 0;
    for (const v of row) squares += (v - mean) * (v - mean);
    const divisor = kind === 'l2' ? Math.max(Math.sqrt(squares), eps) : Math.sqrt(squares / width + eps);
    row.forEach((v, j) => { result.data[r * width + j] = (v - mean) / divisor; });
  }
  return result;
}

/** Over the last axis; `sinks[h]` is one more logit of head h (axis 1), dropped after the division. */
export function softmax(x: Tensor, sinks: Tensor | undefined): Tensor<Float64Array> {
  const { width, rows } = rowsOf(x);
  const heads = sinks ? size(x, 1) : 1;
  const result = zeros(x.shape);
  for (let r = 0; r < rows; r++) {
    const row = x.data.subarray(r * width, (r + 1) * width);
    const sink = sinks?.data[r % heads] ?? -Infinity;
    let largest = sink;
    for (const v of row) largest = Math.max(largest, v);
    let total = Math.exp(sink - largest);
    for (const v of row) total += Math.exp(v - largest);
    row.forEach((v, j) => { result.data[r * width + j] = Math.exp(v - largest) / total; });
  }
  return result;
}

export function reduce(fn: 'sum' | 'max' | 'min' | 'mean', axis: number, x: Tensor): Tensor<Float64Array> {
  const n = size(x, axis);
  const outer = count(x.shape.slice(0, axis));
  const inner = count(x.shape.slice(axis + 1));
  const result = zeros(x.shape.filter((_, i) => i !== axis));
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let value = fn === 'max' ? -Infinity : fn === 'min' ? Infinity : 0;
      for (let j = 0; j < n; j++) {
        const v = x.data[(o * n + j) * inner + i] ?? NaN;
        value = fn === 'max' ? Math.max(value, v) : fn === 'min' ? Math.min(value, v) : value + v;
      }
      result.data[o * inner + i] = fn === 'mean' ? value / n : value;
    }
  }
  return result;
}

/** Indices of the k largest, largest first, ties to the lower index. */
export function topk(k: number, x: Tensor): Tensor<Int32Array> {
  const { width, rows } = rowsOf(x);
  const result = { data: new Int32Array(rows * k), shape: [...x.shape.slice(0, -1), k] };
  for (let r = 0; r < rows; r++) {
    const order = Array.from({ length: width }, (_, j) => j);
    const value = (j: number): number => x.data[r * width + j] ?? NaN;
    order.sort((a, b) => (value(a) === value(b) ? a - b : value(b) > value(a) ? 1 : -1));
    result.data.set(order.slice(0, k), r * k);
  }
  return result;
}

/** (x[..., n], index[..., k]) -> [..., k] */
export function take(x: Tensor, index: Tensor): Tensor<Float64Array> {
  const { width } = rowsOf(x);
  const { width: k } = rowsOf(index);
  const result = zeros(index.shape);
  index.data.forEach((j, flat) => { result.data[flat] = x.data[Math.floor(flat / k) * width + j] ?? NaN; });
  return result;
}

/** index[..., k] -> [..., width]: 1 where the position is among the indices */
export function member(width: number, index: Tensor): Tensor<Float64Array> {
  const { width: k } = rowsOf(index);
  const result = zeros([...index.shape.slice(0, -1), width]);
  index.data.forEach((j, flat) => { result.data[Math.floor(flat / k) * width + j] = 1; });
  return result;
}
