/** Folding of one `Scalar` node whose operands are already folded: constants, and identities that change no result bit. */
import { applyBinary, applyUnary } from './scalar-functions.ts';
import type { Scalar } from './scalar.ts';

const literal = (value: number): Scalar => ({ op: 'const', value });
const isConstant = (x: Scalar, value: number): boolean => x.op === 'const' && x.value === value && !Object.is(x.value, -0);

export function foldNode(x: Scalar): Scalar {
  switch (x.op) {
    case 'const': case 'arg': case 'load': case 'accumulator': case 'reduce': return x;
    case 'index': return x.index.op === 'int' ? literal(x.index.value) : x;
    case 'unary': {
      const value = x.x.op === 'const' ? applyUnary(x.fn, x.x.value) : NaN;
      return Number.isFinite(value) ? literal(value) : x;
    }
    case 'binary': return foldBinary(x);
    case 'select': return x.condition.op === 'const' ? (x.condition.value !== 0 ? x.then : x.else) : x;
    default: return x satisfies never;
  }
}

function foldBinary(x: Extract<Scalar, { op: 'binary' }>): Scalar {
  const { fn, a, b } = x;
  if (a.op === 'const' && b.op === 'const') {
    const value = applyBinary(fn, a.value, b.value);
    return Number.isFinite(value) ? literal(value) : x;
  }
  if (fn === 'mul' && isConstant(a, 1)) return b;
  if ((fn === 'mul' || fn === 'div') && isConstant(b, 1)) return a;
  if (fn === 'add' && isConstant(a, 0)) return b;
  if ((fn === 'add' || fn === 'sub') && isConstant(b, 0)) return a;
  return x;
}
