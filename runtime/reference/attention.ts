/** Rotary position and the attention mask. */
import { size, zeros } from './tensor.ts';
import type { Tensor } from './tensor.ts';
import type { MaskWindow } from '../../compiler/graph/types.ts';

/** (x[T, h, d], angle[T, dims/2]): rotates the pairs of the first `dims` elements; `scale` multiplies sine and cosine. */
export function rope(pairing: 'half' | 'interleaved', dims: number, scale: number, x: Tensor, angle: Tensor): Tensor<Float64Array> {
  const [tokens, heads, d] = [size(x, 0), size(x, 1), size(x, 2)];
  const half = dims / 2;
  const result = zeros(x.shape);
  result.data.set(x.data);
  for (let t = 0; t < tokens; t++) {
    for (let j = 0; j < half; j++) {
      const a = angle.data[t * half + j] ?? NaN;
      const [cos, sin] = [scale * Math.cos(a), scale * Math.sin(a)];
      const [first, second] = pairing === 'half' ? [j, j + half] : [2 * j, 2 * j + 1];
      for (let h = 0; h < heads; h++) {
        const base = (t * heads + h) * d;
        const [u, v] = [x.data[base + first] ?? NaN, x.data[base + second] ?? NaN];
        result.data[base + first] = u * cos - v * sin;
        result.data[base + second] = v * cos + u * sin;
      }
    }
  }
  return result;
}

/** x[T, h, S] with -infinity where query t, at position past + t, may not see key s. */
export function mask(causal: boolean, window: MaskWindow | undefined, past: number, x: Tensor): Tensor<Float64Array> {
  const [tokens, heads, keys] = [size(x, 0), size(x, 1), size(x, 2)];
  const result = zeros(x.shape);
  for (let t = 0; t < tokens; t++) {
    for (let s = 0; s < keys; s++) {
      const visible = isVisible(causal, window, past + t, s);
      for (let h = 0; h < heads; h++) {
        const flat = (t * heads + h) * keys + s;
        result.data[flat] = visible ? x.data[flat] ?? NaN : -Infinity;
      }
    }
  }
  return result;
}

function isVisible(causal: boolean, window: MaskWindow | undefined, query: number, key: number): boolean {
  if (causal && key > query) return false;
  if (!window) return true;
  switch (window.kind) {
    case 'sliding': return key > query - window.size;
    case 'chunked': return Math.floor(key / window.size) === Math.floor(query / window.size);
    case 'symmetric': return Math.abs(query - key) <= window.size;
    default: return window.kind satisfies never;
  }
}
