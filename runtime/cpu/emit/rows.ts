/** The inner loops of attention and of selections over a row: functions shared by every kernel of a module. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import type { MathLibrary } from '../math/library.ts';
import { horizontal, madd } from '../simd.ts';
import { call, type FunctionBuilder, type FunctionHandle, type Local } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, choose, f32, f32x4, i32, i32x4, lane, load, mul, op, shuffle, type F32, type I32, type V128 } from '../wasm/value.ts';

/** (q, k, kStride, width, out, count): out[s] = q . k[s], s < count; strides in bytes. */
export type Dots = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined>;
/** (x, count, sink) -> sum: x becomes e^(x - max), max over x and the sink; gives their sum, the sink's share included. */
export type Exponentials = FunctionHandle<readonly ['i32', 'i32', 'f32'], 'f32'>;
/** (p, count, v, vStride, width, out, factor): out[j] = factor * sum over s of p[s] v[s][j]. */
export type Mix = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'f32'], undefined>;
/** (x, count) -> index of the largest, the lowest of equals; 0 where nothing is a number. */
export type Largest = FunctionHandle<readonly ['i32', 'i32'], 'i32'>;

export class RowLibrary {
  private readonly handles = new Map<string, FunctionHandle>();

  constructor(private readonly module: ModuleBuilder, private readonly math: MathLibrary) {}

  dots(): Dots {
    return this.once('dots', () => {
      const f = this.module.function('dots', ['i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined);
      const [q, k, stride, width, out, count] = f.params;
      writeDots(f as unknown as FunctionBuilder, this.math, q, k, stride, width, out, count);
      return f.handle;
    });
  }

  exponentials(): Exponentials {
    return this.once('exponentials', () => {
      const exp = this.math.unary('exp');
      const f = this.module.function('exponentials', ['i32', 'i32', 'f32'], 'f32');
      const [x, count, sink] = f.params;
      f.result(writeExponentials(f as unknown as FunctionBuilder, (v) => call(exp, v), x, count, sink));
      return f.handle;
    });
  }

  mix(): Mix {
    return this.once('mix', () => {
      const f = this.module.function('mix', ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'f32'], undefined);
      const [p, count, v, stride, width, out, factor] = f.params;
      writeMix(f as unknown as FunctionBuilder, this.math, p, count, v, stride, width, out, factor);
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

function writeDots(f: FunctionBuilder, { features }: MathLibrary, q: I32, k: Local<'i32'>, stride: I32, width: I32, out: Local<'i32'>, count: I32): void {
  const wide = wholeOf(f, width, 4);
  const s = f.local('i32');
  const j = f.local('i32');
  // Four keys at a time; their four partial sums are turned into one vector of four sums.
  const group = (keys: number): void => {
    const rows = Array.from({ length: keys }, (_, n) => f.let(n === 0 ? k : add(k, mul(stride, i32(n)))));
    const sums = rows.map(() => f.let(f32x4(0)));
    f.countedLoop(j, i32(0), wide, 4, () => {
      const at = f.let(mul(j, i32(4)));
      const x = f.let(load('v128.load', add(q, at)));
      rows.forEach((row, n) => f.set(sums[n]!, madd(features, x, load('v128.load', add(row, at)), sums[n]!)));
    });
    const single = rows.map(() => f.local('f32'));
    if (keys === 4) {
      const [a, b, c, d] = [sums[0]!, sums[1]!, sums[2]!, sums[3]!];
      const left = f.let(op('f32x4.add', shuffle(a, b, [0, 4, 1, 5]), shuffle(a, b, [2, 6, 3, 7])));
      const right = f.let(op('f32x4.add', shuffle(c, d, [0, 4, 1, 5]), shuffle(c, d, [2, 6, 3, 7])));
      const total = f.let(op('f32x4.add', shuffle(left, right, [0, 1, 4, 5]), shuffle(left, right, [2, 3, 6, 7])));
      single.forEach((x, n) => f.set(x, lane('f32x4.extract_lane', n, total)));
    } else single.forEach((x, n) => f.set(x, horizontal(f, 'f32x4.add', sums[n]!)));
    f.countedLoop(j, wide, width, 1, () => {
      const at = f.let(mul(j, i32(4)));
      const x = f.let(load('f32.load', add(q, at)));
      rows.forEach((row, n) => f.set(single[n]!, op('f32.add', single[n]!, op('f32.mul', x, load('f32.load', add(row, at))))));
    });
    single.forEach((x, n) => f.store('f32.store', out, x, 4 * n));
    f.set(k, add(k, mul(stride, i32(keys))));
    f.set(out, add(out, i32(4 * keys)));
  };
  const whole = wholeOf(f, count, 4);
  f.countedLoop(s, i32(0), whole, 4, () => group(4));
  f.countedLoop(s, whole, count, 1, () => group(1));
}

function writeExponentials(f: FunctionBuilder, exp: (x: V128) => V128, x: I32, count: I32, sink: F32): F32 {
  const whole = wholeOf(f, count, 4);
  const s = f.local('i32');
  const at = (): I32 => add(x, mul(s, i32(4)));
  const most = f.let(op('f32x4.splat', sink));
  f.countedLoop(s, i32(0), whole, 4, () => f.set(most, op('f32x4.max', most, load('v128.load', at()))));
  const top = f.let(horizontal(f, 'f32x4.max', most));
  f.countedLoop(s, whole, count, 1, () => f.set(top, op('f32.max', top, load('f32.load', at()))));
  const tops = f.let(op('f32x4.splat', top));
  const sums = f.let(f32x4(0));
  f.countedLoop(s, i32(0), whole, 4, () => {
    const e = f.let(exp(op('f32x4.sub', load('v128.load', at()), tops)));
    f.store('v128.store', at(), e);
    f.set(sums, op('f32x4.add', sums, e));
  });
  const total = f.let(horizontal(f, 'f32x4.add', sums));
  f.countedLoop(s, whole, count, 1, () => {
    const e = f.let(lane('f32x4.extract_lane', 0, exp(op('f32x4.sub', op('f32x4.splat', load('f32.load', at())), tops))));
    f.store('f32.store', at(), e);
    f.set(total, op('f32.add', total, e));
  });
  return op('f32.add', total, lane('f32x4.extract_lane', 0, exp(op('f32x4.splat', op('f32.sub', sink, top)))));
}

function writeMix(f: FunctionBuilder, { features }: MathLibrary, p: I32, count: I32, v: I32, stride: I32, width: I32, out: I32, factor: F32): void {
  const j = f.let(i32(0));
  const s = f.local('i32');
  const row = f.local('i32');
  const factors = f.let(op('f32x4.splat', factor));
  // Columns in registers over all keys: eight vectors, then one, then single columns.
  const columns = (vectors: number): void => {
    const sums = Array.from({ length: vectors }, () => f.local('v128'));
    const limit = f.let(op('i32.sub', width, i32(4 * vectors - 1)));
    f.countedLoop(j, j, limit, 4 * vectors, () => {
      for (const sum of sums) f.set(sum, f32x4(0));
      f.set(row, add(v, mul(j, i32(4))));
      f.countedLoop(s, i32(0), count, 1, () => {
        const weight = f.let(load('v128.load32_splat', add(p, mul(s, i32(4)))));
        sums.forEach((sum, n) => f.set(sum, madd(features, weight, load('v128.load', row, 16 * n), sum)));
        f.set(row, add(row, stride));
      });
      sums.forEach((sum, n) => f.store('v128.store', add(out, mul(j, i32(4))), op('f32x4.mul', sum, factors), 16 * n));
    });
  };
  columns(8);
  columns(1);
  const sum = f.local('f32');
  f.countedLoop(j, j, width, 1, () => {
    f.set(sum, f32(0));
    f.set(row, add(v, mul(j, i32(4))));
    f.countedLoop(s, i32(0), count, 1, () => {
      f.set(sum, op('f32.add', sum, op('f32.mul', load('f32.load', add(p, mul(s, i32(4)))), load('f32.load', row))));
      f.set(row, add(row, stride));
    });
    f.store('f32.store', add(out, mul(j, i32(4))), op('f32.mul', sum, factor));
  });
}

function writeLargest(f: FunctionBuilder, x: I32, count: I32): I32 {
  const whole = wholeOf(f, count, 4);
  const s = f.local('i32');
  const best = f.let(f32x4(-Infinity));
  const place = f.let(i32x4(0));
  const numbers = f.let(i32x4(0, 1, 2, 3));
  f.countedLoop(s, i32(0), whole, 4, () => {
    const values = f.let(load('v128.load', add(x, mul(s, i32(4)))));
    const better = f.let(op('f32x4.gt', values, best));
    f.set(best, op('v128.bitselect', values, best, better));
    f.set(place, op('v128.bitselect', numbers, place, better));
    f.set(numbers, op('i32x4.add', numbers, i32x4(4)));
  });
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
  });
  return index;
}
