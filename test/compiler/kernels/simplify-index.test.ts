import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, axis, dim, div, indexKey, int, maximum, minimum, mod, mul, sub } from '../../../compiler/kernels/index-expression.ts';
import { affine, strideAlong } from '../../../compiler/kernels/affine.ts';
import { extentsOf, rangeOf, simplifyIndex } from '../../../compiler/kernels/simplify-index.ts';
import { printIndex } from '../../../compiler/kernels/print.ts';
import type { Index } from '../../../compiler/kernels/scalar.ts';

const shape = [5, 7, 1, 12] as const;
const extents = extentsOf(shape);
const dims = { T: 4, P: 9, S: 13, R: 2, L: 13 };

const evaluate = (x: Index, at: readonly number[]): number => {
  switch (x.op) {
    case 'int': return x.value;
    case 'axis': return at[x.axis] as number;
    case 'dim': return dims[x.dim];
    case 'add': return evaluate(x.a, at) + evaluate(x.b, at);
    case 'sub': return evaluate(x.a, at) - evaluate(x.b, at);
    case 'min': return Math.min(evaluate(x.a, at), evaluate(x.b, at));
    case 'max': return Math.max(evaluate(x.a, at), evaluate(x.b, at));
    case 'mul': return evaluate(x.a, at) * x.by;
    case 'div': return Math.floor(evaluate(x.a, at) / x.by);
    case 'mod': { const a = evaluate(x.a, at); return a - Math.floor(a / x.by) * x.by; }
    case 'at': throw new Error('not generated');
    default: return x satisfies never;
  }
};

const { expression } = fc.letrec<{ expression: Index }>((tie) => ({
  expression: fc.oneof({ maxDepth: 5, depthSize: 'medium' },
    fc.integer({ min: -20, max: 70 }).map(int),
    fc.integer({ min: 0, max: 3 }).map(axis),
    fc.constantFrom(dim('T'), dim('P')),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => add(a, b)),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => sub(a, b)),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => minimum(a, b)),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => maximum(a, b)),
    fc.tuple(tie('expression'), fc.integer({ min: -4, max: 16 })).map(([a, by]) => mul(a, by)),
    fc.tuple(tie('expression'), fc.constantFrom(1, 2, 3, 4, 6, 7, 12, 64)).map(([a, by]) => div(a, by)),
    fc.tuple(tie('expression'), fc.constantFrom(1, 2, 3, 4, 6, 7, 12, 64)).map(([a, by]) => mod(a, by)),
  ),
}));
const point = fc.tuple(fc.nat(4), fc.nat(6), fc.constant(0), fc.nat(11));

describe('simplifyIndex', () => {
  it('never changes a value, and bounds it', () => {
    fc.assert(fc.property(expression, point, (x, at) => {
      const simple = simplifyIndex(x, extents);
      expect(evaluate(simple, at) === evaluate(x, at)).toBe(true);
      const range = rangeOf(x, extents);
      expect(evaluate(x, at)).toBeGreaterThanOrEqual(range.low);
      expect(evaluate(x, at)).toBeLessThanOrEqual(range.high);
    }), { numRuns: 3000 });
  });

  it('is idempotent', () => {
    fc.assert(fc.property(expression, (x) => {
      const once = simplifyIndex(x, extents);
      expect(indexKey(simplifyIndex(once, extents))).toBe(indexKey(once));
    }), { numRuns: 1000 });
  });

  it('sees through reshapes', () => {
    const heads = extentsOf([8, 64]);
    const flat = add(mul(axis(0), 64), axis(1));
    expect(printIndex(simplifyIndex(div(flat, 64), heads))).toBe('a0');
    expect(printIndex(simplifyIndex(mod(flat, 64), heads))).toBe('a1');
    expect(printIndex(simplifyIndex(div(flat, 128), heads))).toBe('a0/2');
    expect(printIndex(simplifyIndex(mod(flat, 128), heads))).toBe('a0%2*64 + a1');
    const one = extentsOf([512]);
    expect(printIndex(simplifyIndex(add(mul(div(axis(0), 64), 64), mod(axis(0), 64)), one))).toBe('a0');
    expect(printIndex(simplifyIndex(div(add(mul(div(axis(0), 64), 64), mod(add(axis(0), int(32)), 64)), 64), one))).toBe('a0/64');
  });

  it('drops axes of one element', () => {
    expect(printIndex(simplifyIndex(add(axis(2), int(3)), extents))).toBe('3');
  });
});

describe('affine analysis', () => {
  it('gives the stride along an axis', () => {
    const x = add(add(mul(axis(0), 64), axis(1)), dim('P'));
    expect(strideAlong(x, 0)).toBe(64);
    expect(strideAlong(x, 1)).toBe(1);
    expect(strideAlong(x, 2)).toBe(0);
    expect(strideAlong(div(axis(0), 2), 0)).toBe('other');
  });
  it('splits constants, axes and dimensions', () => {
    const form = affine(sub(add(mul(axis(0), 3), dim('T')), int(2)), () => undefined);
    expect(form && [form.constant, [...form.axes], [...form.dims]]).toEqual([-2, [[0, 3]], [['T', 1]]]);
  });
});
