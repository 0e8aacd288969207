import { polynomial } from '../simd.ts';
import { call } from '../wasm/function.ts';
import { f32x4, op } from '../wasm/value.ts';
import type { MathLibrary, VectorFunction1 } from './library.ts';

/** Minimax of erf(x) / x in x^2, for |x| <= 1. */
const inner = [
  1.1283791065216064, -0.3761262595653534, 0.11283600330352783, -0.026854444295167923, 0.005189535208046436, -0.0008020841632969677,
  7.889120024628937e-5,
];
/** Least error of e^P(x) against erfc(x), for 1 <= x <= 4. */
const outer = [
  0.0001880402269307524, -1.1295784711837769, -0.6332198977470398, -0.10841857641935349, 0.025208257138729095, -0.004204561933875084,
  0.00044133636401966214, -2.1686850232072175e-5,
];

/** x P(x^2) up to 1, then 1 - e^P(x); erfc(4) = 1.5e-8 is below f32's resolution of 1. Absolute error 1e-7. */
export function writeErf(f: VectorFunction1, library: MathLibrary): void {
  const [x] = f.params;
  const size = f.let(op('f32x4.abs', x));
  const bounded = f.let(op('f32x4.min', size, f32x4(4)));
  const complement = call(library.unary('exp'), polynomial(library.features, bounded, outer));
  const large = f.let(op('f32x4.sub', f32x4(1), complement));
  const signed = op('v128.or', large, op('v128.and', x, f32x4(-0)));
  const z = f.let(op('f32x4.mul', x, x));
  const small = op('f32x4.mul', x, polynomial(library.features, z, inner));
  f.result(op('v128.bitselect', small, signed, op('f32x4.lt', size, f32x4(1))));
}
