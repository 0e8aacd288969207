/** Small vector idioms shared by the emitters: four 32-bit floats in a v128. */
import type { FunctionBuilder } from './wasm/function.ts';
import { f32x4, lane, op, shuffle, type F32, type V128 } from './wasm/value.ts';

/** What the machine running the module has beyond plain SIMD. */
export interface Features {
  readonly relaxedSimd: boolean;
}

/** a * b + c, fused where the machine can. */
export function madd(features: Features, a: V128, b: V128, c: V128): V128 {
  return features.relaxedSimd ? op('f32x4.relaxed_madd', a, b, c) : op('f32x4.add', op('f32x4.mul', a, b), c);
}

/** c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule. */
export function polynomial(features: Features, x: V128, coefficients: readonly number[]): V128 {
  let value: V128 | undefined;
  for (const c of [...coefficients].reverse()) value = value ? madd(features, value, x, f32x4(c)) : f32x4(c);
  return value ?? f32x4(0);
}

/** Combines the four lanes into one float. */
export function horizontal(f: FunctionBuilder, combine: 'f32x4.add' | 'f32x4.max' | 'f32x4.min', x: V128): F32 {
  const four = f.let(x);
  const two = f.let(op(combine, four, shuffle(four, four, [2, 3, 2, 3])));
  return lane('f32x4.extract_lane', 0, op(combine, two, shuffle(two, two, [1, 1, 1, 1])));
}
