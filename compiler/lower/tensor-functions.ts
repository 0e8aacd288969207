/** Functions of tensors that custom blocks call: the primitive operators, spelled for people. */
import { tokenPosition } from '../graph/expressions.ts';
import { lowerAttentionCore } from './attention-core.ts';
import { fail } from './lowering-error.ts';
import { lowerRope } from './rope.ts';
import type { Arguments } from './tensor-arguments.ts';
import type { Node } from '../graph/types.ts';

export interface TensorFunction {
  readonly signature: string;
  readonly arity: readonly [number, number];
  /** `label` is unique within the model: it names states. */
  readonly build: (a: Arguments, label: string) => Node;
}

const rows: readonly [string, readonly [number, number], TensorFunction['build']][] = [
  ['linear(x, weight, bias)', [2, 3], linear],
  ['experts(x, weight, choice)', [3, 3], (a) => a.ctx.graph.expertLinear(a.tensor(0), a.tensor(1), a.tensor(2))],
  ['rmsnorm(x, weight, eps)', [1, 3], (a) => norm(a, 'rms', 1e-6)],
  ['layernorm(x, weight, bias, eps)', [1, 4], (a) => norm(a, 'layer', 1e-5)],
  ['l2norm(x, eps)', [1, 2], (a) => norm(a, 'l2', 1e-12)],
  ['softmax(x)', [1, 1], (a) => a.ctx.graph.softmax(a.tensor(0))],
  ['sum(x, axis)', [1, 2], (a) => reduce(a, 'sum')],
  ['mean(x, axis)', [1, 2], (a) => reduce(a, 'mean')],
  ['amax(x, axis)', [1, 2], (a) => reduce(a, 'max')],
  ['amin(x, axis)', [1, 2], (a) => reduce(a, 'min')],
  ['gather(table, ids)', [2, 2], (a) => a.ctx.graph.gather(a.tensor(0), a.tensor(1))],
  ['topk(x, k)', [2, 2], (a) => a.ctx.graph.node({ op: 'topk', k: a.integer(1) }, [a.tensor(0)])],
  ['take(x, index)', [2, 2], (a) => a.ctx.graph.node({ op: 'take' }, [a.tensor(0), a.tensor(1)])],
  ['member(index, size)', [2, 2], (a) => a.ctx.graph.node({ op: 'member', size: a.integer(1) }, [a.tensor(0)])],
  ['reshape(x, [sizes])', [2, 2], reshape],
  ['transpose(x, [axes])', [2, 2], (a) => a.ctx.graph.transpose(a.tensor(0), a.integers(1))],
  ['slice(x, axis, start, length)', [4, 4], (a) => a.ctx.graph.slice(a.tensor(0), a.axis(1, a.tensor(0)), a.integer(2), a.integer(3))],
  ['concat([tensors], axis)', [1, 2], concat],
  ["rope(x, dims, theta, 'half' | 'interleaved')", [1, 4], rope],
  ['attention(q, k, v, scale, window, softcap)', [3, 6], (a, label) => attention(a, label, true)],
  ['bidirectional_attention(q, k, v, scale, window, softcap)', [3, 6], (a, label) => attention(a, label, false)],
  ['scores(q, k)', [2, 2], (a) => a.ctx.graph.node({ op: 'scores' }, [a.tensor(0), a.tensor(1)])],
  ['mask(scores, window)', [1, 2], mask],
  ['mix(probabilities, v)', [2, 2], (a) => a.ctx.graph.node({ op: 'mix' }, [a.tensor(0), a.tensor(1)])],
  ['lag(x, tokens)', [2, 2], (a, label) => lag(a, a.tensor(0), a.integer(1), label)],
  ['causal_conv(x, weight, bias)', [2, 3], causalConv],
  ['cache(x)', [1, 1], (a, label) => keep(a, a.tensor(0), label)],
];

export const tensorFunctions: ReadonlyMap<string, TensorFunction> = new Map(
  rows.map(([signature, arity, build]) => [signature.slice(0, signature.indexOf('(')), { signature, arity, build }]),
);

/** x[..., k] with w[n, k], or heads x[T, h, k] with w[h, n, k]; then plus bias. */
function linear(a: Arguments): Node {
  const { graph } = a.ctx;
  const [x, w] = [a.tensor(0), a.tensor(1)];
  const y = w.shape.length === 3 ? graph.headLinear(x, w) : graph.linear(x, w);
  return a.count > 2 ? graph.add(y, a.tensor(2)) : y;
}

/** Tensors after x are the weight and the bias; a number is eps. */
function norm(a: Arguments, kind: 'rms' | 'layer' | 'l2', fallback: number): Node {
  const { graph } = a.ctx;
  let eps = fallback;
  const weights: Node[] = [];
  for (let n = 1; n < a.count; n++) {
    if (a.isTensor(n)) weights.push(a.tensor(n));
    else eps = a.number(n, fallback);
  }
  const [weight, bias] = weights;
  const y = graph.norm(kind, a.tensor(0), eps);
  const scaled = weight ? graph.mul(y, weight) : y;
  return bias ? graph.add(scaled, bias) : scaled;
}

/** The reduced axis stays, with size 1, so that the result broadcasts against x. */
function reduce(a: Arguments, fn: 'sum' | 'mean' | 'max' | 'min'): Node {
  const x = a.tensor(0);
  const axis = a.axis(1, x);
  return a.ctx.graph.reshape(a.ctx.graph.reduce(fn, x, axis), x.shape.map((d, i) => (i === axis ? 1 : d)));
}

/** The token axis stays in front: sizes are those of one token. A tensor without a token axis is reshaped whole. */
function reshape(a: Arguments): Node {
  const x = a.tensor(0);
  const [first] = x.shape;
  return a.ctx.graph.reshape(x, typeof first === 'string' ? [first, ...a.integers(1)] : a.integers(1));
}

function concat(a: Arguments): Node {
  const parts = a.tensors(0);
  const [first] = parts;
  return first ? a.ctx.graph.concat(parts, a.axis(1, first)) : a.tensor(0);
}

/** Rotates the first `dims` elements (all by default) of heads x[T, h, d] by the tokens' positions. */
function rope(a: Arguments, label: string): Node {
  const x = a.tensor(0);
  return lowerRope(a.ctx, x, {
    kind: 'rope', start: 0, dims: a.integer(1, a.fixed(x.shape[2])), theta: a.number(2, 10000),
    pairing: a.choice(3, ['half', 'interleaved'], 'half'), scaling: { type: 'none' },
  }, label);
}

/** Scaled dot-product attention over heads; causal attention keeps k and v of earlier tokens unless `cache` gave them already. */
function attention(a: Arguments, label: string, causal: boolean): Node {
  const [q, k, v] = [a.tensor(0), a.tensor(1), a.tensor(2)];
  const kept = (x: Node, name: string): Node => (causal && x.shape[0] === 'T' ? keep(a, x, `${label}.${name}`) : x);
  const window = a.optionalNumber(4);
  const softcap = a.optionalNumber(5);
  return lowerAttentionCore(a.ctx, {
    q, k: kept(k, 'k'), v: kept(v, 'v'), causal,
    scale: a.number(3, 1 / Math.sqrt(a.fixed(q.shape[2]))),
    position: { kind: 'none' },
    ...(window === undefined ? {} : { window: { kind: causal ? 'sliding' : 'symmetric', size: window } }),
    ...(softcap === undefined ? {} : { softcap }),
  }, freeName(label, (name) => a.ctx.graph.hasValue(`${name}.scores`)));
}

/** Appends to a state called `label`, with a number behind it where a statement has several. */
function keep(a: Arguments, x: Node, label: string): Node {
  const { graph } = a.ctx;
  return graph.cache(freeName(label, (name) => graph.hasState(name)), x);
}

function freeName(label: string, taken: (name: string) => boolean): string {
  let name = label;
  for (let n = 2; taken(name); n++) name = `${label}.${n}`;
  return name;
}

/** x[T, ...] as it was some tokens before, 0 before the first token. The result of `cache` is used as it is. */
function lag(a: Arguments, x: Node, rows: number, label: string): Node {
  if (rows === 0 && x.shape[0] === 'T') return x;
  return a.ctx.graph.node({ op: 'lag', rows }, [x.shape[0] === 'S' ? x : keep(a, x, label)]);
}

/** A convolution over tokens, each channel by itself: x[T, c] with weight [c, k] or [c, 1, k], the last column for the token itself. */
function causalConv(a: Arguments, label: string): Node {
  const { graph } = a.ctx;
  const [x, weight] = [a.tensor(0), a.tensor(1)];
  const [channels, taps] = [a.fixed(x.shape[1]), a.fixed(weight.shape.at(-1))];
  if (weight.shape.reduce<number>((n, d) => n * a.fixed(d), 1) !== channels * taps) {
    return fail('E405', a.path, `argument 2 of \`${a.signature}\` must be a row for each of the ${channels} channels`);
  }
  const columns = graph.reshape(weight, [channels, taps]);
  const kept = taps > 1 ? keep(a, x, label) : x;
  let sum = a.count > 2 ? a.tensor(2) : undefined;
  for (let rows = taps - 1; rows >= 0; rows--) {
    const before = rows === 0 ? x : graph.node({ op: 'lag', rows }, [kept]);
    const product = graph.mul(before, graph.reshape(graph.slice(columns, 1, taps - 1 - rows, 1), [channels]));
    sum = sum ? graph.add(product, sum) : product;
  }
  return sum ?? x;
}

function mask(a: Arguments): Node {
  const window = a.optionalNumber(1);
  return a.ctx.graph.node({ op: 'mask', causal: true, ...(window === undefined ? {} : { window: { kind: 'sliding' as const, size: window } }) }, [a.tensor(0)]);
}

/** The position of each token as a number: [T, 1]. */
export function positions(graph: Arguments['ctx']['graph']): Node {
  return graph.map([], tokenPosition(0), ['T', 1]);
}
