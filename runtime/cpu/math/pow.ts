import { f32x4, f64x2, i32, i64x2, op, shuffle, type V128 } from '../wasm/value.ts';
import type { VectorFunction2 } from './library.ts';

/** Adding it to a small double puts that double's integer part, in two's complement, into the low bits. */
const magic = 6755399441055744;
const magicBits = 0x4338000000000000n;
/** Bits of sqrt(1/2) as a double. */
const rootHalf = 0x3fe6a09e667f3bcdn;

/** x^y = 2^(y log2 x) for x >= 0, in f64, since an error of y log2 x is magnified by the exponential. 0^0 = 1; negative bases give NaN. */
export function writePow(f: VectorFunction2): void {
  const [x, y] = f.params;
  const upper = (v: V128): V128 => shuffle(v, v, [2, 3, 2, 3]);
  const half = (base: V128, exponent: V128): V128 => {
    const bits = f.let(op('f64x2.promote_low_f32x4', base));
    const e = f.let(op('i64x2.shr_s', op('i64x2.sub', bits, i64x2(rootHalf)), i32(52)));
    const m = f.let(op('i64x2.sub', bits, op('i64x2.shl', e, i32(52))));
    const s = f.let(op('f64x2.div', op('f64x2.sub', m, f64x2(1)), op('f64x2.add', m, f64x2(1))));
    const series = horner(f.let(op('f64x2.mul', s, s)), [1, 1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11, 1 / 13, 1 / 15]);
    const whole = op('f64x2.sub', op('i64x2.add', e, i64x2(magicBits)), f64x2(magic));
    const log2 = op('f64x2.add', whole, op('f64x2.mul', op('f64x2.mul', s, f64x2(2 / Math.LN2)), series));
    const product = op('f64x2.mul', op('f64x2.promote_low_f32x4', exponent), log2);
    const p = f.let(op('f64x2.max', op('f64x2.min', product, f64x2(200)), f64x2(-200)));
    const n = f.let(op('f64x2.nearest', p));
    const r = f.let(op('f64x2.mul', op('f64x2.sub', p, n), f64x2(Math.LN2)));
    const factorial = [1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880];
    const fraction = horner(r, factorial.map((v) => 1 / v));
    const scale = op('i64x2.shl', op('f64x2.add', n, f64x2(magic)), i32(52));
    return f.let(op('f32x4.demote_f64x2_zero', op('i64x2.add', fraction, scale)));
  };
  const value = f.let(shuffle(half(x, y), half(upper(x), upper(y)), [0, 1, 4, 5]));
  const ofZero = op('v128.bitselect', f32x4(0), op('v128.bitselect', f32x4(1), f32x4(Infinity), op('f32x4.eq', y, f32x4(0))), op('f32x4.gt', y, f32x4(0)));
  const known = op('v128.bitselect', ofZero, value, op('f32x4.eq', x, f32x4(0)));
  // Negative or NaN: the square root of it is NaN.
  f.result(op('v128.bitselect', known, op('f32x4.sqrt', x), op('f32x4.ge', x, f32x4(0))));
}

function horner(x: V128, coefficients: readonly number[]): V128 {
  let value: V128 | undefined;
  for (const c of [...coefficients].reverse()) value = value ? op('f64x2.add', op('f64x2.mul', value, x), f64x2(c)) : f64x2(c);
  return value ?? f64x2(0);
}
