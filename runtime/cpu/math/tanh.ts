import { polynomial } from '../simd.ts';
import { call } from '../wasm/function.ts';
import { f32x4, op } from '../wasm/value.ts';
import type { MathLibrary, VectorFunction1 } from './library.ts';

/** Minimax of (tanh(x) / x - 1) / x^2 in x^2, for |x| <= 0.64. */
const odd = [-0.33333271741867065, 0.1333114504814148, -0.05371346324682236, 0.020549599081277847, -0.005601547192782164];

/** x + x^3 P(x^2) near 0, where the other form cancels; 1 - 2 / (e^2x + 1) beyond. */
export function writeTanh(f: VectorFunction1, library: MathLibrary): void {
  const [x] = f.params;
  const size = f.let(op('f32x4.abs', x));
  const exponential = call(library.unary('exp'), op('f32x4.add', size, size));
  const large = f.let(op('f32x4.sub', f32x4(1), op('f32x4.div', f32x4(2), op('f32x4.add', exponential, f32x4(1)))));
  const signed = op('v128.or', large, op('v128.and', x, f32x4(-0)));
  const z = f.let(op('f32x4.mul', x, x));
  const small = op('f32x4.add', x, op('f32x4.mul', op('f32x4.mul', x, z), polynomial(library.features, z, odd)));
  f.result(op('v128.bitselect', small, signed, op('f32x4.lt', size, f32x4(0.625))));
}
