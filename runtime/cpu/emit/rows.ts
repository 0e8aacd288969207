/** The inner loops of attention and of selections over a row: functions shared by every kernel of a module. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import type { MathLibrary } from '../math/library.ts';
import { call, type FunctionBuilder, type FunctionHandle, type Local } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, choose, f32, f32x4, i32, i32x4, lane, load, mul, op, type I32 } from '../wasm/value.ts';
import { writeDots, writeMerge, writeMix, writeSoften, type Rows } from './attention-loops.ts';

/** (q, k, kStride, width, out, count): see writeDots. Strides and addresses in bytes. */
export type Dots = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined>;
/** (x, count, record): see writeSoften. */
export type Soften = FunctionHandle<readonly ['i32', 'i32', 'i32'], undefined>;
/** (record, p, count, v, vStride, width, out): see writeMix. */
export type Mix = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined>;
/** (record, mixed, other record, other mixed, vectors): see writeMerge. */
export type Merge = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32', 'i32'], undefined>;
/** (x, count) -> index of the largest, the lowest of equals; -1 where one is NaN or the largest is infinite. */
export type Largest = FunctionHandle<readonly ['i32', 'i32'], 'i32'>;

export class RowLibrary {
  private readonly handles = new Map<string, FunctionHandle>();

  constructor(private readonly module: ModuleBuilder, private readonly math: MathLibrary) {}

  dots(rows: Rows, queryStride: number): Dots {
    return this.once(`dots ${rows} ${queryStride}`, () => {
      const f = this.module.function(`dots${rows}`, ['i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined);
      const [q, k, stride, width, out, count] = f.params;
      writeDots(f as unknown as FunctionBuilder, this.math.features, rows, queryStride, { q, k, stride, width, out, count });
      return f.handle;
    });
  }

  soften(): Soften {
    return this.once('soften', () => {
      const exp = this.math.unary('exp');
      const f = this.module.function('soften', ['i32', 'i32', 'i32'], undefined);
      const [x, count, row] = f.params;
      writeSoften(f as unknown as FunctionBuilder, (v) => call(exp, v), x, count, row);
      return f.handle;
    });
  }

  mix(rows: Rows, outStride: number): Mix {
    return this.once(`mix ${rows} ${outStride}`, () => {
      const f = this.module.function(`mix${rows}`, ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined);
      const [row, p, count, v, stride, width, out] = f.params;
      writeMix(f as unknown as FunctionBuilder, this.math.features, rows, outStride, { row, p, count, v, stride, width, out });
      return f.handle;
    });
  }

  merge(): Merge {
    return this.once('merge', () => {
      const exp = this.math.unary('exp');
      const f = this.module.function('merge', ['i32', 'i32', 'i32', 'i32', 'i32'], undefined);
      const [a, mixedA, b, mixedB, vectors] = f.params;
      writeMerge(f as unknown as FunctionBuilder, this.math.features, (v) => call(exp, v), a, mixedA, b, mixedB, vectors);
      return f.handle;
    });
  }

  largest(): Largest {
    return this.once('largest', () => {
      const f = this.module.function('largest', ['i32', 'i32'], 'i32');
      const [x, count] = f.params;
      f.result(writeLargest(f as unknown as FunctionBuilder, x, count));
      return f.handle;
    });
  }

  private once<H extends FunctionHandle>(name: string, define: () => H): H {
    const known = this.handles.get(name);
    if (known) return known as H;
    const made = define();
    if (this.handles.has(name)) throw new InternalError('cpu', `${name} was defined while it was being defined`);
    this.handles.set(name, made);
    return made;
  }
}

const wholeOf = (f: FunctionBuilder, count: I32, step: number): Local<'i32'> => f.let(op('i32.and', count, i32(-step)));

function writeLargest(f: FunctionBuilder, x: I32, count: I32): I32 {
  const whole = wholeOf(f, count, 4);
  const s = f.local('i32');
  const best = f.let(f32x4(-Infinity));
  const place = f.let(i32x4(0));
  const numbers = f.let(i32x4(0, 1, 2, 3));
  const wrong = f.let(i32x4(0));
  f.countedLoop(s, i32(0), whole, 4, () => {
    const values = f.let(load('v128.load', add(x, mul(s, i32(4)))));
    const better = f.let(op('f32x4.gt', values, best));
    f.set(best, op('v128.bitselect', values, best, better));
    f.set(place, op('v128.bitselect', numbers, place, better));
    f.set(numbers, op('i32x4.add', numbers, i32x4(4)));
    f.set(wrong, op('v128.or', wrong, op('f32x4.ne', values, values)));
  });
  const bad = f.let(op('v128.any_true', wrong));
  const top = f.let(lane('f32x4.extract_lane', 0, best));
  const index = f.let(lane('i32x4.extract_lane', 0, place));
  for (let l = 1; l < 4; l++) {
    const value = f.let(lane('f32x4.extract_lane', l, best));
    const at = f.let(lane('i32x4.extract_lane', l, place));
    const equal = op('i32.and', op('f32.eq', value, top), op('i32.lt_u', at, index));
    const better = f.let(op('i32.or', op('f32.gt', value, top), equal));
    f.set(index, choose(better, at, index));
    f.set(top, choose(better, value, top));
  }
  f.countedLoop(s, whole, count, 1, () => {
    const value = f.let(load('f32.load', add(x, mul(s, i32(4)))));
    const better = f.let(op('f32.gt', value, top));
    f.set(index, choose(better, s, index));
    f.set(top, choose(better, value, top));
    f.set(bad, op('i32.or', bad, op('f32.ne', value, value)));
  });
  f.set(bad, op('i32.or', bad, op('f32.eq', op('f32.abs', top), f32(Infinity))));
  return choose(bad, i32(-1), index);
}
