/** What the attention templates share: the masked range of keys, the views' elements, the dot product and the checks. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { visitScalar } from '../../../compiler/kernels/scalar-expression.ts';
import { isCoordinate } from './stores.ts';
import type { AttentionKernel, HeadView } from '../../../compiler/kernels/types.ts';

/** WGSL of the offset of a view's element 0. */
export const viewOffset = (view: HeadView, row: string, head: string): string => `${row} * ${view.rowStride} + ${head} * ${view.headStride} + ${view.offset}`;

/** Whether every accumulator that the stores use is the one at the point itself. */
export function usesOwnOnly(kernel: AttentionKernel): boolean {
  let own = true;
  for (const store of kernel.stores) {
    visitScalar(store.value, (x) => {
      if (x.op !== 'accumulator') return;
      if (x.index.slice(0, -1).some((i, n) => !isCoordinate(i, n, n === 0 ? 'T' : kernel.heads))) throw new InternalError('webgpu', `${kernel.origin.label}: a store uses another row's values`);
      const last = x.index.at(-1);
      if (last?.op !== 'axis' || last.axis !== 2) own = false;
    });
  }
  return own;
}

/** Statements naming the first and past-the-end key that token `t` sees: `firstKey` and `endKey`. */
export function keyRange({ mask }: AttentionKernel, keys: string): string[] {
  const low: string[] = ['0'];
  const high: string[] = [keys];
  if (mask.causal) high.push('at + 1');
  const { window } = mask;
  if (window) {
    const { kind, size } = window;
    switch (kind) {
      case 'sliding': low.push(`at - ${size} + 1`); break;
      case 'chunked': low.push(`(at / ${size}) * ${size}`); high.push(`(at / ${size} + 1) * ${size}`); break;
      case 'symmetric': low.push(`at - ${size}`); high.push(`at + ${size} + 1`); break;
      default: return kind satisfies never;
    }
  }
  const fold = (fn: string, list: readonly string[]): string => list.reduce((a, b) => `${fn}(${a}, ${b})`);
  return ['let at = dims.P + t;', `let firstKey = ${fold('max', low)};`, `let endKey = ${fold('min', high)};`];
}

/** Statements naming `dot`: the product of a query and a key of which `q` and `k` give element j, in four partial sums. */
export function dotProduct(headDim: number, q: (j: string) => string, k: (j: string) => string): string[] {
  const fours = headDim - (headDim % 4);
  const lines = ['var dots = vec4<f32>(0.0f);'];
  if (fours > 0) {
    const four = (item: (j: string) => string): string => `vec4<f32>(${[0, 1, 2, 3].map((c) => item(`j + ${c}`)).join(', ')})`;
    lines.push(`for (var j: i32 = 0; j < ${fours}; j += 4) { dots += ${four(q)} * ${four(k)}; }`);
  }
  for (let j = fours; j < headDim; j++) lines.push(`dots.x += ${q(String(j))} * ${k(String(j))};`);
  return [...lines, 'let dot = (dots.x + dots.y) + (dots.z + dots.w);'];
}
