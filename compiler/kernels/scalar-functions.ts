/** What the scalar functions compute, in float64. The definition that every backend is held to. */
import type { BinaryFunction, ReduceFunction, UnaryFunction } from './scalar.ts';

export function applyUnary(fn: UnaryFunction, x: number): number {
  switch (fn) {
    case 'neg': return -x;
    case 'abs': return Math.abs(x);
    case 'exp': return Math.exp(x);
    case 'log': return Math.log(x);
    case 'sqrt': return Math.sqrt(x);
    case 'rsqrt': return 1 / Math.sqrt(x);
    case 'reciprocal': return 1 / x;
    case 'tanh': return Math.tanh(x);
    case 'sigmoid': return 1 / (1 + Math.exp(-x));
    case 'erf': return erf(x);
    case 'sin': return Math.sin(x);
    case 'cos': return Math.cos(x);
    case 'floor': return Math.floor(x);
    case 'ceil': return Math.ceil(x);
    case 'round': return roundHalfEven(x);
    default: return fn satisfies never;
  }
}

export function applyBinary(fn: BinaryFunction, a: number, b: number): number {
  switch (fn) {
    case 'add': return a + b;
    case 'sub': return a - b;
    case 'mul': return a * b;
    case 'div': return a / b;
    case 'min': return Math.min(a, b);
    case 'max': return Math.max(a, b);
    case 'pow': return Math.pow(a, b);
    case 'lt': return a < b ? 1 : 0;
    case 'le': return a <= b ? 1 : 0;
    case 'gt': return a > b ? 1 : 0;
    case 'ge': return a >= b ? 1 : 0;
    case 'eq': return a === b ? 1 : 0;
    case 'ne': return a !== b ? 1 : 0;
    default: return fn satisfies never;
  }
}

/** What a reduce over nothing gives. Finite, so that it survives JSON and devices without infinities. */
export const LOWEST = -3.4028234663852886e38;
export function reduceStart(fn: ReduceFunction): number {
  switch (fn) {
    case 'sum': return 0;
    case 'max': return LOWEST;
    case 'min': return -LOWEST;
    default: return fn satisfies never;
  }
}
export function reduceStep(fn: ReduceFunction, sum: number, x: number): number {
  switch (fn) {
    case 'sum': return sum + x;
    case 'max': return Math.max(sum, x);
    case 'min': return Math.min(sum, x);
    default: return fn satisfies never;
  }
}

/** Ties to even, as WGSL's round and WebAssembly's nearest do. */
function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** erf to double precision: the Maclaurin series for |x| < 3, the continued fraction of erfc beyond (Abramowitz and Stegun 7.1.5, 7.1.14). */
function erf(x: number): number {
  const z = Math.abs(x);
  if (z >= 6) return Math.sign(x);
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let n = 1; n < 200; n++) {
      term *= (-z * z) / n;
      const part = term / (2 * n + 1);
      sum += part;
      if (Math.abs(part) < 1e-17 * Math.abs(sum)) break;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = z;
  for (let n = 60; n >= 1; n--) fraction = z + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * fraction));
}
