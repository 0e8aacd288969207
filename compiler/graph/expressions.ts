/** Scalar expressions as graphs use them: constructors, a printer, and how many operands one refers to. */
import { ShapeError } from './shapes.ts';
import type { BinaryFunction, DimName, Index, Scalar, UnaryFunction } from '../kernels/scalar.ts';

export const constant = (value: number): Scalar => ({ op: 'const', value });
export const arg = (n: number): Scalar => ({ op: 'arg', arg: n });
export const unary = (fn: UnaryFunction, x: Scalar): Scalar => ({ op: 'unary', fn, x });
export const binary = (fn: BinaryFunction, a: Scalar, b: Scalar): Scalar => ({ op: 'binary', fn, a, b });
export const select = (condition: Scalar, then: Scalar, otherwise: Scalar): Scalar => ({ op: 'select', condition, then, else: otherwise });
/** The element's position on an axis of the result. */
export const position = (axis: number): Scalar => ({ op: 'index', index: { op: 'axis', axis } });
/** The size of a symbolic dim as a number. */
export const size = (dim: DimName): Scalar => ({ op: 'index', index: { op: 'dim', dim } });
/** The absolute position of the token on axis `axis`: P + t. */
export const tokenPosition = (axis: number): Scalar =>
  ({ op: 'index', index: { op: 'add', a: { op: 'axis', axis }, b: { op: 'dim', dim: 'P' } } });

export const add = (a: Scalar, b: Scalar): Scalar => binary('add', a, b);
export const sub = (a: Scalar, b: Scalar): Scalar => binary('sub', a, b);
export const mul = (a: Scalar, b: Scalar): Scalar => binary('mul', a, b);
export const div = (a: Scalar, b: Scalar): Scalar => binary('div', a, b);

/** One more than the highest operand used, after checking that the expression is one a map may hold over a result of `rank` axes. */
export function mapArity(expression: Scalar, rank: number): number {
  switch (expression.op) {
    case 'const': return 0;
    case 'arg': return expression.arg + 1;
    case 'index': checkIndex(expression.index, rank); return 0;
    case 'unary': return mapArity(expression.x, rank);
    case 'binary': return Math.max(mapArity(expression.a, rank), mapArity(expression.b, rank));
    case 'select':
      return Math.max(mapArity(expression.condition, rank), mapArity(expression.then, rank), mapArity(expression.else, rank));
    case 'load': case 'accumulator': case 'reduce':
      throw new ShapeError(`map: ${expression.op} does not occur in graphs`);
    default: return expression satisfies never;
  }
}

function checkIndex(index: Index, rank: number): void {
  switch (index.op) {
    case 'int': case 'dim': return;
    case 'axis':
      if (index.axis < 0 || index.axis >= rank) throw new ShapeError(`map: axis ${index.axis} of a result with ${rank}`);
      return;
    case 'add': case 'sub': case 'min': case 'max': checkIndex(index.a, rank); checkIndex(index.b, rank); return;
    case 'mul': case 'div': case 'mod': checkIndex(index.a, rank); return;
    case 'at': throw new ShapeError('map: indirect access does not occur in graphs');
    default: index satisfies never;
  }
}

const infix: Partial<Record<BinaryFunction, string>> = {
  add: '+', sub: '-', mul: '*', div: '/', lt: '<', le: '<=', gt: '>', ge: '>=', eq: '==', ne: '!=',
};

/** Stable text: `(a0 * sigmoid(a0))`; operands are a0, a1, ...; axes i0, i1, ... */
export function printScalar(s: Scalar): string {
  switch (s.op) {
    case 'const': return String(s.value);
    case 'arg': return `a${s.arg}`;
    case 'load': return `s${s.source}[${s.index.map(printIndex).join(', ')}]`;
    case 'accumulator': return `acc[${s.index.map(printIndex).join(', ')}]`;
    case 'index': return printIndex(s.index);
    case 'unary': return `${s.fn}(${printScalar(s.x)})`;
    case 'binary': {
      const sign = infix[s.fn];
      const [a, b] = [printScalar(s.a), printScalar(s.b)];
      return sign ? `(${a} ${sign} ${b})` : `${s.fn}(${a}, ${b})`;
    }
    case 'select': return `(${printScalar(s.condition)} ? ${printScalar(s.then)} : ${printScalar(s.else)})`;
    case 'reduce': return `${s.fn}(i${s.axis} < ${s.extent}: ${printScalar(s.body)})`;
    default: return s satisfies never;
  }
}

export function printIndex(i: Index): string {
  switch (i.op) {
    case 'int': return String(i.value);
    case 'axis': return `i${i.axis}`;
    case 'dim': return i.dim;
    case 'add': return `(${printIndex(i.a)} + ${printIndex(i.b)})`;
    case 'sub': return `(${printIndex(i.a)} - ${printIndex(i.b)})`;
    case 'min': case 'max': return `${i.op}(${printIndex(i.a)}, ${printIndex(i.b)})`;
    case 'mul': return `(${printIndex(i.a)} * ${i.by})`;
    case 'div': return `(${printIndex(i.a)} // ${i.by})`;
    case 'mod': return `(${printIndex(i.a)} % ${i.by})`;
    case 'at': return `s${i.source}[${i.index.map(printIndex).join(', ')}]`;
    default: return i satisfies never;
  }
}
