/** Brings rows of a matrix into block order (see layout.ts), all threads together: loading is bound by memory then, whose pages each thread touches for itself. */
import { blockRows } from '../layout.ts';
import { control } from '../control.ts';
import type { FunctionBuilder, FunctionHandle } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, i32, load, min, mul, op, shuffle, sub, type I32, type V128 } from '../wasm/value.ts';

/** A function (thread) that does the part of a thread in the packing that the control block describes, and waits for the others. */
export function definePack(module: ModuleBuilder, threads: number, barrier: FunctionHandle<readonly ['i32'], undefined>): FunctionHandle<readonly ['i32'], undefined> {
  const made = module.function('pack', ['i32'], undefined);
  const f = made as unknown as FunctionBuilder;
  const [thread] = made.params;
  const word = (offset: number): I32 => f.let(load('i32.load', i32(0), control.pack + offset));
  const [source, target, rows, k] = [word(0), word(4), word(8), word(12)];
  const blocks = f.let(op('i32.div_u', add(rows, i32(blockRows - 1)), i32(blockRows)));
  const cut = (n: I32): I32 => f.let(op('i32.div_u', mul(blocks, n), i32(threads)));
  const [first, last] = [cut(thread), cut(add(thread, i32(1)))];
  const stride = f.let(mul(k, i32(4)));
  const wide = f.let(op('i32.and', k, i32(-4)));
  const block = f.local('i32');
  const i = f.local('i32');
  const r = f.local('i32');
  f.countedLoop(block, first, last, 1, () => {
    const from = f.let(add(source, mul(block, mul(stride, i32(blockRows)))));
    const to = f.let<'i32'>(add(target, mul(block, mul(stride, i32(blockRows)))));
    const lanes = f.let(min(f.let(sub(rows, mul(block, i32(blockRows)))), i32(blockRows)));
    // Column i of the rows that there are, one by one.
    const single = (): void => f.countedLoop(r, i32(0), lanes, 1, () => {
      f.store('f32.store', add(to, add(mul(i, i32(4 * blockRows)), mul(r, i32(4)))), load('f32.load', add(from, add(mul(r, stride), mul(i, i32(4))))));
    });
    f.set(i, i32(0));
    f.if(op('i32.eq', lanes, i32(blockRows)), () => {
      const starts = Array.from({ length: blockRows }, (_, n) => f.let(add(from, mul(stride, i32(n)))));
      f.countedLoop(i, i32(0), wide, 4, () => {
        const at = f.let(mul(i, i32(4)));
        const out = f.let(add(to, mul(i, i32(4 * blockRows))));
        for (const half of [0, 1]) {
          const columns = transpose(f, starts.slice(4 * half, 4 * half + 4).map((start) => load('v128.load', add(start, at))));
          columns.forEach((column, n) => f.store('v128.store', out, column, 4 * blockRows * n + 16 * half));
        }
      });
    });
    f.countedLoop(i, i, k, 1, single);
  });
  if (threads > 1) f.run(barrier, thread);
  return made.handle;
}

/** Four rows of four become four columns. */
function transpose(f: FunctionBuilder, rows: readonly V128[]): V128[] {
  const [a, b, c, d] = rows.map((row) => f.let(row));
  if (!a || !b || !c || !d) return [];
  const [low, high] = [f.let(shuffle(a, b, [0, 4, 1, 5])), f.let(shuffle(a, b, [2, 6, 3, 7]))];
  const [lowest, highest] = [f.let(shuffle(c, d, [0, 4, 1, 5])), f.let(shuffle(c, d, [2, 6, 3, 7]))];
  return [shuffle(low, lowest, [0, 1, 4, 5]), shuffle(low, lowest, [2, 3, 6, 7]), shuffle(high, highest, [0, 1, 4, 5]), shuffle(high, highest, [2, 3, 6, 7])];
}
