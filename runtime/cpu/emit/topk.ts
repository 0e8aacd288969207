/** The k largest of each row, largest first: each next one is the best of those that come after the last in the order (value down, index up). */
import { int } from '../../../compiler/kernels/index-expression.ts';
import { numberReduceAxes } from '../../../compiler/kernels/scalar-expression.ts';
import type { TopKKernel } from '../../../compiler/kernels/types.ts';
import { add, choose, f32, i32, load, mul, op, type I32 } from '../wasm/value.ts';
import { makeEmitter, type KernelSite } from './kernel.ts';
import { emitLoops } from './loops.ts';
import { reduceAxes } from './nest.ts';

export function emitTopK(site: KernelSite, kernel: TopKKernel): { readonly scratchBytes: number } {
  const { f, scratch } = site;
  const e = makeEmitter(site, kernel);
  const axis = kernel.rowShape.length;
  const rows = f.let(kernel.rowShape.reduce<I32>((product, d) => mul(product, e.dim(d)), i32(1)));
  const row = f.local('i32');
  const value = numberReduceAxes(kernel.value, reduceAxes);
  f.countedLoop(row, site.thread, rows, site.threads, () => e.scopes.within(() => {
    const bind = (n: number, rest: I32): void => {
      if (n < 0) {
        emitLoops(e, [{ axis, from: i32(0), to: i32(kernel.n), align: 16, extent: kernel.n }], [{
          index: [{ op: 'axis', axis }], value,
          element: (i) => e.element('values', scratch, [{ index: i[0] ?? int(0), dims: [] }], 'f32', i32(0), i32(kernel.n), true),
        }]);
        return;
      }
      const size = e.dim(kernel.rowShape[n] ?? 1);
      const here = n === 0 ? rest : f.let(op('i32.rem_u', rest, size));
      const outer = n === 0 ? rest : f.let(op('i32.div_u', rest, size));
      e.withAxis(n, here, kernel.rowShape[n], () => bind(n - 1, outer));
    };
    bind(kernel.rowShape.length - 1, row);
    select(site, kernel, row);
  }));
  return { scratchBytes: 4 * kernel.n + 64 };
}

function select(site: KernelSite, kernel: TopKKernel, row: I32): void {
  const { f, scratch } = site;
  const lastValue = f.let(f32(Infinity));
  const lastIndex = f.let(i32(-1));
  const place = f.local('i32');
  const j = f.local('i32');
  const out = f.let(add(site.base(kernel.target), mul(row, i32(4 * kernel.k))));
  f.countedLoop(place, i32(0), i32(kernel.k), 1, () => {
    const best = f.let(f32(-Infinity));
    const index = f.let(i32(-1));
    f.countedLoop(j, i32(0), i32(kernel.n), 1, () => {
      const x = f.let(load('f32.load', add(scratch, mul(j, i32(4)))));
      const after = op('i32.or', op('f32.lt', x, lastValue), op('i32.and', op('f32.eq', x, lastValue), op('i32.gt_s', j, lastIndex)));
      const better = op('i32.or', op('f32.gt', x, best), op('i32.lt_s', index, i32(0)));
      f.if(op('i32.and', after, better), () => {
        f.set(best, x);
        f.set(index, j);
      });
    });
    f.set(lastValue, best);
    f.set(lastIndex, index);
    // Only where values are not numbers is there nothing left to choose: 0 is at least an index.
    f.store('i32.store', add(out, mul(place, i32(4))), choose(op('i32.lt_s', index, i32(0)), i32(0), index));
  });
}
