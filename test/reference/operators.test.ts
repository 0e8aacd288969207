import { describe, expect, test } from 'vitest';
import { rope, mask } from '../../runtime/reference/attention.ts';
import { erf } from '../../runtime/reference/erf.ts';
import { concat, slice, tail, transpose } from '../../runtime/reference/layout.ts';
import { map } from '../../runtime/reference/map.ts';
import { expertLinear, gather, headLinear, linear, mix, scores } from '../../runtime/reference/products.ts';
import { member, norm, reduce, softmax, take, topk } from '../../runtime/reference/rows.ts';
import { add, arg, binary, constant, mul, position, select, tokenPosition, unary } from '../../compiler/graph/expressions.ts';
import type { Tensor } from '../../runtime/reference/tensor.ts';

const sizes = { T: 2, P: 3, S: 5, R: 1, L: 5 };
const f = (shape: readonly number[], ...data: number[]): Tensor => ({ shape, data: Float64Array.from(data) });
const i = (shape: readonly number[], ...data: number[]): Tensor => ({ shape, data: Int32Array.from(data) });
const list = (x: Tensor): number[] => Array.from(x.data);
function near(found: Tensor, shape: readonly number[], expected: readonly number[]): void {
  expect(found.shape).toEqual(shape);
  expect(found.data.length).toBe(expected.length);
  expected.forEach((v, n) => expect(found.data[n]).toBeCloseTo(v, 12));
}

describe('reference operators', () => {
  test('erf matches tabulated values', () => {
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(-1.25)).toBeCloseTo(-0.9229001282564582, 15);
    expect(erf(3)).toBeCloseTo(0.9999779095030014, 15);
    expect(erf(9)).toBe(1);
    expect(erf(0)).toBe(0);
  });

  test('map broadcasts and sees positions', () => {
    const x = f([2, 3], 1, 2, 3, 4, 5, 6);
    near(map(add(arg(0), arg(1)), [x, f([3], 10, 20, 30)], [2, 3], sizes), [2, 3], [11, 22, 33, 14, 25, 36]);
    near(map(mul(arg(0), arg(1)), [x, f([2, 1], 1, -1)], [2, 3], sizes), [2, 3], [1, 2, 3, -4, -5, -6]);
    near(map(add(tokenPosition(0), mul(constant(100), position(1))), [], [2, 2], sizes), [2, 2], [3, 103, 4, 104]);
    const sign = select(binary('gt', arg(0), constant(3)), unary('neg', arg(0)), arg(0));
    near(map(sign, [x], [2, 3], sizes), [2, 3], [1, 2, 3, -4, -5, -6]);
    near(map(unary('round', arg(0)), [f([4], 0.5, 1.5, -0.5, 2.4)], [4], sizes), [4], [0, 2, -0, 2]);
  });

  test('linear in its three groups', () => {
    near(linear(f([2, 2], 1, 2, 3, 4), f([3, 2], 1, 0, 0, 1, 1, 1)), [2, 3], [1, 2, 3, 3, 4, 7]);
    near(headLinear(f([1, 2, 2], 1, 2, 3, 4), f([2, 1, 2], 1, 1, 1, -1)), [1, 2, 1], [3, -1]);
    const w = f([2, 1, 2], 1, 1, 1, -1);
    near(expertLinear(f([2, 2], 1, 2, 3, 5), w, i([2, 2], 0, 1, 1, 1)), [2, 2, 1], [3, -1, -2, -2]);
    near(expertLinear(f([1, 2, 2], 1, 2, 3, 5), w, i([1, 2], 1, 0)), [1, 2, 1], [-1, 8]);
  });

  test('gather takes rows and refuses ids outside the table', () => {
    near(gather(f([2, 2], 1, 2, 3, 4), i([3], 1, 0, 1)), [3, 2], [3, 4, 1, 2, 3, 4]);
    expect(() => gather(f([2, 2], 1, 2, 3, 4), i([1], 2))).toThrow(/row 2/);
  });

  test('scores and mix share key heads among query heads', () => {
    const k = f([2, 1, 2], 1, 0, 0, 1);
    near(scores(f([1, 2, 2], 1, 2, 3, 4), k), [1, 2, 2], [1, 2, 3, 4]);
    near(mix(f([1, 2, 2], 0.5, 0.5, 0, 1), f([2, 1, 2], 1, 2, 3, 4)), [1, 2, 2], [2, 3, 3, 4]);
    // Neighbours share: of four heads the first two use the first of two key heads.
    const pairs = f([1, 2, 1], 1, 10);
    near(scores(f([1, 4, 1], 1, 2, 3, 4), pairs), [1, 4, 1], [1, 2, 30, 40]);
    near(mix(f([1, 4, 1], 1, 1, 1, 1), pairs), [1, 4, 1], [1, 1, 10, 10]);
  });

  test('norms', () => {
    const x = f([1, 2], 3, 4);
    near(norm('rms', 0, x), [1, 2], [3 / Math.sqrt(12.5), 4 / Math.sqrt(12.5)]);
    near(norm('layer', 0.75, x), [1, 2], [-0.5, 0.5]);
    near(norm('l2', 1e-12, x), [1, 2], [0.6, 0.8]);
    near(norm('l2', 10, x), [1, 2], [0.3, 0.4]);
  });

  test('softmax, with a sink in the denominator', () => {
    near(softmax(f([1, 2], 0, Math.log(3)), undefined), [1, 2], [0.25, 0.75]);
    near(softmax(f([1, 2, 2], 0, -Infinity, 0, 0), f([2], 0, Math.log(2))), [1, 2, 2], [0.5, 0, 0.25, 0.25]);
  });

  test('reductions remove their axis', () => {
    const x = f([2, 3], 1, 5, 3, 4, 2, 6);
    near(reduce('sum', 0, x), [3], [5, 7, 9]);
    near(reduce('max', 1, x), [2], [5, 6]);
    near(reduce('min', 1, x), [2], [1, 2]);
    near(reduce('mean', 1, x), [2], [3, 4]);
  });

  test('rope rotates pairs of the leading elements', () => {
    const angle = f([1, 1], Math.PI / 2);
    near(rope('half', 2, 1, f([1, 1, 3], 1, 2, 3), angle), [1, 1, 3], [-2, 1, 3]);
    near(rope('interleaved', 4, 2, f([1, 1, 4], 1, 2, 3, 4), f([1, 2], Math.PI / 2, 0)), [1, 1, 4], [-4, 2, 6, 8]);
    near(rope('half', 4, 1, f([1, 1, 4], 1, 2, 3, 4), f([1, 2], Math.PI / 2, 0)), [1, 1, 4], [-3, 2, 1, 4]);
  });

  test('masks: causal, sliding, chunked, symmetric', () => {
    const visible = (causal: boolean, window: Parameters<typeof mask>[1]): number[][] => {
      const x = mask(causal, window, 2, f([2, 1, 4], 0, 0, 0, 0, 0, 0, 0, 0));
      return [0, 1].map((t) => [0, 1, 2, 3].filter((s) => x.data[t * 4 + s] === 0));
    };
    expect(visible(true, undefined)).toEqual([[0, 1, 2], [0, 1, 2, 3]]);
    expect(visible(false, undefined)).toEqual([[0, 1, 2, 3], [0, 1, 2, 3]]);
    expect(visible(true, { kind: 'sliding', size: 2 })).toEqual([[1, 2], [2, 3]]);
    expect(visible(true, { kind: 'chunked', size: 3 })).toEqual([[0, 1, 2], [3]]);
    expect(visible(false, { kind: 'symmetric', size: 1 })).toEqual([[1, 2, 3], [2, 3]]);
  });

  test('topk breaks ties to the lower index; take and member follow it', () => {
    const x = f([2, 4], 1, 3, 3, 2, 4, 4, 4, 4);
    const best = topk(3, x);
    expect(list(best)).toEqual([1, 2, 3, 0, 1, 2]);
    near(take(x, best), [2, 3], [3, 3, 2, 4, 4, 4]);
    near(member(4, best), [2, 4], [0, 1, 1, 1, 1, 1, 1, 0]);
  });

  test('layout', () => {
    const x = f([2, 3], 1, 2, 3, 4, 5, 6);
    near(transpose([1, 0], x), [3, 2], [1, 4, 2, 5, 3, 6]);
    near(slice(1, 1, 2, x), [2, 2], [2, 3, 5, 6]);
    near(concat(1, [x, slice(1, 0, 1, x)]), [2, 4], [1, 2, 3, 1, 4, 5, 6, 4]);
    near(tail(1, x), [1, 3], [4, 5, 6]);
    expect(transpose([0], i([2], 1, 2)).data).toBeInstanceOf(Int32Array);
  });
});
