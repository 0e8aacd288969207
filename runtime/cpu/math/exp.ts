import { polynomial, madd } from '../simd.ts';
import { f32x4, i32x4, op, i32, type V128 } from '../wasm/value.ts';
import type { MathLibrary, VectorFunction1 } from './library.ts';

/** Minimax of (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2; e^r then has a relative error of 3e-9 before rounding. */
const remainder = [0.5, 0.166665181517601, 0.04166620597243309, 0.008368908427655697, 0.0013950521824881434];

/** e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln(2) / 2. -Infinity gives 0, overflow Infinity, underflow subnormals. */
export function writeExp(f: VectorFunction1, { features }: MathLibrary): void {
  const [argument] = f.params;
  const x = f.let(op('f32x4.min', op('f32x4.max', argument, f32x4(-104)), f32x4(89)));
  const n = f.let(op('f32x4.nearest', op('f32x4.mul', x, f32x4(Math.LOG2E))));
  // ln 2 in two parts; the first has 9 significant bits, so its product with n is exact.
  const high = op('f32x4.sub', x, op('f32x4.mul', n, f32x4(0.693359375)));
  const r = f.let(op('f32x4.add', high, op('f32x4.mul', n, f32x4(2.12194440e-4))));
  const value = madd(features, op('f32x4.mul', r, r), polynomial(features, r, remainder), op('f32x4.add', r, f32x4(1)));
  // Two factors, because 2^n alone may be out of f32's range where the result is not.
  const exponent = f.let(op('i32x4.trunc_sat_f32x4_s', n));
  const half = f.let(op('i32x4.shr_s', exponent, i32(1)));
  f.result(op('f32x4.mul', op('f32x4.mul', value, powerOfTwo(half)), powerOfTwo(op('i32x4.sub', exponent, half))));
}

/** 2^n as a float, for -126 <= n <= 127. */
function powerOfTwo(n: V128): V128 {
  return op('i32x4.shl', op('i32x4.add', n, i32x4(127)), i32(23));
}
