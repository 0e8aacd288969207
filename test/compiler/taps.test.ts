/** Names of values, and patterns of them as outputs. */
import { describe, expect, test } from 'vitest';
import { verifyGraph } from '../../compiler/graph/verify.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { commonSubexpressionsPass } from '../../compiler/passes/graph/common-subexpressions.ts';
import { deadCodePass } from '../../compiler/passes/graph/dead-code.ts';
import { tapGraph } from '../../compiler/taps.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { loadText } from './models.ts';
import type { Graph } from '../../compiler/graph/types.ts';

function graphOf(layer: string, more = ''): Graph {
  const { spec } = loadText(`peel: 1
embeddings: { token: { rows: 11, dim: 8 } }
normalization: { kind: rmsnorm, eps: 0.00001 }
layers: { repeat: 2, residual: ${layer} }
output: { norm: default, linear: { tied: true } }
${more}`);
  const { model, diagnostics } = resolveModel(spec!, {});
  if (!model) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const { graph, diagnostics: found } = lowerModel(model);
  if (!graph) throw new Error(found.map((d) => d.message).join('\n'));
  return graph;
}
/** `name type[shape]` of everything in layer 1, without `layers.1.`. */
function layerValues(graph: Graph): string[] {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]));
  return graph.values.filter(({ name }) => name.startsWith('layers.1.')).map(({ name, node }) => {
    const { dtype, shape } = nodes.get(node)!;
    return `${name.slice('layers.1.'.length)} ${dtype === 'f32' ? '' : dtype}[${shape.join()}]`;
  });
}
const attention = '{ norm: default, attention: { heads: 4, kv_heads: 2, head_dim: 6, position: { rope: { theta: 10000 } } } }';
const ffn = '{ norm: default, ffn: { hidden: 12, activation: silu, gated: true } }';

describe('the values of', () => {
  test('attention and a feed-forward', () => {
    expect(layerValues(graphOf(`[${attention}, ${ffn}]`))).toEqual([
      'attention.norm [T,8]', 'attention.q [T,4,6]', 'attention.q_rope [T,4,6]', 'attention.k [T,2,6]', 'attention.k_rope [T,2,6]', 'attention.v [T,2,6]',
      'attention.keys [S,2,6]', 'attention.values [S,2,6]', 'attention.scores [T,4,S]', 'attention.probs [T,4,S]', 'attention.mixed [T,4,6]', 'attention.out [T,8]',
      'attention.residual [T,8]', 'ffn.norm [T,8]', 'ffn.up [T,12]', 'ffn.gate [T,12]', 'ffn.hidden [T,12]', 'ffn.out [T,8]', 'ffn.residual [T,8]',
    ]);
  });

  test('the model around its layers', () => {
    const names = graphOf(`[${ffn}]`).values.map(({ name }) => name).filter((name) => !name.startsWith('layers.'));
    expect(names).toEqual(['embeddings.token', 'embeddings', 'hidden.0', 'hidden.1', 'final', 'logits']);
  });

  test('a mixture of experts: router, choice, weights, each chosen expert, their sum, the shared ones', () => {
    const moe = '{ moe: { experts: 4, top_k: 2, router: { score: sigmoid }, expert: { hidden: 5, activation: silu, gated: true }, shared: { hidden: 3, activation: relu, gated: false, gate: true } } }';
    expect(layerValues(graphOf(`[${moe}]`))).toEqual([
      'moe.router [T,4]', 'moe.router.scores [T,4]', 'moe.choice i32[T,2]', 'moe.weights [T,2]', 'moe.experts.up [T,2,5]', 'moe.experts.gate [T,2,5]',
      'moe.experts.hidden [T,2,5]', 'moe.experts.out [T,2,8]', 'moe.experts [T,8]', 'moe.shared.up [T,3]', 'moe.shared.hidden [T,3]', 'moe.shared.out [T,8]',
      'moe.shared [T,8]', 'moe.out [T,8]', 'moe.residual [T,8]',
    ]);
  });

  test('latent attention', () => {
    const mla = '{ mla: { heads: 2, kv_rank: 6, nope_dim: 4, rope_dim: 2, value_dim: 3, position: { rope: { theta: 10000, dims: 2 } } } }';
    expect(layerValues(graphOf(`[${mla}]`))).toEqual([
      'mla.q [T,2,6]', 'mla.kv [T,1,8]', 'mla.q_latent [T,2,8]', 'mla.keys [S,1,8]', 'mla.scores [T,2,S]', 'mla.probs [T,2,S]', 'mla.latent [T,2,6]', 'mla.mixed [T,2,3]',
      'mla.out [T,8]', 'mla.residual [T,8]',
    ]);
  });

  test('parallel branches, each by its id, with norms behind them', () => {
    const names = layerValues(graphOf(`[{ id: both, norm: default, post_norm: default, parallel: [ { id: a, ffn: { hidden: 4, activation: relu, gated: false } }, { id: b, norm: default, ffn: { hidden: 4, activation: relu, gated: false } } ] }]`));
    expect(names).toEqual(['both.norm [T,8]', 'a.up [T,4]', 'a.hidden [T,4]', 'a.out [T,8]', 'b.norm [T,8]', 'b.up [T,4]', 'b.hidden [T,4]', 'b.out [T,8]', 'both.post_norm [T,8]', 'both.residual [T,8]']);
  });

  test('a block whose last statement is called as its branch\'s result', () => {
    const blocks = 'blocks: { mine: { input: x, body: [ { h: "tanh(x)" }, { out: "h * 2" } ] } }';
    expect(layerValues(graphOf('[{ id: mixer, block: { use: mine } }]', blocks))).toEqual(['mixer.h [T,8]', 'mixer.out [T,8]', 'mixer.residual [T,8]']);
  });

  test('a block of the spec\'s own: every statement, under the step\'s id, and attention inside one', () => {
    const blocks = `blocks:
  mine:
    input: x
    weights: { w: [8, 8], a: [8] }
    body: [ { h: "linear(x, w)" }, { shift: "a" }, { decay: "exp(a)" }, { g: "h * decay" }, { out: "tanh(g)" }, { heads: "reshape(out, [2, 4])" }, { y: "reshape(attention(heads, heads, heads), [8])" } ]`;
    expect(layerValues(graphOf('[{ id: mixer, block: { use: mine } }]', blocks))).toEqual([
      'mixer.h [T,8]', 'mixer.decay [8]', 'mixer.g [T,8]', 'mixer.body.out [T,8]', 'mixer.heads [T,2,4]', 'mixer.y.scores [T,2,S]', 'mixer.y.probs [T,2,S]', 'mixer.y [T,8]',
      'mixer.out [T,8]', 'mixer.residual [T,8]',
    ]);
  });
});

describe('tapGraph', () => {
  const graph = graphOf(`[${attention}, ${ffn}]`);

  test('makes outputs of what patterns fit, in the order of computation, each once', () => {
    const tapped = tapGraph(graph, ['layers.*.ffn.out', 'layers.0.attention.{probs,q}', 'layers.1.ffn.out', 'logits']);
    expect(tapped.diagnostics).toEqual([]);
    expect(tapped.names).toEqual(['layers.0.attention.q', 'layers.0.attention.probs', 'layers.0.ffn.out', 'layers.1.ffn.out', 'logits']);
    expect(tapped.graph.outputs.map((o) => o.name)).toEqual([...graph.outputs.map((o) => o.name), ...tapped.names.slice(0, -1)]);
    verifyGraph(tapped.graph, 'test');
  });

  test('leaves the graph alone without patterns, and where all are outputs already', () => {
    expect(tapGraph(graph, []).graph).toBe(graph);
    expect(tapGraph(graph, ['hidden.*', 'final']).graph).toBe(graph);
  });

  test.each([
    ['layers.*.attn.probs', 'did you mean `layers.*.attention.probs`?'],
    ['layers.*.attn.*', 'did you mean `layers.*.attention.*`?'],
    ['layers.1.self_attn.q_proj', 'did you mean `layers.1.attention.q`?'],
    ['layers.*.ffn.gate_proj', 'did you mean `layers.*.ffn.gate`?'],
    ['layers.7.attention.q', 'did you mean `layers.0.attention.q`?'],
    ['logit', 'did you mean `logits`?'],
    ['probs', /^the nearest names are `layers\.\*\.attention\.probs`, /],
    ['', /^the nearest names are /],
  ])('E030: says of `%s`, which fits nothing, what is near', (pattern, hint) => {
    const { diagnostics, names } = tapGraph(graph, ['final', pattern], (n) => `/taps/${n}`);
    expect(names).toEqual(['final']);
    expect(diagnostics).toEqual([{ code: 'E030', severity: 'error', path: '/taps/1', message: `no value of the model fits \`${pattern}\``, hint: expect.stringMatching(hint) as string }]);
  });
});

test('passes over the graph keep names with their values', () => {
  const graph = graphOf(`[${attention}, ${ffn}]`);
  const passed = deadCodePass.run(commonSubexpressionsPass.run({ ...graph, outputs: graph.outputs.filter((o) => o.name === 'hidden.0') }));
  verifyGraph(passed, 'test');
  const names = passed.values.map(({ name }) => name);
  expect(names).toContain('layers.0.attention.probs');
  expect(names).not.toContain('layers.1.attention.probs');
});

test('a name for two values, or for none, is a mistake of ours', () => {
  const graph = graphOf(`[${ffn}]`);
  const [first] = graph.values;
  expect(() => verifyGraph({ ...graph, values: [...graph.values, first!] }, 'test')).toThrow('value embeddings.token is given twice');
  expect(() => verifyGraph({ ...graph, values: [{ name: 'x', node: 9999 }] }, 'test')).toThrow('value x: %9999 is not defined');
});
