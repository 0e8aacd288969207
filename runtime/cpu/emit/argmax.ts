/** Index of the largest of the last row of [R, n]: little work, done by the first thread. */
import type { ArgmaxKernel } from '../../../compiler/kernels/types.ts';
import { call } from '../wasm/function.ts';
import { add, i32, mul, op, sub } from '../wasm/value.ts';
import { makeEmitter, type KernelSite } from './kernel.ts';

export function emitArgmax(site: KernelSite, kernel: ArgmaxKernel): { readonly scratchBytes: number } {
  const { f } = site;
  f.if(op('i32.eqz', site.thread), () => {
    const e = makeEmitter(site, kernel);
    const [rows] = site.info(kernel.input).buffer.shape;
    const last = f.let(mul(sub(e.dim(rows ?? 1), i32(1)), i32(4 * kernel.n)));
    f.store('i32.store', site.base(kernel.target), call(site.rows.largest(), add(site.base(kernel.input), last), i32(kernel.n)));
  });
  return { scratchBytes: 0 };
}
