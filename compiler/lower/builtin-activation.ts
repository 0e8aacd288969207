/** Activations by name, as scalar expressions. */
import { add, binary, constant, mul, unary } from '../graph/expressions.ts';
import type { Activation } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

export type BuiltinActivation = Extract<Activation, { kind: 'builtin' }>['name'];

/** The activation of `x`. `alpha` is the slope inside a sigmoid-weighted activation: x * sigmoid(alpha x). */
export function builtinActivation(name: BuiltinActivation, x: Scalar, alpha?: number): Scalar {
  switch (name) {
    case 'identity': return x;
    case 'relu': return binary('max', x, constant(0));
    case 'relu2': { const r = binary('max', x, constant(0)); return mul(r, r); }
    // 0.5 x (1 + erf(x / sqrt(2)))
    case 'gelu': return mul(mul(constant(0.5), x), add(constant(1), unary('erf', mul(x, constant(Math.SQRT1_2)))));
    // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), Hendrycks and Gimpel 2016
    case 'gelu_tanh': {
      const cubic = add(x, mul(constant(0.044715), mul(x, mul(x, x))));
      return mul(mul(constant(0.5), x), add(constant(1), unary('tanh', mul(constant(Math.sqrt(2 / Math.PI)), cubic))));
    }
    case 'gelu_quick': return mul(x, unary('sigmoid', mul(constant(1.702), x)));
    case 'silu': return mul(x, unary('sigmoid', alpha === undefined || alpha === 1 ? x : mul(constant(alpha), x)));
    case 'sigmoid': return unary('sigmoid', x);
    case 'tanh': return unary('tanh', x);
    case 'softplus': return softplus(x);
    case 'mish': return mul(x, unary('tanh', softplus(x)));
    default: return name satisfies never;
  }
}

/** ln(1 + e^x) without overflow: max(x, 0) + ln(1 + e^-|x|) */
export function softplus(x: Scalar): Scalar {
  return add(binary('max', x, constant(0)), unary('log', add(constant(1), unary('exp', unary('neg', unary('abs', x))))));
}

/** min(max(x, -limit), limit) */
export function clampTo(x: Scalar, limit: number): Scalar {
  return binary('min', binary('max', x, constant(-limit)), constant(limit));
}
