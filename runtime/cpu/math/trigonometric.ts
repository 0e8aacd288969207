import { polynomial, type Features } from '../simd.ts';
import { f32x4, f64x2, i32, i32x4, op, shuffle, type V128 } from '../wasm/value.ts';
import type { VectorFunction2 } from './library.ts';

/**
 * Sine or cosine of a * b. Rotary angles are positions times frequencies and reach 1e5 and more, where the product alone, rounded to
 * f32, would be wrong by 4e-3: product and reduction by pi/2 are done in f64, the polynomials on |r| <= pi/4 in f32.
 */
export function writeTrigonometric(f: VectorFunction2, features: Features, kind: 'sin' | 'cos'): void {
  const [a, b] = f.params;
  const upper = (x: V128): V128 => shuffle(x, x, [2, 3, 2, 3]);
  const reduce = (x: V128, y: V128): { readonly r: V128; readonly quadrant: V128 } => {
    const product = f.let(op('f64x2.mul', op('f64x2.promote_low_f32x4', x), op('f64x2.promote_low_f32x4', y)));
    const n = f.let(op('f64x2.nearest', op('f64x2.mul', product, f64x2(2 / Math.PI))));
    // pi/2 in two parts; the first has 33 bits, so its product with n up to 2^20 is exact.
    const high = op('f64x2.sub', product, op('f64x2.mul', n, f64x2(1.57079632673412561417)));
    const r = op('f64x2.sub', high, op('f64x2.mul', n, f64x2(6.07710050650619224932e-11)));
    return { r: f.let(op('f32x4.demote_f64x2_zero', r)), quadrant: f.let(op('i32x4.trunc_sat_f64x2_s_zero', n)) };
  };
  const low = reduce(a, b);
  const high = reduce(upper(a), upper(b));
  const reduced = shuffle(low.r, high.r, [0, 1, 4, 5]);
  // Beyond about 1e15 nothing of the angle is left; the bound keeps the result a number.
  const r = f.let(op('f32x4.max', op('f32x4.min', reduced, f32x4(0.8)), f32x4(-0.8)));
  const turns = shuffle(low.quadrant, high.quadrant, [0, 1, 4, 5]);
  const quadrant = f.let(kind === 'sin' ? turns : op('i32x4.add', turns, i32x4(1)));
  const z = f.let(op('f32x4.mul', r, r));
  const sine = op('f32x4.add', r, op('f32x4.mul', op('f32x4.mul', r, z), polynomial(features, z, [-1 / 6, 1 / 120, -1 / 5040, 1 / 362880])));
  const cosine = polynomial(features, z, [1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800]);
  const odd = op('i32x4.eq', op('v128.and', quadrant, i32x4(1)), i32x4(1));
  const value = op('v128.bitselect', cosine, sine, odd);
  const sign = op('i32x4.shl', op('v128.and', quadrant, i32x4(2)), i32(30));
  f.result(op('v128.xor', value, sign));
}
