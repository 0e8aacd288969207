/** Products: gather's row copy, linear in its three groups, attention scores and mixes. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { rowsOf, size, zeros } from './tensor.ts';
import type { Tensor, Values } from './tensor.ts';

export function gather(table: Tensor, ids: Tensor): Tensor<Float64Array> {
  const { width, rows } = rowsOf(table);
  const result = zeros([...ids.shape, width]);
  ids.data.forEach((id, n) => {
    if (id < 0 || id >= rows) throw new InternalError('reference', `row ${id} of a table with ${rows} rows`);
    for (let j = 0; j < width; j++) result.data[n * width + j] = table.data[id * width + j] ?? NaN;
  });
  return result;
}

/** Sum of a[i] * b[i] over n elements from the two offsets. */
function dot(a: Values, from: number, b: Values, fromB: number, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += (a[from + i] as number) * (b[fromB + i] as number);
  return sum;
}

/** (x[..., k], w[n, k]) -> [..., n] */
export function linear(x: Tensor, w: Tensor): Tensor<Float64Array> {
  const { width: k, rows } = rowsOf(x);
  const n = size(w, 0);
  const result = zeros([...x.shape.slice(0, -1), n]);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < n; o++) result.data[r * n + o] = dot(x.data, r * k, w.data, o * k, k);
  }
  return result;
}

/** (x[T, h, k], w[h, n, k]) -> [T, h, n] */
export function headLinear(x: Tensor, w: Tensor): Tensor<Float64Array> {
  const [tokens, heads, k, n] = [size(x, 0), size(x, 1), size(x, 2), size(w, 1)];
  const result = zeros([tokens, heads, n]);
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const row = t * heads + h;
      for (let o = 0; o < n; o++) result.data[row * n + o] = dot(x.data, row * k, w.data, (h * n + o) * k, k);
    }
  }
  return result;
}

/** (x[T, k] or x[T, j, k], w[e, n, k], choice[T, j]) -> [T, j, n] */
export function expertLinear(x: Tensor, w: Tensor, choice: Tensor): Tensor<Float64Array> {
  const [tokens, chosen, n, k] = [size(choice, 0), size(choice, 1), size(w, 1), size(w, 2)];
  const perChoice = x.shape.length === 3;
  const result = zeros([tokens, chosen, n]);
  for (let t = 0; t < tokens; t++) {
    for (let j = 0; j < chosen; j++) {
      const expert = choice.data[t * chosen + j] ?? 0;
      const from = (perChoice ? t * chosen + j : t) * k;
      for (let o = 0; o < n; o++) result.data[(t * chosen + j) * n + o] = dot(x.data, from, w.data, (expert * n + o) * k, k);
    }
  }
  return result;
}

/** (q[T, h, d], k[S, g, d]) -> [T, h, S]: query head j uses key head floor(j * g / h) */
export function scores(q: Tensor, k: Tensor): Tensor<Float64Array> {
  const [tokens, heads, d, keys, kvHeads] = [size(q, 0), size(q, 1), size(q, 2), size(k, 0), size(k, 1)];
  const result = zeros([tokens, heads, keys]);
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const group = Math.floor((h * kvHeads) / heads);
      for (let s = 0; s < keys; s++) {
        result.data[(t * heads + h) * keys + s] = dot(q.data, (t * heads + h) * d, k.data, (s * kvHeads + group) * d, d);
      }
    }
  }
  return result;
}

/** (p[T, h, S], v[S, g, d]) -> [T, h, d] */
export function mix(p: Tensor, v: Tensor): Tensor<Float64Array> {
  const [tokens, heads, keys, kvHeads, d] = [size(p, 0), size(p, 1), size(p, 2), size(v, 1), size(v, 2)];
  const result = zeros([tokens, heads, d]);
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const group = Math.floor((h * kvHeads) / heads);
      for (let s = 0; s < keys; s++) {
        const weight = p.data[(t * heads + h) * keys + s] ?? NaN;
        if (weight === 0) continue;
        for (let j = 0; j < d; j++) {
          const to = (t * heads + h) * d + j;
          result.data[to] = (result.data[to] as number) + weight * (v.data[(s * kvHeads + group) * d + j] as number);
        }
      }
    }
  }
  return result;
}
