/** The operator table: what each operator takes and gives, and how it prints. Semantics are described beside `Operator`. */
import { mapArity, printScalar } from './expressions.ts';
import {
  ShapeError, axisOf, broadcastsTo, elementCount, expectDim, expectRank, lastOf, sameShape, showShape, staticAxis,
} from './shapes.ts';
import type { DType, Dim, Operator, OperatorName, Shape } from './types.ts';

/** What a rule may look at of an operand. */
export interface Operand {
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface OperatorRow<O extends Operator> {
  /** Least and most operands. */
  readonly arity: readonly [number, number];
  /** The operands' types: one for all, or one each. */
  readonly operands: DType | readonly DType[] | 'any';
  /**
   * The result's shape from the operands'. `declared` is the shape that the node is given where the operands do not determine
   * it (inputs, weights, constants, maps, reshapes). Throws ShapeError where the operator is not defined.
   */
  readonly shape: (operator: O, inputs: readonly Shape[], declared: Shape | undefined) => Shape;
  readonly dtype: (operator: O, inputs: readonly Operand[]) => DType;
  /** Attributes as they appear in braces in the printed graph; empty for none. */
  readonly attributes: (operator: O) => string;
}

type Table = { readonly [K in OperatorName]: OperatorRow<Extract<Operator, { op: K }>> };

const f32 = (): DType => 'f32';
const i32 = (): DType => 'i32';
const sameType = (_: Operator, inputs: readonly Operand[]): DType => inputs[0]?.dtype ?? 'f32';
const none = (): string => '';

function operand(inputs: readonly Shape[], index: number): Shape {
  const shape = inputs[index];
  if (!shape) throw new ShapeError(`operand ${index} is missing`);
  return shape;
}

function needDeclared(operator: string, declared: Shape | undefined): Shape {
  if (!declared) throw new ShapeError(`${operator}: the result's shape must be given`);
  return declared;
}

function replaceAxis(shape: Shape, axis: number, size: Dim): Shape {
  return shape.map((d, i) => (i === axis ? size : d));
}

export const operatorTable: Table = {
  input: {
    arity: [0, 0], operands: [], dtype: i32,
    shape: () => ['T'],
    attributes: (o) => o.name,
  },
  weight: {
    arity: [0, 0], operands: [], dtype: f32,
    shape: (_, __, declared) => needDeclared('weight', declared),
    attributes: (o) => o.slot,
  },
  constant: {
    arity: [0, 0], operands: [], dtype: f32,
    shape: (o, _, declared) => {
      const shape = needDeclared('constant', declared);
      const { fixed, symbols } = elementCount(shape);
      if (symbols !== '' || fixed !== o.data.length) throw new ShapeError(`constant: ${o.data.length} values for ${showShape(shape)}`);
      return shape;
    },
    attributes: (o) => printConstant(o.data),
  },
  map: {
    arity: [0, 16], operands: 'f32', dtype: f32,
    shape: (o, inputs, declared) => {
      const shape = needDeclared('map', declared);
      const bad = inputs.find((s) => !broadcastsTo(s, shape));
      if (bad) throw new ShapeError(`map: ${showShape(bad)} does not broadcast to ${showShape(shape)}`);
      const used = mapArity(o.expression, shape.length);
      if (used > inputs.length) throw new ShapeError(`map: the expression uses ${used} operands of ${inputs.length}`);
      return shape;
    },
    attributes: (o) => printScalar(o.expression),
  },
  gather: {
    arity: [2, 2], operands: ['f32', 'i32'], dtype: f32,
    shape: (_, inputs) => {
      const [table, ids] = [operand(inputs, 0), operand(inputs, 1)];
      expectRank('gather', 'the table', table, 2);
      return [...ids, axisOf('gather', table, 1)];
    },
    attributes: none,
  },
  linear: {
    arity: [2, 3], operands: ['f32', 'f32', 'i32'], dtype: f32,
    shape: (o, inputs) => linearShape(o.group, inputs),
    attributes: (o) => (o.group === 'none' ? '' : o.group),
  },
  norm: {
    arity: [1, 1], operands: 'f32', dtype: f32,
    shape: (_, inputs) => (staticAxis('norm', operand(inputs, 0), operand(inputs, 0).length - 1), operand(inputs, 0)),
    attributes: (o) => `${o.kind},${o.eps}`,
  },
  softmax: {
    arity: [1, 2], operands: 'f32', dtype: f32,
    shape: (_, inputs) => {
      const x = operand(inputs, 0);
      lastOf('softmax', x);
      const sinks = inputs[1];
      if (sinks && !sameShape(sinks, [axisOf('softmax', x, 1)])) {
        throw new ShapeError(`softmax: sinks must be one a head, found ${showShape(sinks)} for ${showShape(x)}`);
      }
      return x;
    },
    attributes: none,
  },
  reduce: {
    arity: [1, 1], operands: 'f32', dtype: f32,
    shape: (o, inputs) => (axisOf('reduce', operand(inputs, 0), o.axis), operand(inputs, 0).filter((_, i) => i !== o.axis)),
    attributes: (o) => `${o.fn},axis=${o.axis}`,
  },
  rope: {
    arity: [2, 2], operands: 'f32', dtype: f32,
    shape: (o, inputs) => {
      const [x, angle] = [operand(inputs, 0), operand(inputs, 1)];
      expectRank('rope', 'the operand', x, 3);
      const width = staticAxis('rope', x, 2);
      if (o.dims % 2 !== 0 || o.dims > width) throw new ShapeError(`rope: ${o.dims} rotated elements of ${width}: must be even and at most the width`);
      if (!sameShape(angle, [axisOf('rope', x, 0), o.dims / 2])) throw new ShapeError(`rope: angles ${showShape(angle)} for ${showShape(x)}, ${o.dims} rotated`);
      return x;
    },
    attributes: (o) => `${o.pairing},dims=${o.dims}${o.scale === 1 ? '' : `,scale=${o.scale}`}`,
  },
  mask: {
    arity: [1, 1], operands: 'f32', dtype: f32,
    shape: (_, inputs) => (expectRank('mask', 'the scores', operand(inputs, 0), 3), operand(inputs, 0)),
    attributes: (o) => `${o.causal ? 'causal' : 'bidirectional'}${o.window ? `,${o.window.kind}=${o.window.size}` : ''}`,
  },
  scores: {
    arity: [2, 2], operands: 'f32', dtype: f32,
    shape: (_, inputs) => {
      const [q, k] = [operand(inputs, 0), operand(inputs, 1)];
      expectRank('scores', 'q', q, 3);
      expectRank('scores', 'k', k, 3);
      expectDim('scores', 'the width of k', axisOf('scores', k, 2), axisOf('scores', q, 2));
      headGroups('scores', staticAxis('scores', q, 1), staticAxis('scores', k, 1));
      return [axisOf('scores', q, 0), axisOf('scores', q, 1), axisOf('scores', k, 0)];
    },
    attributes: none,
  },
  mix: {
    arity: [2, 2], operands: 'f32', dtype: f32,
    shape: (_, inputs) => {
      const [p, v] = [operand(inputs, 0), operand(inputs, 1)];
      expectRank('mix', 'the probabilities', p, 3);
      expectRank('mix', 'v', v, 3);
      expectDim('mix', 'the length of v', axisOf('mix', v, 0), axisOf('mix', p, 2));
      headGroups('mix', staticAxis('mix', p, 1), staticAxis('mix', v, 1));
      return [axisOf('mix', p, 0), axisOf('mix', p, 1), axisOf('mix', v, 2)];
    },
    attributes: none,
  },
  cache: {
    arity: [1, 1], operands: 'f32', dtype: f32,
    shape: (_, inputs) => {
      expectDim('cache', 'the first axis', axisOf('cache', operand(inputs, 0), 0), 'T');
      return ['S', ...operand(inputs, 0).slice(1)];
    },
    attributes: (o) => o.state,
  },
  topk: {
    arity: [1, 1], operands: 'f32', dtype: i32,
    shape: (o, inputs) => {
      const x = operand(inputs, 0);
      const n = staticAxis('topk', x, x.length - 1);
      if (o.k < 1 || o.k > n) throw new ShapeError(`topk: ${o.k} of ${n}`);
      return replaceAxis(x, x.length - 1, o.k);
    },
    attributes: (o) => `${o.k}`,
  },
  take: {
    arity: [2, 2], operands: ['f32', 'i32'], dtype: f32,
    shape: (_, inputs) => {
      const [x, index] = [operand(inputs, 0), operand(inputs, 1)];
      if (!sameShape(x.slice(0, -1), index.slice(0, -1))) throw new ShapeError(`take: indices ${showShape(index)} for ${showShape(x)}`);
      return index;
    },
    attributes: none,
  },
  member: {
    arity: [1, 1], operands: 'i32', dtype: f32,
    shape: (o, inputs) => replaceAxis(operand(inputs, 0), operand(inputs, 0).length - 1, o.size),
    attributes: (o) => `${o.size}`,
  },
  reshape: {
    arity: [1, 1], operands: 'any', dtype: sameType,
    shape: (_, inputs, declared) => {
      const to = needDeclared('reshape', declared);
      const [a, b] = [elementCount(operand(inputs, 0)), elementCount(to)];
      if (a.fixed !== b.fixed || a.symbols !== b.symbols) throw new ShapeError(`reshape: ${showShape(operand(inputs, 0))} does not hold as many elements as ${showShape(to)}`);
      return to;
    },
    attributes: none,
  },
  transpose: {
    arity: [1, 1], operands: 'any', dtype: sameType,
    shape: (o, inputs) => {
      const x = operand(inputs, 0);
      const sorted = [...o.permutation].sort((a, b) => a - b);
      if (sorted.length !== x.length || sorted.some((p, i) => p !== i)) throw new ShapeError(`transpose: [${o.permutation.join(',')}] is no permutation of the axes of ${showShape(x)}`);
      return o.permutation.map((p) => axisOf('transpose', x, p));
    },
    attributes: (o) => o.permutation.join(','),
  },
  slice: {
    arity: [1, 1], operands: 'any', dtype: sameType,
    shape: (o, inputs) => {
      const x = operand(inputs, 0);
      const size = staticAxis('slice', x, o.axis);
      if (o.start < 0 || o.length < 1 || o.start + o.length > size) throw new ShapeError(`slice: ${o.start}..${o.start + o.length} of ${size} on axis ${o.axis}`);
      return replaceAxis(x, o.axis, o.length);
    },
    attributes: (o) => `axis=${o.axis},${o.start}..${o.start + o.length}`,
  },
  concat: {
    arity: [1, 16], operands: 'f32', dtype: f32,
    shape: (o, inputs) => {
      const first = operand(inputs, 0);
      let size = 0;
      for (const shape of inputs) {
        if (!sameShape(replaceAxis(shape, o.axis, 0), replaceAxis(first, o.axis, 0))) {
          throw new ShapeError(`concat: ${showShape(shape)} and ${showShape(first)} differ on an axis other than ${o.axis}`);
        }
        size += staticAxis('concat', shape, o.axis);
      }
      return replaceAxis(first, o.axis, size);
    },
    attributes: (o) => `axis=${o.axis}`,
  },
  lag: {
    arity: [1, 1], operands: 'f32', dtype: f32,
    shape: (o, inputs) => {
      expectDim('lag', 'the first axis', axisOf('lag', operand(inputs, 0), 0), 'S');
      if (!Number.isInteger(o.rows) || o.rows < 0) throw new ShapeError(`lag: ${o.rows} rows`);
      return ['T', ...operand(inputs, 0).slice(1)];
    },
    attributes: (o) => `${o.rows}`,
  },
  tail: {
    arity: [1, 1], operands: 'f32', dtype: f32,
    shape: (_, inputs) => {
      expectDim('tail', 'the first axis', axisOf('tail', operand(inputs, 0), 0), 'T');
      return ['R', ...operand(inputs, 0).slice(1)];
    },
    attributes: none,
  },
  row: {
    arity: [1, 1], operands: 'f32', dtype: f32,
    shape: (_, inputs) => {
      expectRank('row', 'the operand', operand(inputs, 0), 2);
      return [1, axisOf('row', operand(inputs, 0), 1)];
    },
    attributes: (o) => o.which,
  },
};

function headGroups(operator: string, heads: number, kvHeads: number): void {
  if (kvHeads < 1 || heads % kvHeads !== 0) throw new ShapeError(`${operator}: ${heads} heads do not divide among ${kvHeads} key and value heads`);
}

function linearShape(group: 'none' | 'head' | 'expert', inputs: readonly Shape[]): Shape {
  const [x, w] = [operand(inputs, 0), operand(inputs, 1)];
  expectDim('linear', `the width of the input ${showShape(x)} against the weight ${showShape(w)}`, lastOf('linear', x), lastOf('linear', w));
  if ((group === 'expert') !== (inputs.length === 3)) throw new ShapeError('linear: a choice of experts goes with group expert');
  switch (group) {
    case 'none':
      expectRank('linear', 'the weight', w, 2);
      return [...x.slice(0, -1), axisOf('linear', w, 0)];
    case 'head':
      expectRank('linear', 'the input', x, 3);
      expectRank('linear', 'the weight', w, 3);
      expectDim('linear', 'the number of heads in the weight', axisOf('linear', w, 0), axisOf('linear', x, 1));
      return [axisOf('linear', x, 0), axisOf('linear', x, 1), axisOf('linear', w, 1)];
    case 'expert': {
      const choice = operand(inputs, 2);
      expectRank('linear', 'the weight', w, 3);
      expectRank('linear', 'the choice', choice, 2);
      expectDim('linear', 'the tokens of the choice', axisOf('linear', choice, 0), axisOf('linear', x, 0));
      if (x.length === 3) expectDim('linear', 'the chosen experts of the input', axisOf('linear', x, 1), axisOf('linear', choice, 1));
      else expectRank('linear', 'the input', x, 2);
      return [axisOf('linear', x, 0), axisOf('linear', choice, 1), axisOf('linear', w, 1)];
    }
    default:
      return group satisfies never;
  }
}

function printConstant(data: readonly number[]): string {
  const shown = data.slice(0, 4).map((v) => String(v)).join(',');
  return data.length > 4 ? `${shown},...` : shown;
}

/** The row of an operator, typed for whichever operator it is. The cast holds because the table's key and the operator's tag are the same name. */
export function rowOf(operator: Operator): OperatorRow<Operator> {
  return operatorTable[operator.op] as OperatorRow<Operator>;
}

/** Shape and type of the result, or ShapeError. */
export function inferNode(operator: Operator, inputs: readonly Operand[], declared: Shape | undefined): Operand {
  const row = rowOf(operator);
  if (inputs.length < row.arity[0] || inputs.length > row.arity[1]) {
    throw new ShapeError(`${operator.op}: takes ${row.arity[0]} to ${row.arity[1]} operands, found ${inputs.length}`);
  }
  inputs.forEach((input, i) => {
    const expected = typeof row.operands === 'string' ? row.operands : row.operands[i];
    if (expected !== 'any' && input.dtype !== expected) throw new ShapeError(`${operator.op}: operand ${i} must be ${expected}, found ${input.dtype}`);
  });
  return { dtype: row.dtype(operator, inputs), shape: row.shape(operator, inputs.map((i) => i.shape), declared) };
}
