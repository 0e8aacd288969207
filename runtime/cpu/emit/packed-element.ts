/** Functions (base, row, column, k) that give one element of a packed matrix: for tables that are looked up. See compiler/cell-layout.ts for where it is. */
import { cellColumns, cellLayout, cellRows, chunkBytes, type CellFormat } from '../../../compiler/cell-layout.ts';
import { isCells, type Packed } from '../layout.ts';
import type { FunctionBuilder, FunctionHandle } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, i32, lane, load, mul, op, sub, type F32, type I32 } from '../wasm/value.ts';
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
  const groupBytes = shape.head + shape.cells * shape.bytes;
  const groupShift = Math.log2(cellColumns * shape.cells);
  const group = f.let(add(base, mul(add(mul(shift(row, 3), shift(k, groupShift)), shift(column, groupShift)), i32(groupBytes))));
  const start = f.let(shape.cells === 1 ? group : add(add(group, i32(shape.head)), mul(bits(shift(column, 5), shape.cells - 1), i32(shape.bytes))));
  const h = f.let(bits(shift(row, 2), 1));
  const g = f.let(bits(shift(column, 2), 7));
  const e = f.let(bits(g, shape.chunk - 1));
  const [r, c] = [bits(row, 3), f.let(bits(column, 3))];
  const place = quads ? add(mul(r, i32(4)), c) : add(add(mul(shift(c, 1), i32(8)), mul(r, i32(2))), bits(c, 1));
  const chunk = mul(shift(g, Math.log2(shape.chunk)), i32(chunkBytes(shape)));
  // As wordPlace says, for words and halves that are not known here.
  const numbers = f.let(add(add(start, i32(shape.numbers)), add(place, chunk)));
  const low = add(numbers, add(mul(h, i32(16)), mul(shift(e, 1), i32(32))));
  let q: I32;
  if (shape.bits === 8) q = load('i32.load8_s', low);
  else {
    q = bits(op('i32.shr_u', load('i32.load8_u', low), mul(bits(e, 1), i32(4))), 15);
    if (shape.bits > 4) {
      const bit = mul(add(mul(h, i32(shape.chunk)), e), i32(shape.bits - 4));
      const high = bits(op('i32.shr_u', load('i32.load8_u', numbers, 16 * shape.chunk), bit), 2 ** (shape.bits - 4) - 1);
      q = op('i32.or', q, mul(high, i32(16)));
    }
  }
  const number = op('f32.convert_i32_s', sub(q, i32(shape.zero)));
  const lanes = f.let(bits(row, 7));
  if (shape.factors === 'float') return op('f32.mul', load('f32.load', add(start, mul(lanes, i32(4)))), number);
  if (shape.factors === 'split') {
    const further = f.let(load('i32.load8_u', add(start, lanes), shape.numbers - cellRows));
    const factor = (n: number): F32 => {
      const upper = load('i32.load16_u', add(start, mul(lanes, i32(2))), 2 * cellRows * n);
      const value = op('i32.or', mul(upper, i32(65536)), bits(mul(further, i32(n === 0 ? 256 : 2048)), 0xe000));
      return lane('f32x4.extract_lane', 0, op('i32x4.splat', value));
    };
    const scaled = op('f32.mul', factor(0), number);
    return shape.min ? op('f32.add', scaled, factor(1)) : scaled;
  }
  const head = (n: number): F32 => load('f32.load', add(group, mul(lanes, i32(4))), 4 * cellRows * n);
  const byte = (at: I32, offset: number): F32 => op('f32.convert_i32_s', load(shape.scales === 2 ? 'i32.load8_s' : 'i32.load8_u', add(start, at), offset));
  const section = shape.scales === 2 ? add(lanes, mul(shift(g, 2), i32(cellRows))) : lanes;
  const scaled = op('f32.mul', op('f32.mul', head(0), byte(section, 0)), number);
  return shape.min ? op('f32.add', scaled, op('f32.mul', head(1), byte(lanes, cellRows))) : scaled;
}

/** For stacks of matrices, each filled up to whole blocks: the row's number with the rows that fill up. */
export function paddedRow(row: I32, rows: number): I32 {
  const padded = Math.ceil(rows / 8) * 8;
  return padded === rows ? row : add(mul(op('i32.div_u', row, i32(rows)), i32(padded)), op('i32.rem_u', row, i32(rows)));
}

