/** Where an element of a reshaped tensor comes from. */
import { InternalError } from '../diagnostics.ts';
import { add, div, int, mod, mul } from '../kernels/index-expression.ts';
import type { Dim, Index, Shape } from '../kernels/scalar.ts';

/** A run of static axes between symbolic ones. */
interface Run { readonly axes: number[]; readonly size: number; readonly symbol?: Dim }

function runs(shape: Shape): Run[] {
  const result: Run[] = [];
  let axes: number[] = [];
  const flush = (): void => {
    result.push({ axes, size: axes.reduce((n, a) => n * (shape[a] as number), 1) });
    axes = [];
  };
  shape.forEach((extent, n) => {
    if (typeof extent === 'number') { axes.push(n); return; }
    flush();
    result.push({ axes: [n], size: 1, symbol: extent });
  });
  flush();
  return result;
}

/** Indices into a tensor of shape `from` for the element at `index` of the same tensor seen as `to`. Symbolic axes stay as they are, in order. */
export function reshapeIndex(from: Shape, to: Shape, index: readonly Index[]): Index[] {
  const source = runs(from);
  const target = runs(to);
  const fits = source.length === target.length && source.every((r, n) => r.symbol === target[n]?.symbol && r.size === target[n]?.size);
  if (!fits) throw new InternalError('reshape', `[${from.join(', ')}] cannot be seen as [${to.join(', ')}]`);
  const result = new Array<Index>(from.length).fill(int(0));
  source.forEach((run, n) => {
    const other = target[n] as Run;
    if (run.symbol !== undefined) { result[run.axes[0] as number] = index[other.axes[0] as number] as Index; return; }
    let flat: Index = int(0);
    for (const a of other.axes) flat = add(mul(flat, to[a] as number), index[a] as Index);
    let stride = run.size;
    for (const a of run.axes) {
      const extent = from[a] as number;
      stride /= extent;
      result[a] = mod(div(flat, stride), extent);
    }
  });
  return result;
}
