import { describe, expect, test } from 'vitest';
import { loadSpec } from '../../compiler/load.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { printGraph } from '../../compiler/graph/print.ts';
import type { Lowered } from '../../compiler/lower/lower-model.ts';

/** A one-layer model whose only step is the block. */
function lower(block: string, use = '{ use: it }', more = ''): Lowered {
  const text = `
peel: 1
params: { dim: 4, heads: 2 }
embeddings: { token: { rows: 9, dim: dim } }
${more}
blocks:
  it:\n    ${block.trim().replaceAll('\n', '\n    ')}
layers:
  repeat: 1
  residual: [ { id: it, block: ${use} } ]
output: {}
`;
  const { spec, diagnostics } = loadSpec('block.yaml', () => text);
  if (!spec) throw new Error(JSON.stringify(diagnostics));
  const resolved = resolveModel(spec, {});
  return resolved.model ? lowerModel(resolved.model) : { diagnostics: resolved.diagnostics };
}

describe('custom blocks', () => {
  test('statements become primitive operators under the block\'s slot', () => {
    const { graph, diagnostics } = lower(`
params: { width: 3 }
weights: { up: [width, dim], down: [dim, width] }
body:
  - h: silu(linear(x, up)) * sqrt(width)
  - y: "linear(h > 0.5 ? h : h / (1 + amax(abs(h))), down)"
`, '{ use: it, with: { width: heads + 4 } }');
    expect(diagnostics).toEqual([]);
    expect(graph && printGraph(graph)).toMatchInlineSnapshot(`
      "graph block
      weight embeddings.token.weight: f32[9,4]
      weight layers.0.it.up: f32[6,4]
      weight layers.0.it.down: f32[4,6]
      %0: f32[9,4] = weight{embeddings.token.weight}
      %1: i32[T] = input{ids}
      %2: f32[T,4] = gather %0 %1
      %3: f32[6,4] = weight{layers.0.it.up}
      %4: f32[4,6] = weight{layers.0.it.down}
      %5: f32[T,6] = linear %2 %3
      %6: f32[T,6] = map{(a0 * sigmoid(a0))} %5
      %7: f32[T,6] = map{(a0 * 2.449489742783178)} %6
      %8: f32[T,6] = map{(a0 > 0.5)} %7
      %9: f32[T,6] = map{abs(a0)} %7
      %10: f32[T] = reduce{max,axis=1} %9
      %11: f32[T,1] = reshape %10
      %12: f32[T,1] = map{(1 + a0)} %11
      %13: f32[T,6] = map{(a0 / a1)} %7 %12
      %14: f32[T,6] = map{(a0 ? a1 : a2)} %8 %7 %13
      %15: f32[T,4] = linear %14 %4
      %16: f32[T,4] = map{(a0 + a1)} %2 %15
      output embeddings = %2
      output hidden.0 = %16
      output final = %16
      "
    `);
  });

  test('causal attention keeps its keys and values in states of its own', () => {
    const { graph } = lower(`
weights: { w: [4, dim] }
body:
  - q: reshape(linear(x, w), [heads, 2])
  - y: reshape(attention(q, q, q) + attention(rope(q), q, q, 1, 3), [4])
`);
    expect(graph?.states.map((s) => s.name)).toEqual(['layers.0.it.y.k', 'layers.0.it.y.v', 'layers.0.it.y.k.2', 'layers.0.it.y.v.2']);
    expect(graph?.states.every((s) => s.row.join() === '2,2')).toBe(true);
  });

  test.each<[string, string, string, RegExp]>([
    ['an unknown name', 'body: [ { y: x + z } ]', 'E403', /`z`/],
    ['an unknown function', 'body: [ { y: softmx(x) } ]', 'E405', /`softmx`/],
    ['too few arguments', 'body: [ { y: linear(x) } ]', 'E405', /1 arguments/],
    ['a tensor where a number belongs', 'body: [ { y: "topk(x, x)" } ]', 'E405', /argument 2/],
    ['shapes that do not fit', 'weights: { w: [3, 5] }\nbody: [ { y: "linear(x, w)" } ]', 'E601', /width of the input/],
    ['shapes that do not broadcast', 'weights: { w: [3] }\nbody: [ { y: x * w } ]', 'E601', /broadcast/],
    ['a result of another shape', 'weights: { w: [3, 4] }\nbody: [ { y: "linear(x, w)" } ]', 'E601', /residual stream/],
    ['a weight of size 0', 'weights: { w: [dim - 4] }\nbody: [ { y: x * w } ]', 'E301', /whole number/],
    ['?? on tensors', 'body: [ { y: "x ?? 1" } ]', 'E402', /params/],
    ['an index of a tensor', 'body: [ { y: "x[0]" } ]', 'E402', /slice/],
    ['a list of nothing useful', 'body: [ { y: "x + [x]" } ]', 'E402', /list/],
    ['an axis that is not there', 'body: [ { y: "x + sum(x, 2)" } ]', 'E405', /axis/],
  ])('reports %s', (_, block, code, message) => {
    const { graph, diagnostics } = lower(block);
    expect(graph).toBeUndefined();
    expect(diagnostics.length).toBe(1);
    expect(diagnostics[0]?.code).toBe(code);
    expect(`${diagnostics[0]?.message} ${diagnostics[0]?.hint ?? ''}`).toMatch(message);
    expect(diagnostics[0]?.path).toMatch(/^\/blocks\/it\//);
  });

  test('independent mistakes are all reported, and what follows from one is not', () => {
    const { graph, diagnostics } = lower(`
weights: { w: [3, dim], bad: [dim - 4], worse: ["'four'"] }
body:
  - a: linear(x, w) + x
  - b: softmx(a)
  - c: x * bad
  - d: linear(x, w) + missing
  - e: softmx(x)
  - f: x + zz
  - y: x * 2
`);
    expect(graph).toBeUndefined();
    expect(diagnostics.map((d) => `${d.code} ${d.path}`)).toEqual([
      'E301 /blocks/it/weights/bad', 'E301 /blocks/it/weights/worse', 'E601 /blocks/it/body/0/a', 'E403 /blocks/it/body/3/d', 'E405 /blocks/it/body/4/e', 'E403 /blocks/it/body/5/f',
    ]);
  });

  test('a mistake in several layers is reported once, one in another step too', () => {
    const text = `
peel: 1
params: { dim: 4 }
embeddings: { token: { rows: 9, dim: dim } }
blocks:
  one: { body: [ { y: x + nowhere } ] }
  two: { weights: { w: [3, dim] }, body: [ { y: "linear(x, w)" } ] }
layers:
  repeat: 3
  residual:
    - parallel: [ { id: one, block: { use: one } }, { id: two, block: { use: two } } ]
    - { id: kept, attention: { heads: 2, kv_from: "i > 0 ? 0 : null" } }
output: {}
`;
    const { spec } = loadSpec('block.yaml', () => text);
    const { model, diagnostics } = resolveModel(spec!, {});
    expect(diagnostics).toEqual([]);
    expect(lowerModel(model!).diagnostics.map((d) => `${d.code} ${d.path}`)).toEqual(['E403 /blocks/one/body/0/y', 'E601 /blocks/two/body/0/y']);
  });

  test('an activation of the spec can be called, and keeps its weights under the block', () => {
    const { graph, diagnostics } = lower('body: [ { y: bend(x) } ]', '{ use: it }', 'activations: { bend: { weights: { a: [1] }, value: "x > 0 ? x : a * x" } }');
    expect(diagnostics).toEqual([]);
    expect(graph?.weights.map((w) => w.slot)).toContain('layers.0.it.activation.bend.a');
  });
});
