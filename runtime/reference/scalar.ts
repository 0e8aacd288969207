/** Scalar expressions of maps, as closures over a cursor. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { erf } from './erf.ts';
import { resolveDim } from './tensor.ts';
import type { Sizes } from './tensor.ts';
import type { BinaryFunction, Index, Scalar, UnaryFunction } from '../../compiler/kernels/scalar.ts';

/** Where a map stands: the operands' elements and the position on each axis of the result. */
export interface Cursor {
  readonly args: Float64Array;
  readonly index: Int32Array;
}

export type Evaluate = (at: Cursor) => number;

export function compileScalar(s: Scalar, sizes: Sizes): Evaluate {
  switch (s.op) {
    case 'const': { const { value } = s; return () => value; }
    case 'arg': { const n = s.arg; return (at) => at.args[n] ?? NaN; }
    case 'index': return compileIndex(s.index, sizes);
    case 'unary': { const f = unaryFunction(s.fn); const x = compileScalar(s.x, sizes); return (at) => f(x(at)); }
    case 'binary': {
      const f = binaryFunction(s.fn);
      const a = compileScalar(s.a, sizes);
      const b = compileScalar(s.b, sizes);
      return (at) => f(a(at), b(at));
    }
    case 'select': {
      const condition = compileScalar(s.condition, sizes);
      const then = compileScalar(s.then, sizes);
      const otherwise = compileScalar(s.else, sizes);
      return (at) => (condition(at) !== 0 ? then(at) : otherwise(at));
    }
    case 'load': case 'accumulator': case 'reduce':
      throw new InternalError('reference', `${s.op} in a graph`);
    default: return s satisfies never;
  }
}

function compileIndex(i: Index, sizes: Sizes): Evaluate {
  switch (i.op) {
    case 'int': { const { value } = i; return () => value; }
    case 'dim': { const value = resolveDim(i.dim, sizes); return () => value; }
    case 'axis': { const { axis } = i; return (at) => at.index[axis] ?? NaN; }
    case 'add': case 'sub': case 'min': case 'max': {
      const f = binaryFunction(i.op);
      const a = compileIndex(i.a, sizes);
      const b = compileIndex(i.b, sizes);
      return (at) => f(a(at), b(at));
    }
    case 'mul': { const a = compileIndex(i.a, sizes); const { by } = i; return (at) => a(at) * by; }
    case 'div': { const a = compileIndex(i.a, sizes); const { by } = i; return (at) => Math.floor(a(at) / by); }
    case 'mod': { const a = compileIndex(i.a, sizes); const { by } = i; return (at) => a(at) - by * Math.floor(a(at) / by); }
    case 'at': throw new InternalError('reference', 'indirect access in a graph');
    default: return i satisfies never;
  }
}

function unaryFunction(fn: UnaryFunction): (x: number) => number {
  switch (fn) {
    case 'neg': return (x) => -x;
    case 'abs': return Math.abs;
    case 'exp': return Math.exp;
    case 'log': return Math.log;
    case 'sqrt': return Math.sqrt;
    case 'rsqrt': return (x) => 1 / Math.sqrt(x);
    case 'reciprocal': return (x) => 1 / x;
    case 'tanh': return Math.tanh;
    case 'sigmoid': return (x) => 1 / (1 + Math.exp(-x));
    case 'erf': return erf;
    case 'sin': return Math.sin;
    case 'cos': return Math.cos;
    case 'floor': return Math.floor;
    case 'ceil': return Math.ceil;
    case 'round': return roundToEven;
    default: return fn satisfies never;
  }
}

/** Nearest integer, ties to the even one, as the devices round. */
function roundToEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

function binaryFunction(fn: BinaryFunction): (a: number, b: number) => number {
  switch (fn) {
    case 'add': return (a, b) => a + b;
    case 'sub': return (a, b) => a - b;
    case 'mul': return (a, b) => a * b;
    case 'div': return (a, b) => a / b;
    case 'min': return Math.min;
    case 'max': return Math.max;
    case 'pow': return Math.pow;
    case 'lt': return (a, b) => (a < b ? 1 : 0);
    case 'le': return (a, b) => (a <= b ? 1 : 0);
    case 'gt': return (a, b) => (a > b ? 1 : 0);
    case 'ge': return (a, b) => (a >= b ? 1 : 0);
    case 'eq': return (a, b) => (a === b ? 1 : 0);
    case 'ne': return (a, b) => (a !== b ? 1 : 0);
    default: return fn satisfies never;
  }
}
