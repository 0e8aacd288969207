/** Maps, layouts, gathers: whatever is one element at a time. */
import * as e from '../../compiler/graph/expressions.ts';
import type { BinaryFunction, UnaryFunction } from '../../compiler/kernels/scalar.ts';
import { operatorCase, type ConformanceCase } from './case.ts';

const anySign: readonly UnaryFunction[] = ['neg', 'abs', 'exp', 'tanh', 'sigmoid', 'erf', 'sin', 'cos', 'floor', 'ceil', 'round', 'reciprocal'];
const positive: readonly UnaryFunction[] = ['log', 'sqrt', 'rsqrt'];
const binaries: readonly BinaryFunction[] = ['add', 'sub', 'mul', 'div', 'min', 'max', 'lt', 'le', 'gt', 'ge', 'eq', 'ne'];
const gelu = e.mul(e.mul(e.constant(0.5), e.arg(0)), e.add(e.constant(1), e.unary('erf', e.mul(e.arg(0), e.constant(Math.SQRT1_2)))));

export function elementwiseCases(): ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const fn of anySign) {
    cases.push(operatorCase(`unary ${fn}`, (b, x) => b.unary(fn, b.scale(x('a', 13), 5))));
  }
  for (const fn of positive) {
    cases.push(operatorCase(`unary ${fn}`, (b, x) => b.unary(fn, b.map([x('a', 13)], e.add(e.constant(0.01), e.mul(e.arg(0), e.arg(0)))))));
  }
  for (const fn of binaries) cases.push(operatorCase(`binary ${fn}`, (b, x) => b.binary(fn, x('a', 9), x('b', 9))));
  cases.push(
    operatorCase('binary pow', (b, x) => b.binary('pow', b.unary('abs', x('a', 9)), x('b', 9))),
    operatorCase('select', (b, x) => b.map([x('a', 7), x('b', 7)], e.select(e.binary('gt', e.arg(0), e.arg(1)), e.arg(0), e.unary('neg', e.arg(1))))),
    operatorCase('gelu', (b, x) => b.map([b.scale(x('a', 31), 4)], gelu)),
    operatorCase('broadcast a row and a column', (b, x) => b.map([x('a', 3, 5), b.weight('w', [5]), x('c', 3, 1)], e.add(e.mul(e.arg(0), e.arg(1)), e.arg(2)))),
    operatorCase('positions and sizes', (b, x) =>
      b.map([x('a', 6)], e.add(e.mul(e.arg(0), e.tokenPosition(0)), e.mul(e.position(1), e.size('S'))))),
    operatorCase('angles far out', (b) =>
      b.map([], e.unary('sin', e.mul(e.tokenPosition(0), e.binary('pow', e.constant(10000), e.mul(e.position(1), e.constant(-0.125))))), ['T', 8]), { steps: [40, 1] }),
    operatorCase('constant', (b, x) => b.mul(x('a', 2, 3), b.constant([1, -2, 0.5, 3, 4, 5], [2, 3]))),
  );
  for (const width of [1, 4, 6, 33]) cases.push(operatorCase(`gather ${width}`, (_, x) => x('a', width)));
  for (const [a, c] of [[1, 1], [3, 5], [4, 8], [7, 2]] as const) {
    cases.push(
      operatorCase(`reshape ${a}x${c}`, (b, x) => b.reshape(x('a', a, c), ['T', c, a])),
      operatorCase(`transpose ${a}x${c}`, (b, x) => b.transpose(x('a', a, c), [0, 2, 1])),
      operatorCase(`transpose with tokens inside ${a}x${c}`, (b, x) => b.transpose(x('a', a, c), [1, 0, 2])),
      operatorCase(`concat ${a}+${c}`, (b, x) => b.concat([x('a', a), x('b', c), x('c', 3)], 1)),
      operatorCase(`slice of ${a + c}`, (b, x) => b.slice(x('a', a + c), 1, a, c)),
      operatorCase(`concat of heads ${a}+${c}`, (b, x) => b.concat([x('a', 2, a), x('b', 2, c)], 2)),
    );
  }
  cases.push(
    operatorCase('tail', (b, x) => b.node({ op: 'tail' }, [x('a', 7)]), { steps: [6, 3], logitRows: 3 }),
    operatorCase('first row', (b, x) => b.node({ op: 'row', which: 'first' }, [x('a', 7)])),
    operatorCase('last row', (b, x) => b.node({ op: 'row', which: 'last' }, [x('a', 7)])),
    operatorCase('cache', (b, x) => b.cache('rows', x('a', 2, 5))),
  );
  return cases;
}
