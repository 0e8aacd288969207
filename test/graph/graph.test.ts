import { describe, expect, test } from 'vitest';
import { InternalError } from '../../compiler/diagnostics.ts';
import { GraphBuilder, LoweringShapeError } from '../../compiler/graph/builder.ts';
import { add, arg, position } from '../../compiler/graph/expressions.ts';
import { printGraph } from '../../compiler/graph/print.ts';
import { verifyGraph } from '../../compiler/graph/verify.ts';
import type { Graph } from '../../compiler/graph/types.ts';

function small(): Graph {
  const g = new GraphBuilder('small');
  const x = g.gather(g.weight('embeddings.token.weight', [10, 6]), g.input('ids'));
  g.output('embeddings', x);
  const y = g.within({ label: 'layers.0.attention', layer: 0 }, () => {
    const normed = g.mul(g.norm('rms', x, 1e-6), g.weight('layers.0.attention.norm.weight', [6]));
    const k = g.cache('layers.0.attention.k', g.reshape(g.linear(normed, g.weight('layers.0.attention.k.weight', [4, 6])), ['T', 2, 2]));
    const q = g.reshape(g.linear(normed, g.weight('layers.0.attention.q.weight', [8, 6])), ['T', 4, 2]);
    const scores = g.map([g.node({ op: 'scores' }, [q, k])], add(arg(0), position(2)));
    const p = g.softmax(g.node({ op: 'mask', causal: true, window: { kind: 'sliding', size: 3 } }, [scores]));
    return g.add(x, g.linear(g.reshape(g.node({ op: 'mix' }, [p, k]), ['T', 8]), g.weight('layers.0.attention.o.weight', [6, 8])));
  });
  g.output('final', y);
  return g.finish();
}

describe('graph', () => {
  test('prints every node with its type, shape, attributes and operands', () => {
    expect(printGraph(small())).toMatchInlineSnapshot(`
      "graph small
      weight embeddings.token.weight: f32[10,6]
      weight layers.0.attention.norm.weight: f32[6]
      weight layers.0.attention.k.weight: f32[4,6]
      weight layers.0.attention.q.weight: f32[8,6]
      weight layers.0.attention.o.weight: f32[6,8]
      state layers.0.attention.k: f32[S,2,2]
      %0: f32[10,6] = weight{embeddings.token.weight}
      %1: i32[T] = input{ids}
      %2: f32[T,6] = gather %0 %1
      %3: f32[T,6] = norm{rms,0.000001} %2
      %4: f32[6] = weight{layers.0.attention.norm.weight}
      %5: f32[T,6] = map{(a0 * a1)} %3 %4
      %6: f32[4,6] = weight{layers.0.attention.k.weight}
      %7: f32[T,4] = linear %5 %6
      %8: f32[T,2,2] = reshape %7
      %9: f32[S,2,2] = cache{layers.0.attention.k} %8
      %10: f32[8,6] = weight{layers.0.attention.q.weight}
      %11: f32[T,8] = linear %5 %10
      %12: f32[T,4,2] = reshape %11
      %13: f32[T,4,S] = scores %12 %9
      %14: f32[T,4,S] = map{(a0 + i2)} %13
      %15: f32[T,4,S] = mask{causal,sliding=3} %14
      %16: f32[T,4,S] = softmax %15
      %17: f32[T,4,2] = mix %16 %9
      %18: f32[T,8] = reshape %17
      %19: f32[6,8] = weight{layers.0.attention.o.weight}
      %20: f32[T,6] = linear %18 %19
      %21: f32[T,6] = map{(a0 + a1)} %2 %20
      output embeddings = %2
      output final = %21
      "
    `);
  });

  test('a built graph verifies', () => {
    expect(verifyGraph(small(), 'test').nodes.length).toBe(22);
  });

  test('the same slot asked for twice is one node', () => {
    const g = new GraphBuilder('tied');
    expect(g.weight('a', [2, 3])).toBe(g.weight('a', [2, 3]));
    expect(() => g.weight('a', [3, 2])).toThrow(LoweringShapeError);
  });

  test('a shape mistake names the operator and where it comes from', () => {
    const g = new GraphBuilder('bad');
    const x = g.gather(g.weight('t', [10, 6]), g.input('ids'));
    const attempt = (): unknown => g.within({ label: 'layers.0.ffn.up', path: '/layers/residual/0' }, () => g.linear(x, g.weight('w', [4, 5])));
    expect(attempt).toThrow(/linear: the width of the input \[T,6\] against the weight \[4,5\] must be 5, found 6/);
    expect(() => g.add(x, g.constant([1, 2], [2]))).toThrow(/do not broadcast/);
    expect(() => g.reshape(x, ['T', 4])).toThrow(/as many elements/);
    expect(() => g.map([x], position(2))).toThrow(/axis 2 of a result with 2/);
  });

  test.each<[string, (graph: Graph) => Graph, RegExp]>([
    ['an operand defined later', (g) => ({ ...g, nodes: [...g.nodes].reverse() }), /not defined before/],
    ['a wrong shape', (g) => ({ ...g, nodes: g.nodes.map((n) => (n.operator.op === 'linear' ? { ...n, shape: ['T', 7] } : n)) }), /has shape/],
    ['a wrong type', (g) => ({ ...g, nodes: g.nodes.map((n) => (n.operator.op === 'norm' ? { ...n, dtype: 'i32' } : n)) }), /is f32/],
    ['an undeclared weight', (g) => ({ ...g, weights: g.weights.slice(1) }), /not declared/],
    ['an undeclared state', (g) => ({ ...g, states: [] }), /not declared/],
    ['an output of nothing', (g) => ({ ...g, outputs: [{ name: 'logits', node: 99 }] }), /not defined/],
    ['a double definition', (g) => ({ ...g, nodes: g.nodes.map((n) => ({ ...n, id: 0 })) }), /defined twice/],
  ])('the verifier rejects %s', (_, breakIt, message) => {
    const broken = breakIt(small());
    expect(() => verifyGraph(broken, 'a pass')).toThrow(InternalError);
    expect(() => verifyGraph(broken, 'a pass')).toThrow(message);
  });
});
