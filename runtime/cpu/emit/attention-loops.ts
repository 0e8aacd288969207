/**
 * The inner loops of attention. One to four query rows share each pass over keys and values; a row's softmax runs along with the
 * blocks of keys (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018): each block scales what came before it.
 */
import { horizontal, madd, type Features } from '../simd.ts';
import type { FunctionBuilder, Local } from '../wasm/function.ts';
import { add, choose, f32, f32x4, i32, lane, load, mul, op, shuffle, sub, type F32, type I32, type V128 } from '../wasm/value.ts';

/** Keys of a block: a row of scores has room for as many. */
export const blockKeys = 64;
export const scoreStride = 4 * blockKeys;

/** What is known of a query row: keys from..to that it sees, its largest score so far, the sum of its exponentials, the factor for what came before. */
export const record = { from: 0, to: 4, largest: 8, sum: 12, factor: 16, token: 20, head: 24, bytes: 32 } as const;

/** Query rows that a loop serves at once. */
export type Rows = 1 | 2 | 3 | 4;

type Exp = (x: V128) => V128;
const wholeOf = (f: FunctionBuilder, count: I32, step: number): Local<'i32'> => f.let(op('i32.and', count, i32(-step)));

/** Lanes are the sums of a, b, c and d. */
function fourSums(f: FunctionBuilder, a: V128, b: V128, c: V128, d: V128): V128 {
  const left = f.let(op('f32x4.add', shuffle(a, b, [0, 4, 1, 5]), shuffle(a, b, [2, 6, 3, 7])));
  const right = f.let(op('f32x4.add', shuffle(c, d, [0, 4, 1, 5]), shuffle(c, d, [2, 6, 3, 7])));
  return op('f32x4.add', shuffle(left, right, [0, 1, 4, 5]), shuffle(left, right, [2, 3, 6, 7]));
}

/** out[r][s] = q[r] . k[s], s < count. Rows of q lie `queryStride` bytes apart, those of out `scoreStride`, those of k `stride`. */
export function writeDots(
  f: FunctionBuilder, features: Features, rows: Rows, queryStride: number,
  { q, k, stride, width, out, count }: { q: I32; k: Local<'i32'>; stride: I32; width: I32; out: Local<'i32'>; count: I32 },
): void {
  const wide = wholeOf(f, width, 4);
  const s = f.local('i32');
  const j = f.local('i32');
  const query = f.local('i32');
  const group = (keys: number): void => {
    const starts = Array.from({ length: keys }, (_, n) => f.let(n === 0 ? k : add(k, mul(stride, i32(n)))));
    const pointers = starts.map((start) => f.let<'i32'>(start));
    const sums = Array.from({ length: rows }, () => starts.map(() => f.let(f32x4(0))));
    f.set(query, q);
    f.countedLoop(j, i32(0), wide, 4, () => {
      const keyParts = pointers.map((p) => f.let(load('v128.load', p)));
      sums.forEach((row, r) => {
        const x = f.let(load('v128.load', query, r * queryStride));
        row.forEach((sum, n) => f.set(sum, madd(features, x, keyParts[n]!, sum)));
      });
      for (const p of pointers) f.set(p, add(p, i32(16)));
      f.set(query, add(query, i32(16)));
    });
    const flat = sums.flat();
    const single = flat.map(() => f.local('f32'));
    for (let n = 0; n < flat.length; n += 4) {
      const [a, b, c, d] = flat.slice(n, n + 4);
      if (a && b && c && d) {
        const total = f.let(fourSums(f, a, b, c, d));
        for (let l = 0; l < 4; l++) f.set(single[n + l]!, lane('f32x4.extract_lane', l, total));
      } else flat.slice(n).forEach((sum, l) => f.set(single[n + l]!, horizontal(f, 'f32x4.add', sum)));
    }
    f.countedLoop(j, wide, width, 1, () => {
      const keyParts = pointers.map((p) => f.let(load('f32.load', p)));
      sums.forEach((row, r) => {
        const x = f.let(load('f32.load', query, r * queryStride));
        row.forEach((_, n) => {
          const sum = single[r * keys + n]!;
          f.set(sum, op('f32.add', sum, op('f32.mul', x, keyParts[n]!)));
        });
      });
      for (const p of pointers) f.set(p, add(p, i32(4)));
      f.set(query, add(query, i32(4)));
    });
    sums.forEach((row, r) => row.forEach((_, n) => f.store('f32.store', out, single[r * keys + n]!, r * scoreStride + 4 * n)));
    f.set(k, add(k, mul(stride, i32(keys))));
    f.set(out, add(out, i32(4 * keys)));
  };
  // As many sums as registers hold beside what they are made of.
  const keys = rows <= 2 ? 4 : 2;
  const whole = wholeOf(f, count, keys);
  f.countedLoop(s, i32(0), whole, keys, () => group(keys));
  f.countedLoop(s, whole, count, 1, () => group(1));
}

/** Where nothing has been seen, the largest is -infinity: then any shift does. */
const shiftOf = (largest: F32): F32 => choose(op('f32.eq', largest, f32(-Infinity)), f32(0), largest);
const expOne = (exp: Exp, x: F32): F32 => lane('f32x4.extract_lane', 0, exp(op('f32x4.splat', x)));

/** x[0 .. count) becomes e^(x - largest so far), and the row's record goes on by it. */
export function writeSoften(f: FunctionBuilder, exp: Exp, x: I32, count: I32, row: I32): void {
  const whole = wholeOf(f, count, 4);
  const s = f.local('i32');
  const at = (): I32 => add(x, mul(s, i32(4)));
  const before = f.let(load('f32.load', row, record.largest));
  const most = f.let(op('f32x4.splat', before));
  f.countedLoop(s, i32(0), whole, 4, () => f.set(most, op('f32x4.max', most, load('v128.load', at()))));
  const top = f.let(horizontal(f, 'f32x4.max', most));
  f.countedLoop(s, whole, count, 1, () => f.set(top, op('f32.max', top, load('f32.load', at()))));
  const shift = f.let(shiftOf(top));
  const shifts = f.let(op('f32x4.splat', shift));
  const sums = f.let(f32x4(0));
  f.countedLoop(s, i32(0), whole, 4, () => {
    const e = f.let(exp(op('f32x4.sub', load('v128.load', at()), shifts)));
    f.store('v128.store', at(), e);
    f.set(sums, op('f32x4.add', sums, e));
  });
  const total = f.let(horizontal(f, 'f32x4.add', sums));
  f.countedLoop(s, whole, count, 1, () => {
    const e = f.let(expOne(exp, op('f32.sub', load('f32.load', at()), shift)));
    f.store('f32.store', at(), e);
    f.set(total, op('f32.add', total, e));
  });
  const factor = f.let(expOne(exp, op('f32.sub', before, shift)));
  f.store('f32.store', row, top, record.largest);
  f.store('f32.store', row, factor, record.factor);
  f.store('f32.store', row, op('f32.add', op('f32.mul', load('f32.load', row, record.sum), factor), total), record.sum);
}

/**
 * out[r][j] = factor[r] out[r][j] + sum over s of p[r][s] v[s][j], j < width rounded up to 8: what is in front of and after a row of v
 * is read as well, and is nobody's result. Rows of out lie `outStride` bytes apart, those of p `scoreStride`, the records of `row` one after another.
 */
export function writeMix(
  f: FunctionBuilder, features: Features, rows: Rows, outStride: number,
  { row, p, count, v, stride, width, out }: { row: I32; p: I32; count: I32; v: I32; stride: I32; width: I32; out: I32 },
): void {
  const j = f.let(i32(0));
  const s = f.local('i32');
  const from = f.local('i32');
  const at = f.local('i32');
  const weights = f.local('i32');
  const columns = (vectors: number, limit: I32): void => {
    const sums = Array.from({ length: rows }, () => Array.from({ length: vectors }, () => f.local('v128')));
    f.countedLoop(j, j, limit, 4 * vectors, () => {
      f.set(at, add(out, mul(j, i32(4))));
      sums.forEach((row_, r) => {
        const factor = f.let(op('f32x4.splat', load('f32.load', row, r * record.bytes + record.factor)));
        row_.forEach((sum, n) => f.set(sum, op('f32x4.mul', load('v128.load', at, r * outStride + 16 * n), factor)));
      });
      f.set(from, add(v, mul(j, i32(4))));
      f.set(weights, p);
      f.countedLoop(s, i32(0), count, 1, () => {
        const parts = Array.from({ length: vectors }, (_, n) => f.let(load('v128.load', from, 16 * n)));
        sums.forEach((row_, r) => {
          const weight = f.let(load('v128.load32_splat', weights, r * scoreStride));
          row_.forEach((sum, n) => f.set(sum, madd(features, weight, parts[n]!, sum)));
        });
        f.set(weights, add(weights, i32(4)));
        f.set(from, add(from, stride));
      });
      sums.forEach((row_, r) => row_.forEach((sum, n) => f.store('v128.store', at, sum, r * outStride + 16 * n)));
    });
  };
  const most = { 1: 8, 2: 4, 3: 2, 4: 2 }[rows];
  if (most > 2) columns(most, f.let(sub(width, i32(4 * most - 1))));
  columns(2, width);
}

/** Row `a` goes on by what row `b`, of the same query, has seen of other keys. `vectors`: fours of elements in a row. */
export function writeMerge(f: FunctionBuilder, features: Features, exp: Exp, a: I32, mixedA: I32, b: I32, mixedB: I32, vectors: I32): void {
  const largestA = f.let(load('f32.load', a, record.largest));
  const largestB = f.let(load('f32.load', b, record.largest));
  const top = f.let(op('f32.max', largestA, largestB));
  const shift = f.let(shiftOf(top));
  const factorA = f.let(expOne(exp, op('f32.sub', largestA, shift)));
  const factorB = f.let(expOne(exp, op('f32.sub', largestB, shift)));
  f.store('f32.store', a, top, record.largest);
  const sum = op('f32.add', op('f32.mul', load('f32.load', a, record.sum), factorA), op('f32.mul', load('f32.load', b, record.sum), factorB));
  f.store('f32.store', a, sum, record.sum);
  const [timesA, timesB] = [f.let(op('f32x4.splat', factorA)), f.let(op('f32x4.splat', factorB))];
  const n = f.local('i32');
  f.countedLoop(n, i32(0), vectors, 1, () => {
    const at = f.let(add(mixedA, mul(n, i32(16))));
    const other = load('v128.load', add(mixedB, mul(n, i32(16))));
    f.store('v128.store', at, madd(features, timesB, other, op('f32x4.mul', load('v128.load', at), timesA)));
  });
}
