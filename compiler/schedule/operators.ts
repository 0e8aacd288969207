/** The value of one element of each operator's result, as an expression over the result's axes. */
import { InternalError } from '../diagnostics.ts';
import { add, at, axes, axis, dim, dimIndex, div, int, mod, mul, sub } from '../kernels/index-expression.ts';
import { binary, constant, indexValue, load, mapIndices, reduce, rewriteScalar, select, unary } from '../kernels/scalar-expression.ts';
import { LOWEST } from '../kernels/scalar-functions.ts';
import { simplifyIndex } from '../kernels/simplify-index.ts';
import { reshapeIndex } from './reshape.ts';
import type { Dim, Index, Scalar, Shape } from '../kernels/scalar.ts';
import type { DType, MaskWindow, Node, Operator } from '../graph/types.ts';

/** What a masked score is: below every real score, with room for sums and products before it overflows. */
export const MASKED = -1e30;

/** An operand: its buffer (as an open source) and type. */
export interface Operand { readonly source: number; readonly dtype: DType; readonly shape: Shape }

export const read = (x: Operand, index: readonly Index[]): Scalar =>
  x.dtype === 'f32' ? load(x.source, index) : indexValue(at(x.source, index));

const product = (a: Scalar, b: Scalar): Scalar => binary('mul', a, b);
const sum = (a: Scalar, b: Scalar): Scalar => binary('add', a, b);
const difference = (a: Scalar, b: Scalar): Scalar => binary('sub', a, b);
const square = (a: Scalar): Scalar => product(a, a);

/** Operators that one nest computes: everything but topk, concat, cache and the leaves; linear where its matrix is no weight. */
export function nestValue(node: Node, inputs: readonly Operand[]): Scalar {
  const rank = node.shape.length;
  const here = axes(rank);
  const [x, y] = inputs;
  const first = (): Operand => x ?? missing(node);
  const second = (): Operand => y ?? missing(node);
  const operator = node.operator;
  switch (operator.op) {
    case 'map': return mapValue(node, operator.expression, inputs);
    case 'gather': {
      const ids = second();
      const rest = here.slice(ids.shape.length);
      return read(first(), [at(ids.source, here.slice(0, ids.shape.length)), ...rest]);
    }
    case 'norm': return normValue(operator, first(), here);
    case 'softmax': return softmaxValue(first(), y, here);
    case 'reduce': return reduceValue(operator, first(), here);
    case 'rope': return ropeValue(operator, first(), second(), here);
    case 'mask': return select(visible(operator, axis(0), axis(rank - 1)), read(first(), here), constant(MASKED));
    case 'scores': {
      const [q, k] = [first(), second()];
      const element = axis(3);
      return reduce('sum', 3, q.shape[2] as Dim,
        product(read(q, [axis(0), axis(1), element]), read(k, [axis(2), kvHead(axis(1), q.shape[1], k.shape[1]), element])));
    }
    case 'mix': {
      const [p, v] = [first(), second()];
      const key = axis(3);
      return reduce('sum', 3, p.shape[2] as Dim,
        product(read(p, [axis(0), axis(1), key]), read(v, [key, kvHead(axis(1), p.shape[1], v.shape[1]), axis(2)])));
    }
    case 'take': return read(first(), [...here.slice(0, -1), at(second().source, here)]);
    case 'member': {
      const index = first();
      const outer = here.slice(0, -1);
      const chosen = indexValue(at(index.source, [...outer, axis(rank)]));
      return reduce('max', rank, index.shape.at(-1) as Dim, binary('eq', chosen, indexValue(axis(rank - 1))));
    }
    case 'reshape': return read(first(), reshapeIndex(first().shape, node.shape, here));
    case 'transpose': {
      const index = new Array<Index>(rank).fill(int(0));
      operator.permutation.forEach((from, n) => { index[from] = axis(n); });
      return read(first(), index);
    }
    case 'slice': return read(first(), here.map((i, n) => (n === operator.axis ? add(i, int(operator.start)) : i)));
    case 'lag': return lagValue(operator.rows, first(), here);
    case 'tail': return read(first(), [add(sub(dim('T'), dim('R')), axis(0)), ...here.slice(1)]);
    case 'row': return read(first(), [operator.which === 'first' ? int(0) : sub(dimIndex(first().shape[0] as Dim), int(1)), ...here.slice(1)]);
    case 'linear': return linearValue(operator.group, first(), second(), inputs[2], rank);
    case 'input': case 'weight': case 'constant': case 'cache': case 'topk': case 'concat':
      throw new InternalError('schedule', `${operator.op} is not a nest (node ${node.id})`);
    default: return operator satisfies never;
  }
}

/** Row P + t - rows, where there is one. The index stays inside the state where there is none. */
function lagValue(rows: number, x: Operand, here: readonly Index[]): Scalar {
  const from = sub(add(dim('P'), axis(0)), int(rows));
  const inside: Index = { op: 'max', a: from, b: int(0) };
  return select(binary('ge', indexValue(from), constant(0)), read(x, [inside, ...here.slice(1)]), constant(0));
}

/** Sum over k of x[rows, k] * w[n, k], or of the matrix that the head or the chosen expert has. */
function linearValue(group: 'none' | 'head' | 'expert', x: Operand, w: Operand, choice: Operand | undefined, rank: number): Scalar {
  const rows = axes(rank - 1);
  const k = axis(rank);
  const matrix = group === 'none' ? [] : group === 'head' ? [axis(1)] : choice ? [at(choice.source, rows)] : [];
  return reduce('sum', rank, x.shape.at(-1) as Dim,
    product(read(x, [...rows.slice(0, x.shape.length - 1), k]), read(w, [...matrix, axis(rank - 1), k])));
}

const missing = (node: Node): never => { throw new InternalError('schedule', `node ${node.id} (${node.operator.op}) lacks an operand`); };

/** Query head h of H reads key head floor(h * g / H). */
const kvHead = (head: Index, heads: Dim | undefined, kvHeads: Dim | undefined): Index => {
  if (typeof heads !== 'number' || typeof kvHeads !== 'number') throw new InternalError('schedule', 'attention needs known numbers of heads');
  return div(mul(head, kvHeads), heads);
};

/** The element of an operand that is broadcast to `shape` by aligning last axes. */
export const broadcastIndex = (operand: Shape, rank: number): Index[] =>
  operand.map((extent, n) => (extent === 1 ? int(0) : axis(rank - operand.length + n)));

function mapValue(node: Node, expression: Scalar, inputs: readonly Operand[]): Scalar {
  const rank = node.shape.length;
  const value = rewriteScalar(expression, (part) => {
    if (part.op !== 'arg') return part.op === 'const' ? finite(part) : undefined;
    const operand = inputs[part.arg] ?? missing(node);
    return read(operand, broadcastIndex(operand.shape, rank));
  });
  if (node.dtype === 'f32') return value;
  const whole = asIndex(value);
  return whole ? indexValue(whole) : value;
}

/** Infinities do not survive JSON, and devices may lack them. */
const finite = (x: Extract<Scalar, { op: 'const' }>): Scalar =>
  Number.isFinite(x.value) || Number.isNaN(x.value) ? x : constant(x.value > 0 ? -LOWEST : LOWEST);

/** A whole-number expression of positions as an `Index`. */
function asIndex(x: Scalar): Index | undefined {
  switch (x.op) {
    case 'const': return Number.isInteger(x.value) ? int(x.value) : undefined;
    case 'index': return x.index;
    case 'binary': {
      const a = asIndex(x.a);
      const b = asIndex(x.b);
      if (!a || !b) return undefined;
      if (x.fn === 'add' || x.fn === 'sub' || x.fn === 'min' || x.fn === 'max') return { op: x.fn, a, b };
      if (x.fn === 'mul' && b.op === 'int') return mul(a, b.value);
      if (x.fn === 'mul' && a.op === 'int') return mul(b, a.value);
      return undefined;
    }
    default: return undefined;
  }
}

function normValue(operator: Extract<Operator, { op: 'norm' }>, x: Operand, here: readonly Index[]): Scalar {
  const rank = here.length;
  const extent = x.shape.at(-1) as Dim;
  const outer = here.slice(0, -1);
  const value = read(x, here);
  const other = read(x, [...outer, axis(rank)]);
  const total = (body: Scalar): Scalar => reduce('sum', rank, extent, body);
  const mean = (body: Scalar): Scalar => binary('div', total(body), indexValue(dimIndex(extent)));
  switch (operator.kind) {
    case 'rms': return product(value, unary('rsqrt', sum(mean(square(other)), constant(operator.eps))));
    case 'l2': return binary('div', value, binary('max', unary('sqrt', total(square(other))), constant(operator.eps)));
    case 'layer': {
      // The mean inside the variance is the same row's: its axis is one deeper where nested.
      const inner = read(x, [...outer, axis(rank + 1)]);
      const nestedMean = binary('div', reduce('sum', rank + 1, extent, inner), indexValue(dimIndex(extent)));
      const variance = mean(square(difference(other, nestedMean)));
      return product(difference(value, mean(other)), unary('rsqrt', sum(variance, constant(operator.eps))));
    }
    default: return operator.kind satisfies never;
  }
}

/** exp(x - m) / sum exp(x - m), m the largest; a sink takes part in m and in the sum. */
function softmaxValue(x: Operand, sinks: Operand | undefined, here: readonly Index[]): Scalar {
  const rank = here.length;
  const extent = x.shape.at(-1) as Dim;
  const at = (index: Index): Scalar => read(x, [...here.slice(0, -1), index]);
  const sink = sinks && read(sinks, [here.at(-2) as Index]);
  const largest = (depth: number): Scalar => {
    const m = reduce('max', depth, extent, at(axis(depth)));
    return sink ? binary('max', m, sink) : m;
  };
  const total = reduce('sum', rank, extent, unary('exp', difference(at(axis(rank)), largest(rank + 1))));
  const whole = sink ? sum(total, unary('exp', difference(sink, largest(rank)))) : total;
  return binary('div', unary('exp', difference(at(axis(rank - 1)), largest(rank))), whole);
}

function reduceValue(operator: Extract<Operator, { op: 'reduce' }>, x: Operand, here: readonly Index[]): Scalar {
  const bound = here.length;
  const extent = x.shape[operator.axis] as Dim;
  const index = [...here.slice(0, operator.axis), axis(bound), ...here.slice(operator.axis)];
  const body = read(x, index);
  if (operator.fn !== 'mean') return reduce(operator.fn, bound, extent, body);
  return binary('div', reduce('sum', bound, extent, body), indexValue(dimIndex(extent)));
}

/**
 * half: (j, j + r/2), interleaved: (2j, 2j + 1). The first of a pair becomes a cos - b sin, the second b cos + a sin.
 * All indices stay inside the operands for every j, rotated or not.
 */
function ropeValue(operator: Extract<Operator, { op: 'rope' }>, x: Operand, angles: Operand, here: readonly Index[]): Scalar {
  const { dims } = operator;
  const half = dims / 2;
  const outer = here.slice(0, -1);
  const j = here.at(-1) as Index;
  const isHalf = operator.pairing === 'half';
  const pair = isHalf ? mod(j, half) : mod(div(j, 2), half);
  const partner = isHalf ? mod(add(j, int(half)), dims) : mod(add(mul(div(j, 2), 2), mod(add(j, int(1)), 2)), dims);
  const isFirst = isHalf ? binary('lt', indexValue(j), constant(half)) : binary('eq', indexValue(mod(j, 2)), constant(0));
  const angle = read(angles, [here[0] as Index, pair]);
  const scaled = (v: Scalar): Scalar => (operator.scale === 1 ? v : product(v, constant(operator.scale)));
  const sine = scaled(unary('sin', angle));
  const rotated = sum(
    product(read(x, here), scaled(unary('cos', angle))),
    product(read(x, [...outer, partner]), select(isFirst, unary('neg', sine), sine)),
  );
  if (dims === x.shape.at(-1)) return rotated;
  return select(binary('lt', indexValue(j), constant(dims)), rotated, read(x, here));
}

/** 1 where query t (at position P + t) may see key s. */
function visible(mask: { readonly causal: boolean; readonly window?: MaskWindow }, t: Index, s: Index): Scalar {
  const q = add(dim('P'), t);
  const conditions: Scalar[] = [];
  if (mask.causal) conditions.push(binary('le', indexValue(s), indexValue(q)));
  if (mask.window) {
    const { kind, size } = mask.window;
    if (kind === 'sliding') conditions.push(binary('gt', indexValue(s), indexValue(sub(q, int(size)))));
    else if (kind === 'chunked') conditions.push(binary('eq', indexValue(div(s, size)), indexValue(div(q, size))));
    else if (kind === 'symmetric') conditions.push(binary('le', unary('abs', indexValue(sub(q, s))), constant(size)));
    else kind satisfies never;
  }
  return conditions.reduce((a, b) => product(a, b), constant(1));
}

/** Indices simplified for the node's own shape. */
export const simplified = (value: Scalar, space: Shape): Scalar => mapIndices(value, simplifyIndex, (n) => space[n]);
