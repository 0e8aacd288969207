import { polynomial } from '../simd.ts';
import { f32x4, i32, i32x4, op } from '../wasm/value.ts';
import type { MathLibrary, VectorFunction1 } from './library.ts';

/** ln x = e ln 2 + 2 atanh(s), x = m 2^e with m in [sqrt(1/2), sqrt 2), s = (m - 1) / (m + 1). 0 gives -Infinity, negative numbers NaN. */
export function writeLog(f: VectorFunction1, { features }: MathLibrary): void {
  const [x] = f.params;
  // Subnormals are brought into the normal range first.
  const small = f.let(op('f32x4.lt', x, f32x4(1.17549435e-38)));
  const scaled = f.let(op('v128.bitselect', op('f32x4.mul', x, f32x4(2 ** 23)), x, small));
  const exponent = f.let(op('i32x4.shr_s', op('i32x4.sub', scaled, i32x4(0x3f3504f3)), i32(23)));
  const m = f.let(op('i32x4.sub', scaled, op('i32x4.shl', exponent, i32(23))));
  const s = f.let(op('f32x4.div', op('f32x4.sub', m, f32x4(1)), op('f32x4.add', m, f32x4(1))));
  const z = f.let(op('f32x4.mul', s, s));
  const e = f.let(op('f32x4.convert_i32x4_s', op('i32x4.sub', exponent, op('v128.and', small, i32x4(23)))));
  const twice = f.let(op('f32x4.add', s, s));
  const tail = op('f32x4.mul', op('f32x4.mul', twice, z), polynomial(features, z, [1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11]));
  const low = op('f32x4.add', twice, op('f32x4.add', tail, op('f32x4.mul', e, f32x4(-2.12194440e-4))));
  const finite = f.let(op('f32x4.add', op('f32x4.mul', e, f32x4(0.693359375)), low));
  // Infinity and NaN are their own logarithms; what is below 0 has none.
  const ordinary = op('v128.and', op('f32x4.gt', x, f32x4(0)), op('f32x4.lt', x, f32x4(Infinity)));
  const special = op('v128.bitselect', f32x4(-Infinity), op('v128.bitselect', f32x4(NaN), x, op('f32x4.lt', x, f32x4(0))), op('f32x4.eq', x, f32x4(0)));
  f.result(op('v128.bitselect', finite, special, ordinary));
}
