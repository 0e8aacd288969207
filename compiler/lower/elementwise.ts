/** Elementwise functions that custom blocks and activations may call, as scalar expressions of their arguments. */
import { add, binary, constant, div, mul, select, sub, unary } from '../graph/expressions.ts';
import { builtinActivation, softplus } from './builtin-activation.ts';
import type { BuiltinActivation } from './builtin-activation.ts';
import type { BinaryOperator } from '../expression/index.ts';
import type { Scalar, UnaryFunction } from '../kernels/scalar.ts';

export interface ElementwiseFunction {
  readonly signature: string;
  readonly arity: number;
  readonly build: (...values: Scalar[]) => Scalar;
}

const of = (signature: string, arity: number, build: (...values: Scalar[]) => Scalar): ElementwiseFunction => ({ signature, arity, build });

const direct: readonly UnaryFunction[] = ['abs', 'exp', 'sqrt', 'rsqrt', 'reciprocal', 'tanh', 'sigmoid', 'erf', 'sin', 'cos', 'floor', 'ceil', 'round'];
const activations: readonly BuiltinActivation[] = ['identity', 'relu', 'relu2', 'gelu', 'gelu_tanh', 'gelu_quick', 'silu', 'mish'];
const zero = constant(0);

/** By name. Arguments broadcast together. */
export const elementwiseFunctions: ReadonlyMap<string, ElementwiseFunction> = new Map<string, ElementwiseFunction>([
  ...direct.map((fn): [string, ElementwiseFunction] => [fn, of(`${fn}(x)`, 1, (x = zero) => unary(fn, x))]),
  ...activations.map((name): [string, ElementwiseFunction] => [name, of(`${name}(x)`, 1, (x = zero) => builtinActivation(name, x))]),
  ['ln', of('ln(x)', 1, (x = zero) => unary('log', x))],
  ['log2', of('log2(x)', 1, (x = zero) => mul(unary('log', x), constant(Math.LOG2E)))],
  ['expm1', of('expm1(x)', 1, (x = zero) => sub(unary('exp', x), constant(1)))],
  ['log1p', of('log1p(x)', 1, (x = zero) => unary('log', add(constant(1), x)))],
  ['softplus', of('softplus(x)', 1, (x = zero) => softplus(x))],
  ['min', of('min(x, y)', 2, (x = zero, y = zero) => binary('min', x, y))],
  ['max', of('max(x, y)', 2, (x = zero, y = zero) => binary('max', x, y))],
  ['pow', of('pow(x, y)', 2, (x = zero, y = zero) => power(x, y))],
  ['clamp', of('clamp(x, low, high)', 3, (x = zero, low = zero, high = zero) => binary('min', binary('max', x, low), high))],
]);

/** x to the power y: products for small whole constants, which any base has; else x must not be negative. */
function power(x: Scalar, y: Scalar): Scalar {
  if (y.op === 'const' && Number.isInteger(y.value) && y.value >= 1 && y.value <= 4) {
    let result = x;
    for (let n = 1; n < y.value; n++) result = mul(result, x);
    return result;
  }
  if (y.op === 'const' && y.value === 0.5) return unary('sqrt', x);
  return binary('pow', x, y);
}

/** An infix operator on elements; truth is 1 and 0. `undefined` for `??`, which tensors do not have. */
export function elementwiseOperator(operator: BinaryOperator, a: Scalar, b: Scalar): Scalar | undefined {
  switch (operator) {
    case '+': return add(a, b);
    case '-': return sub(a, b);
    case '*': return mul(a, b);
    case '/': return div(a, b);
    case '//': return unary('floor', div(a, b));
    case '%': return sub(a, mul(b, unary('floor', div(a, b))));
    case '**': return power(a, b);
    case '<': return binary('lt', a, b);
    case '<=': return binary('le', a, b);
    case '>': return binary('gt', a, b);
    case '>=': return binary('ge', a, b);
    case '==': return binary('eq', a, b);
    case '!=': return binary('ne', a, b);
    case '&&': return select(a, binary('ne', b, zero), zero);
    case '||': return select(a, constant(1), binary('ne', b, zero));
    case '??': return undefined;
    default: return operator satisfies never;
  }
}
