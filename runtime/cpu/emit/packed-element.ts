/** Functions (base, row, column, k) that give one element of a packed matrix: for tables that are looked up. See cells.ts for where it is. */
import { cellLayout, type CellFormat } from '../cells.ts';
import { isCells, type Packed } from '../layout.ts';
import type { FunctionBuilder, FunctionHandle } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, choose, i32, lane, load, mul, op, sub, type F32, type I32 } from '../wasm/value.ts';
import { orderOf } from './cell-products.ts';
import { widen } from './half-products.ts';

export type ReadElement = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32'], 'f32'>;

export function defineReadElement(module: ModuleBuilder, format: Packed): ReadElement {
  const made = module.function(`element ${format.packed}`, ['i32', 'i32', 'i32', 'i32'], 'f32');
  const f = made as unknown as FunctionBuilder;
  const [base, row, column, k] = made.params;
  made.result(isCells(format) ? cell(f, format.packed, orderOf(format.kind) === 'quads', base, row, column, k) : half(f, format.packed, base, row, column, k));
  return made.handle;
}

const shift = (x: I32, by: number): I32 => op('i32.shr_u', x, i32(by));
const bits = (x: I32, mask: number): I32 => op('i32.and', x, i32(mask));

function half(f: FunctionBuilder, format: 'f16' | 'bf16', base: I32, row: I32, column: I32, k: I32): F32 {
  const number = add(mul(add(mul(shift(row, 3), k), column), i32(8)), bits(row, 7));
  return lane('f32x4.extract_lane', 0, widen(f, format, op('i32x4.splat', load('i32.load16_u', add(base, mul(number, i32(2)))))));
}

function cell(f: FunctionBuilder, format: CellFormat, quads: boolean, base: I32, row: I32, column: I32, k: I32): F32 {
  const shape = cellLayout(format);
  const start = f.let(add(base, mul(add(mul(shift(row, 3), shift(k, 5)), shift(column, 5)), i32(shape.bytes))));
  const h = f.let(bits(shift(row, 2), 1));
  const g = f.let(bits(shift(column, 2), 7));
  const [r, c] = [bits(row, 3), f.let(bits(column, 3))];
  const place = quads ? add(mul(r, i32(4)), c) : add(add(mul(shift(c, 1), i32(8)), mul(r, i32(2))), bits(c, 1));
  const numbers = f.let(add(add(start, i32(shape.numbers)), add(place, mul(h, i32(16)))));
  const byte = (offset: I32, plus = 0): I32 => load('i32.load8_u', add(numbers, offset), plus);
  let q: I32;
  if (shape.bits === 8) q = op('i32.extend8_s', byte(mul(g, i32(32))));
  else {
    const upper = f.let(shift(g, 2));
    q = bits(op('i32.shr_u', byte(mul(bits(g, 3), i32(32))), mul(upper, i32(4))), 15);
    if (shape.bits === 5) q = op('i32.or', q, mul(bits(op('i32.shr_u', byte(i32(0), 128), g), 1), i32(16)));
    // Each half has two planes, and the half's number is in the address once already.
    if (shape.bits === 6) {
      const plane = add(mul(h, i32(16)), mul(upper, i32(16)));
      q = op('i32.or', q, mul(bits(op('i32.shr_u', byte(plane, 128), mul(bits(g, 3), i32(2))), 3), i32(16)));
    }
  }
  const factors = f.let(add(start, mul(bits(row, 7), i32(4))));
  const second = shape.scales === 2 ? choose(op('i32.ge_u', g, i32(4)), i32(32), i32(0)) : i32(0);
  const scaled = op('f32.mul', load('f32.load', add(factors, second)), op('f32.convert_i32_s', sub(q, i32(shape.zero))));
  return shape.min ? op('f32.add', scaled, load('f32.load', factors, 32 * shape.scales)) : scaled;
}

/** For stacks of matrices, each filled up to whole blocks: the row's number with the rows that fill up. */
export function paddedRow(row: I32, rows: number): I32 {
  const padded = Math.ceil(rows / 8) * 8;
  return padded === rows ? row : add(mul(op('i32.div_u', row, i32(rows)), i32(padded)), op('i32.rem_u', row, i32(rows)));
}

