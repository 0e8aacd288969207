/** Small graphs written by hand, for the compiler's tests: the shapes of real models with nothing that divides evenly by accident. */
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import { add, arg, binary, constant, mul, position, tokenPosition, unary } from '../../compiler/graph/expressions.ts';
import type { Graph, Node } from '../../compiler/graph/types.ts';

const silu = mul(arg(0), unary('sigmoid', arg(0)));

export interface LlamaShape {
  readonly vocab?: number; readonly dim?: number; readonly layers?: number; readonly heads?: number; readonly kvHeads?: number;
  readonly headDim?: number; readonly hidden?: number; readonly qkNorm?: boolean; readonly bias?: boolean; readonly ropeDims?: number;
  readonly pairing?: 'half' | 'interleaved'; readonly outputs?: boolean;
}

function norm(b: GraphBuilder, x: Node, slot: string, dim: number): Node {
  return b.within({ label: slot }, () => b.mul(b.norm('rms', x, 1e-5), b.weight(`${slot}.weight`, [dim])));
}
function projected(b: GraphBuilder, x: Node, slot: string, rows: number, columns: number, bias: boolean): Node {
  return b.within({ label: slot }, () => {
    const y = b.linear(x, b.weight(`${slot}.weight`, [rows, columns]));
    return bias ? b.add(y, b.weight(`${slot}.bias`, [rows])) : y;
  });
}

/** Angles [T, dims/2] from the position. */
function angles(b: GraphBuilder, dims: number): Node {
  const frequencies = b.constant(Array.from({ length: dims / 2 }, (_, j) => 10000 ** (-2 * j / dims)), [dims / 2]);
  return b.within({ label: 'rope' }, () => b.map([frequencies], mul(tokenPosition(0), arg(0)), ['T', dims / 2]));
}

/** LLaMA: rms norms, rotary attention over a cache, gated feed-forward; options for q/k norms, biases, partial rotation. */
export function llamaGraph(shape: LlamaShape = {}): Graph {
  const { vocab = 23, dim = 12, layers = 2, heads = 4, kvHeads = 2, headDim = 6, hidden = 10, qkNorm = false, bias = false, pairing = 'half', outputs = false } = shape;
  const ropeDims = shape.ropeDims ?? headDim;
  const b = new GraphBuilder('llama');
  const angle = angles(b, ropeDims);
  let x = b.within({ label: 'embeddings' }, () => b.gather(b.weight('embeddings.token.weight', [vocab, dim]), b.input('ids')));
  for (let i = 0; i < layers; i++) {
    x = b.within({ layer: i }, () => {
      const at = `layers.${i}.attention`;
      const n = norm(b, x, `${at}.norm`, dim);
      const head = (name: 'q' | 'k', count: number): Node => {
        const flat = projected(b, n, `${at}.${name}`, count * headDim, dim, bias);
        const split = b.reshape(flat, ['T', count, headDim]);
        const normed = qkNorm ? norm(b, split, `${at}.${name}_norm`, headDim) : split;
        return b.within({ label: `${at}.${name}.rope` }, () => b.node({ op: 'rope', pairing, dims: ropeDims, scale: 1 }, [normed, angle]));
      };
      const q = head('q', heads);
      const k = b.cache(`${at}.k`, head('k', kvHeads));
      const v = b.cache(`${at}.v`, b.reshape(projected(b, n, `${at}.v`, kvHeads * headDim, dim, bias), ['T', kvHeads, headDim]));
      const mixed = b.within({ label: at }, () => {
        const scores = b.scale(b.node({ op: 'scores' }, [q, k]), headDim ** -0.5);
        return b.node({ op: 'mix' }, [b.softmax(b.node({ op: 'mask', causal: true }, [scores])), v]);
      });
      const y = b.add(x, projected(b, b.reshape(mixed, ['T', heads * headDim]), `${at}.o`, dim, heads * headDim, bias));
      const ffn = `layers.${i}.ffn`;
      const m = norm(b, y, `${ffn}.norm`, dim);
      const gate = b.within({ label: `${ffn}.gate` }, () => b.map([projected(b, m, `${ffn}.gate`, hidden, dim, bias)], silu));
      const product = b.mul(gate, projected(b, m, `${ffn}.up`, hidden, dim, bias));
      return b.add(y, projected(b, product, `${ffn}.down`, dim, hidden, bias));
    });
    if (outputs) b.output(`hidden.${i}`, x);
  }
  const final = norm(b, b.node({ op: 'tail' }, [x]), 'output.norm', dim);
  b.output('logits', projected(b, final, 'output.linear', vocab, dim, false));
  return b.finish();
}

/** A decoder block of the other school: layer norms, learned positions, biases, parallel branches, ALiBi, sinks, a window, a soft cap. */
export function oddGraph(): Graph {
  const [vocab, dim, heads, headDim, hidden] = [17, 10, 2, 5, 7];
  const b = new GraphBuilder('odd');
  const layerNorm = (x: Node, slot: string): Node => b.within({ label: slot }, () =>
    b.map([b.norm('layer', x, 1e-5), b.weight(`${slot}.weight`, [dim]), b.weight(`${slot}.bias`, [dim])], add(mul(arg(0), arg(1)), arg(2))));
  const token = b.gather(b.weight('embeddings.token.weight', [vocab, dim]), b.input('ids'));
  const place = b.gather(b.weight('embeddings.position.weight', [32, dim]), b.input('positions'));
  const x = layerNorm(b.add(b.scale(token, 2), place), 'embeddings.norm');
  const n = layerNorm(x, 'layers.0.norm');
  const flat = projected(b, n, 'layers.0.qkv', 3 * heads * headDim, dim, true);
  const part = (from: number): Node => b.reshape(b.slice(flat, 1, from * heads * headDim, heads * headDim), ['T', heads, headDim]);
  const [k, v] = [b.cache('k', part(1)), b.cache('v', part(2))];
  const slopes = b.constant([0.5, 0.25], [heads, 1]);
  const scores = b.map([b.node({ op: 'scores' }, [part(0), k]), slopes],
    add(mul(constant(5), unary('tanh', mul(arg(0), constant(0.1)))), mul(arg(1), position(2))));
  const masked = b.node({ op: 'mask', causal: true, window: { kind: 'sliding', size: 3 } }, [scores]);
  const mixed = b.node({ op: 'mix' }, [b.softmax(masked, b.weight('layers.0.sinks', [heads])), v]);
  const attention = projected(b, b.reshape(mixed, ['T', heads * headDim]), 'layers.0.o', dim, heads * headDim, true);
  const up = b.map([projected(b, n, 'layers.0.up', hidden, dim, true)], mul(mul(constant(0.5), arg(0)), add(constant(1), unary('erf', mul(arg(0), constant(Math.SQRT1_2))))));
  const ffn = projected(b, up, 'layers.0.down', dim, hidden, true);
  const y = b.within({ label: 'layers.0.residual' }, () => b.map([x, attention, ffn], add(arg(0), add(arg(1), arg(2)))));
  b.output('hidden.0', y);
  const logits = b.linear(layerNorm(b.node({ op: 'tail' }, [y]), 'output.norm'), b.weight('embeddings.token.weight', [vocab, dim]));
  b.output('logits', b.softcap(logits, 3));
  return b.finish();
}

/** Latent attention (one cached row [latent | rotated key]) and a mixture of experts with a shared one. */
export function latentExpertsGraph(): Graph {
  const [vocab, dim, heads, rank, nope, rope, value, experts, chosen, hidden] = [19, 12, 3, 8, 5, 4, 6, 5, 2, 7];
  const b = new GraphBuilder('latent-experts');
  const angle = angles(b, rope);
  const x = b.gather(b.weight('embeddings.token.weight', [vocab, dim]), b.input('ids'));
  const n = norm(b, x, 'layers.0.attention.norm', dim);
  const at = 'layers.0.attention';
  const turn = (y: Node): Node => b.node({ op: 'rope', pairing: 'interleaved', dims: rope, scale: 1.25 }, [y, angle]);
  const q = b.reshape(projected(b, n, `${at}.q`, heads * (nope + rope), dim, false), ['T', heads, nope + rope]);
  const kvA = projected(b, n, `${at}.kv_a`, rank + rope, dim, false);
  const latent = norm(b, b.slice(kvA, 1, 0, rank), `${at}.kv_a_norm`, rank);
  const row = b.concat([latent, b.reshape(turn(b.reshape(b.slice(kvA, 1, rank, rope), ['T', 1, rope])), ['T', rope])], 1);
  const cached = b.cache(`${at}.latent`, b.reshape(row, ['T', 1, rank + rope]));
  const absorbed = b.headLinear(b.slice(q, 2, 0, nope), b.weight(`${at}.k_b`, [heads, rank, nope]));
  const query = b.concat([absorbed, turn(b.slice(q, 2, nope, rope))], 2);
  const scores = b.scale(b.node({ op: 'scores' }, [query, cached]), 0.3);
  const mixed = b.node({ op: 'mix' }, [b.softmax(b.node({ op: 'mask', causal: true }, [scores])), b.slice(cached, 2, 0, rank)]);
  const values = b.headLinear(mixed, b.weight(`${at}.v_b`, [heads, value, rank]));
  const y = b.add(x, projected(b, b.reshape(values, ['T', heads * value]), `${at}.o`, dim, heads * value, false));
  const m = norm(b, y, 'layers.0.ffn.norm', dim);
  const scored = b.softmax(projected(b, m, 'layers.0.ffn.router', experts, dim, false));
  const choice = b.node({ op: 'topk', k: chosen }, [b.add(scored, b.weight('layers.0.ffn.router.selection_bias', [experts]))]);
  const taken = b.node({ op: 'take' }, [scored, choice]);
  const weights = b.map([taken, b.reshape(b.reduce('sum', taken, 1), ['T', 1])], binary('div', arg(0), arg(1)));
  const expert = (name: string, rows: number, columns: number): Node => b.weight(`layers.0.ffn.experts.${name}`, [experts, rows, columns]);
  const inner = b.map([b.expertLinear(m, expert('gate', hidden, dim), choice), b.expertLinear(m, expert('up', hidden, dim), choice)], mul(silu, arg(1)));
  const each = b.expertLinear(inner, expert('down', dim, hidden), choice);
  const routed = b.reduce('sum', b.mul(each, b.reshape(weights, ['T', chosen, 1])), 1);
  const shared = projected(b, b.map([projected(b, m, 'layers.0.ffn.shared.gate', hidden, dim, false), projected(b, m, 'layers.0.ffn.shared.up', hidden, dim, false)], mul(silu, arg(1))),
    'layers.0.ffn.shared.down', dim, hidden, false);
  const z = b.map([y, routed, shared], add(arg(0), add(arg(1), arg(2))));
  b.output('logits', b.linear(norm(b, b.node({ op: 'tail' }, [z]), 'output.norm', dim), b.weight('output.linear.weight', [vocab, dim])));
  return b.finish();
}

/** An encoder without a cache: bidirectional with a symmetric window, then one pooled row and the mean over tokens. */
export function encoderGraph(): Graph {
  const [vocab, dim, heads, headDim] = [13, 8, 2, 4];
  const b = new GraphBuilder('encoder');
  const token = b.gather(b.weight('embeddings.token.weight', [vocab, dim]), b.input('ids'));
  const type = b.gather(b.weight('embeddings.types.weight', [2, dim]), b.input('types'));
  const x = b.add(token, type);
  const part = (name: string): Node => b.reshape(projected(b, x, `layers.0.${name}`, heads * headDim, dim, true), ['T', heads, headDim]);
  const scores = b.scale(b.node({ op: 'scores' }, [part('q'), part('k')]), 0.5);
  const masked = b.node({ op: 'mask', causal: false, window: { kind: 'symmetric', size: 2 } }, [scores]);
  const mixed = b.node({ op: 'mix' }, [b.softmax(masked), part('v')]);
  const y = b.norm('layer', b.add(x, projected(b, b.reshape(mixed, ['T', heads * headDim]), 'layers.0.o', dim, heads * headDim, true)), 1e-12);
  b.output('final', y);
  b.output('pooled', b.unary('tanh', projected(b, b.node({ op: 'row', which: 'first' }, [y]), 'pool', dim, dim, true)));
  b.output('mean', b.reduce('mean', b.transpose(y, [1, 0]), 1));
  b.output('last', b.norm('l2', b.node({ op: 'row', which: 'last' }, [y]), 1e-12));
  return b.finish();
}

export const handGraphs: readonly (readonly [string, () => Graph])[] = [
  ['llama', () => llamaGraph()],
  ['llama with taps', () => llamaGraph({ outputs: true })],
  ['llama, q/k norms and biases, partly rotated', () => llamaGraph({ qkNorm: true, bias: true, ropeDims: 4 })],
  ['llama, interleaved, one key head, one layer', () => llamaGraph({ pairing: 'interleaved', kvHeads: 1, layers: 1 })],
  ['odd', oddGraph],
  ['latent attention and experts', latentExpertsGraph],
  ['encoder', encoderGraph],
];
