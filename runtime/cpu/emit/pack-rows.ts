/** Packs rows of 16-bit or 32-bit numbers: of a block of 8 rows, column after column. */
import { blockRows } from '../layout.ts';
import type { FunctionBuilder } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, i32, load, mul, op } from '../wasm/value.ts';
import type { PackBlocks } from './pack.ts';
import { transpose } from './transpose.ts';

/** `bytes`: of a number. */
export function definePackRows(module: ModuleBuilder, bytes: 2 | 4): PackBlocks {
  const made = module.function(`pack ${8 * bytes} bits`, ['i32', 'i32', 'i32', 'i32'], undefined);
  const f = made as unknown as FunctionBuilder;
  const [source, target, blocks, k] = made.params;
  /** Numbers of a vector. */
  const lanes = 16 / bytes;
  const [rowBytes, columnBytes] = [f.let(mul(k, i32(bytes))), blockRows * bytes];
  const wide = f.let(op('i32.and', k, i32(-lanes)));
  const [block, column] = [f.local('i32'), f.local('i32')];
  f.countedLoop(block, i32(0), blocks, 1, () => {
    const rows = Array.from({ length: blockRows }, (_, r) => f.let(add(source, mul(rowBytes, i32(r)))));
    f.countedLoop(column, i32(0), wide, lanes, () => {
      const at = f.let(mul(column, i32(bytes)));
      for (let r = 0; r < blockRows; r += lanes) {
        const columns = transpose(f, rows.slice(r, r + lanes).map((row) => load('v128.load', add(row, at))));
        columns.forEach((values, n) => f.store('v128.store', target, values, n * columnBytes + r * bytes));
      }
      f.set(target, add(target, i32(lanes * columnBytes)));
    });
    f.countedLoop(column, column, k, 1, () => {
      const at = f.let(mul(column, i32(bytes)));
      rows.forEach((row, r) => f.store(bytes === 2 ? 'i32.store16' : 'i32.store', target, load(bytes === 2 ? 'i32.load16_u' : 'i32.load', add(row, at)), r * bytes));
      f.set(target, add(target, i32(columnBytes)));
    });
    f.set(source, add(source, mul(rowBytes, i32(blockRows))));
  });
  return made.handle;
}
