/** Brings stored rows of weights into blocks (see layout.ts), all threads together: loading is bound by memory then, whose pages each thread touches for itself. */
import { control } from '../control.ts';
import { isCells, isPacked, type Format } from '../layout.ts';
import type { FunctionBuilder, FunctionHandle } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, i32, load, mul, op, sub, type I32 } from '../wasm/value.ts';
import { orderOf } from './cell-products.ts';
import { definePackCells } from './pack-cells.ts';
import { definePackRows } from './pack-rows.ts';

/** (source, target, blocks, k): packs whole blocks of rows of k. */
export type PackBlocks = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32'], undefined>;

/** Formats with the same name are packed by the same function. */
export function packName(format: Format): string {
  if (isCells(format)) return `${format.packed} ${orderOf(format.kind)}`;
  return isPacked(format) ? '16 bits' : '32 bits';
}

/** What packs a form of weights is its place in this list. */
export const packNames = (formats: readonly Format[]): readonly string[] => [...new Set(formats.map(packName))];

/**
 * A function (thread) that does the part of a thread in the packing that the control block describes, and waits for the others that take
 * part. It knows the forms of `formats`, by their places in `packNames`.
 */
export function definePack(module: ModuleBuilder, formats: readonly Format[], barrier: FunctionHandle<readonly ['i32'], undefined>): FunctionHandle<readonly ['i32'], undefined> {
  const bodies = packNames(formats).map((name) => {
    const format = formats.find((other) => packName(other) === name);
    return format !== undefined && isCells(format) ? definePackCells(module, format.packed, orderOf(format.kind)) : definePackRows(module, name === '16 bits' ? 2 : 4);
  });
  const made = module.function('pack', ['i32'], undefined);
  const f = made as unknown as FunctionBuilder;
  const [thread] = made.params;
  const word = (n: number): I32 => f.let(load('i32.load', i32(0), control.pack + 4 * n));
  const [form, source, target, blocks, k, sourceBytes, targetBytes, threads] = [word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7)];
  const cut = (n: I32): I32 => f.let(op('i32.div_u', mul(blocks, n), threads));
  const [first, last] = [cut(thread), cut(add(thread, i32(1)))];
  bodies.forEach((body, n) => f.if(op('i32.eq', form, i32(n)), () => {
    f.run(body, add(source, mul(first, sourceBytes)), add(target, mul(first, targetBytes)), sub(last, first), k);
  }));
  f.if(op('i32.gt_u', threads, i32(1)), () => f.run(barrier, thread));
  return made.handle;
}
