import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, axis, int, mod, mul } from '../../../compiler/kernels/index-expression.ts';
import { inlineInto } from '../../../compiler/kernels/inline.ts';
import { interpret, stepDims } from '../../../compiler/kernels/interpret.ts';
import { printScalar } from '../../../compiler/kernels/print.ts';
import { binary, constant, freeAxes, indexValue, load, numberReduceAxes, reduce, sameScalar, select, simplifyScalar, unary } from '../../../compiler/kernels/scalar-expression.ts';
import { extentsOf } from '../../../compiler/kernels/simplify-index.ts';
import { closeKernel } from '../../../compiler/kernels/sources.ts';
import { applyUnary } from '../../../compiler/kernels/scalar-functions.ts';
import type { Buffer, NestKernel } from '../../../compiler/kernels/types.ts';
import type { Scalar } from '../../../compiler/kernels/scalar.ts';

const space = [3, 4] as const;
const buffers: Buffer[] = [
  { id: 0, role: 'constant', name: 'a', dtype: 'f32', shape: space, data: Array.from({ length: 12 }, (_, n) => Math.sin(n + 1)) },
  { id: 1, role: 'activation', name: 'b', dtype: 'f32', shape: space },
  { id: 2, role: 'output', name: 'c', dtype: 'f32', shape: space },
];
const nest = (target: number, value: Scalar): NestKernel =>
  ({ kind: 'nest', id: target, origin: { label: 'test' }, nodes: [], sources: [], space, stores: [{ buffer: target, index: [axis(0), axis(1)], value }] });
function run(...kernels: readonly NestKernel[]): number[] {
  const memory = new Map<number, Float64Array>();
  interpret({ buffers, kernels: kernels.map((k) => closeKernel(k)) }, { dims: stepDims(1, 0), memory, float32: false });
  return Array.from(memory.get(2) ?? []);
}

/** Expressions over one buffer: at the loop's own element, elsewhere in the row, and reduced, at most two deep. */
const over = (source: number): fc.Arbitrary<Scalar> => {
  const leaf = (depth: number): fc.Arbitrary<Scalar> => fc.oneof(
    fc.integer({ min: -2, max: 2 }).map(constant),
    fc.constant(load(source, [axis(0), axis(1)])),
    fc.nat(3).map((n) => load(source, [axis(0), mod(add(axis(1), int(n)), 4)])),
    fc.constant(indexValue(add(mul(axis(0), 4), axis(1)))),
    ...(depth > 0 ? [fc.nat(depth - 1).map((n) => load(source, [axis(0), axis(2 + n)]))] : []),
  );
  const tree = (depth: number, size: number): fc.Arbitrary<Scalar> => (size === 0 ? leaf(depth) : fc.oneof(
    leaf(depth),
    fc.tuple(fc.constantFrom('neg' as const, 'abs' as const, 'tanh' as const), tree(depth, size - 1)).map(([fn, x]) => unary(fn, x)),
    fc.tuple(fc.constantFrom('add' as const, 'mul' as const, 'max' as const, 'lt' as const), tree(depth, size - 1), tree(depth, size - 1)).map(([fn, a, b]) => binary(fn, a, b)),
    fc.tuple(tree(depth, size - 1), tree(depth, size - 1), tree(depth, size - 1)).map(([c, a, b]) => select(c, a, b)),
    ...(depth < 2 ? [fc.tuple(fc.constantFrom('sum' as const, 'max' as const), tree(depth + 1, size - 1)).map(([fn, body]) => reduce(fn, 2 + depth, 4, body))] : []),
  ));
  return tree(0, 3);
};
const close = (a: readonly number[], b: readonly number[]): void => a.forEach((x, n) => expect(Math.abs(x - (b[n] ?? NaN))).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(x))));

describe('scalar expressions', () => {
  it('keep their value when simplified', () => {
    fc.assert(fc.property(over(0), (x) => close(run(nest(2, x)), run(nest(2, simplifyScalar(x, extentsOf(space)))))), { numRuns: 200 });
  });
  it('keep their value when one is computed inside another', () => {
    fc.assert(fc.property(over(0), over(1), (producer, consumer) => {
      const joined = inlineInto(consumer, { buffer: 1, value: producer }, extentsOf(space), 2);
      expect(joined).toBeDefined();
      if (joined) close(run(nest(1, producer), nest(2, consumer)), run(nest(2, joined)));
    }), { numRuns: 200 });
  });
  it('number reduces by depth, so that equal ones are equal wherever they stand', () => {
    const total = (n: number): Scalar => reduce('sum', n, 4, load(0, [axis(0), axis(n)]));
    const x = binary('add', total(7), reduce('max', 9, 4, binary('mul', load(0, [axis(0), axis(9)]), total(5))));
    expect(printScalar(numberReduceAxes(x, 2))).toBe('sum(a2 < 4: %0[a0, a2]) + max(a2 < 4: %0[a0, a2] * sum(a3 < 4: %0[a0, a3]))');
    expect([...freeAxes(x)]).toEqual([0]);
    expect(sameScalar(numberReduceAxes(total(7), 2), numberReduceAxes(total(3), 2))).toBe(true);
  });
  it('fold constants but for what is not finite', () => {
    expect(simplifyScalar(binary('mul', constant(1), binary('add', constant(2), constant(3))), extentsOf([]))).toEqual(constant(5));
    expect(simplifyScalar(unary('log', constant(0)), extentsOf([])).op).toBe('unary');
  });
  it('erf agrees with tables', () => {
    for (const [x, y] of [[0, 0], [0.5, 0.5204998778130465], [1, 0.8427007929497149], [-2, -0.9953222650189527], [3.5, 0.9999992569016276]] as const) expect(applyUnary('erf', x)).toBeCloseTo(y, 14);
  });
});
