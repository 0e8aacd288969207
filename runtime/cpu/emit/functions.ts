/** The scalar functions of the expression IR as instructions, for one element and for four lanes. */
import type { BinaryFunction, Scalar, UnaryFunction } from '../../../compiler/kernels/scalar.ts';
import { call } from '../wasm/function.ts';
import { f32, f32x4, i32x4, lane, op, type F32, type I32, type V128 } from '../wasm/value.ts';
import type { Emitter } from './emitter.ts';

export const laneNumbers = (stride: number): V128 => i32x4(0, stride, 2 * stride, 3 * stride);

/** A function of the library, for one element. */
const first = (x: V128): F32 => lane('f32x4.extract_lane', 0, x);
const splat = (x: F32): V128 => op('f32x4.splat', x);

export function unaryScalar(e: Emitter, fn: UnaryFunction, argument: Scalar): F32 {
  switch (fn) {
    case 'neg': return op('f32.neg', e.scalar(argument));
    case 'abs': return op('f32.abs', e.scalar(argument));
    case 'sqrt': return op('f32.sqrt', e.scalar(argument));
    case 'rsqrt': return op('f32.div', f32(1), op('f32.sqrt', e.scalar(argument)));
    case 'reciprocal': return op('f32.div', f32(1), e.scalar(argument));
    case 'floor': return op('f32.floor', e.scalar(argument));
    case 'ceil': return op('f32.ceil', e.scalar(argument));
    case 'round': return op('f32.nearest', e.scalar(argument));
    case 'exp': case 'log': case 'tanh': case 'sigmoid': case 'erf': return first(call(e.math.unary(fn), splat(e.scalar(argument))));
    case 'sin': case 'cos': {
      const [a, b] = factors(argument);
      return first(call(e.math.binary(fn === 'sin' ? 'sinOfProduct' : 'cosOfProduct'), splat(e.scalar(a)), splat(e.scalar(b))));
    }
    default: return fn satisfies never;
  }
}

export function unaryVector(e: Emitter, fn: UnaryFunction, argument: Scalar): V128 {
  switch (fn) {
    case 'neg': return op('f32x4.neg', e.vector(argument));
    case 'abs': return op('f32x4.abs', e.vector(argument));
    case 'sqrt': return op('f32x4.sqrt', e.vector(argument));
    case 'rsqrt': return op('f32x4.div', f32x4(1), op('f32x4.sqrt', e.vector(argument)));
    case 'reciprocal': return op('f32x4.div', f32x4(1), e.vector(argument));
    case 'floor': return op('f32x4.floor', e.vector(argument));
    case 'ceil': return op('f32x4.ceil', e.vector(argument));
    case 'round': return op('f32x4.nearest', e.vector(argument));
    case 'exp': case 'log': case 'tanh': case 'sigmoid': case 'erf': return call(e.math.unary(fn), e.vector(argument));
    case 'sin': case 'cos': {
      const [a, b] = factors(argument);
      return call(e.math.binary(fn === 'sin' ? 'sinOfProduct' : 'cosOfProduct'), e.vector(a), e.vector(b));
    }
    default: return fn satisfies never;
  }
}

/** An angle as a product, so that it need not be rounded to f32. */
function factors(angle: Scalar): readonly [Scalar, Scalar] {
  return angle.op === 'binary' && angle.fn === 'mul' ? [angle.a, angle.b] : [angle, { op: 'const', value: 1 }];
}

const arithmetic = { add: 'add', sub: 'sub', mul: 'mul', div: 'div', min: 'min', max: 'max' } as const;
const comparisons = { lt: 'lt', le: 'le', gt: 'gt', ge: 'ge', eq: 'eq', ne: 'ne' } as const;
type Comparison = keyof typeof comparisons;
const isComparison = (fn: BinaryFunction): fn is Comparison => fn in comparisons;

export function binaryScalar(e: Emitter, fn: BinaryFunction, a: Scalar, b: Scalar): F32 {
  if (isComparison(fn)) return op('f32.convert_i32_s', op(`f32.${comparisons[fn]}`, e.scalar(a), e.scalar(b)));
  if (fn === 'pow') return first(call(e.math.binary('pow'), splat(e.scalar(a)), splat(e.scalar(b))));
  return op(`f32.${arithmetic[fn]}`, e.scalar(a), e.scalar(b));
}

export function binaryVector(e: Emitter, fn: BinaryFunction, a: Scalar, b: Scalar): V128 {
  if (isComparison(fn)) return op('v128.and', op(`f32x4.${comparisons[fn]}`, e.vector(a), e.vector(b)), f32x4(1));
  if (fn === 'pow') return call(e.math.binary('pow'), e.vector(a), e.vector(b));
  return op(`f32x4.${arithmetic[fn]}`, e.vector(a), e.vector(b));
}

/** The condition of a select: an i32 for one element, a lane mask for four. */
export function maskOf(e: Emitter, condition: Scalar, mode: 'scalar'): I32;
export function maskOf(e: Emitter, condition: Scalar, mode: 'vector'): V128;
export function maskOf(e: Emitter, condition: Scalar, mode: 'scalar' | 'vector'): I32 | V128 {
  if (condition.op === 'binary' && isComparison(condition.fn)) {
    const { fn, a, b } = condition;
    return mode === 'scalar' ? op(`f32.${comparisons[fn]}`, e.scalar(a), e.scalar(b)) : op(`f32x4.${comparisons[fn]}`, e.vector(a), e.vector(b));
  }
  return mode === 'scalar' ? op('f32.ne', e.scalar(condition), f32(0)) : op('f32x4.ne', e.vector(condition), f32x4(0));
}

/** Joins two partial results of a reduction. */
export function combineLanes(fn: 'sum' | 'max' | 'min', a: V128, b: V128): V128 {
  return op(fn === 'sum' ? 'f32x4.add' : fn === 'max' ? 'f32x4.max' : 'f32x4.min', a, b);
}
export function combineScalars(fn: 'sum' | 'max' | 'min', a: F32, b: F32): F32 {
  return op(fn === 'sum' ? 'f32.add' : fn === 'max' ? 'f32.max' : 'f32.min', a, b);
}
