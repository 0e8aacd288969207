/** Maps and reshapes of constants are computed when compiling. */
import { applyBinary, applyUnary } from '../../kernels/scalar-functions.ts';
import type { GraphPass } from '../types.ts';
import type { Graph, Node, NodeId } from '../../graph/types.ts';
import type { Index, Scalar } from '../../kernels/scalar.ts';

/** Larger results are computed where they are used. */
const MOST_ELEMENTS = 65536;

export const foldConstantsPass: GraphPass = {
  name: 'fold-constants',
  description: 'maps and reshapes of constants are computed when compiling',
  run(graph: Graph): Graph {
    const known = new Map<NodeId, Node>();
    const nodes = graph.nodes.map((node) => {
      const folded = fold(node, node.inputs.map((id) => known.get(id)));
      if (folded.operator.op === 'constant') known.set(folded.id, folded);
      return folded;
    });
    return { ...graph, nodes };
  },
};

function fold(node: Node, inputs: readonly (Node | undefined)[]): Node {
  const shape = node.shape.filter((d) => typeof d === 'number');
  const size = shape.reduce((a, b) => a * b, 1);
  if (shape.length !== node.shape.length || size > MOST_ELEMENTS || node.dtype !== 'f32') return node;
  const constants = inputs.flatMap((x) => (x?.operator.op === 'constant' ? [{ data: x.operator.data, shape: x.shape as readonly number[] }] : []));
  if (constants.length !== inputs.length) return node;
  const [first] = constants;
  if (node.operator.op === 'reshape' && first) return { ...node, operator: { op: 'constant', data: first.data }, inputs: [] };
  if (node.operator.op !== 'map') return node;
  const data: number[] = [];
  for (let n = 0; n < size; n++) {
    const at = coordinates(n, shape);
    const value = evaluate(node.operator.expression, at, (i) => {
      const x = constants[i];
      return x ? x.data[offset(at.slice(at.length - x.shape.length), x.shape)] : undefined;
    });
    if (value === undefined || !Number.isFinite(value)) return node;
    data.push(value);
  }
  return { ...node, operator: { op: 'constant', data }, inputs: [] };
}

function coordinates(n: number, shape: readonly number[]): number[] {
  const at = new Array<number>(shape.length).fill(0);
  let rest = n;
  for (let a = shape.length - 1; a >= 0; a--) {
    const extent = shape[a] as number;
    at[a] = rest % extent;
    rest = Math.floor(rest / extent);
  }
  return at;
}
/** Axes of one element are broadcast. */
const offset = (at: readonly number[], shape: readonly number[]): number =>
  shape.reduce((n, extent, a) => n * extent + (extent === 1 ? 0 : (at[a] as number)), 0);

/** undefined where the value is known only when a step runs. */
function evaluate(x: Scalar, at: readonly number[], operand: (n: number) => number | undefined): number | undefined {
  switch (x.op) {
    case 'const': return x.value;
    case 'arg': return operand(x.arg);
    case 'index': return position(x.index, at);
    case 'unary': { const a = evaluate(x.x, at, operand); return a === undefined ? undefined : applyUnary(x.fn, a); }
    case 'binary': {
      const [a, b] = [evaluate(x.a, at, operand), evaluate(x.b, at, operand)];
      return a === undefined || b === undefined ? undefined : applyBinary(x.fn, a, b);
    }
    case 'select': {
      const c = evaluate(x.condition, at, operand);
      return c === undefined ? undefined : evaluate(c !== 0 ? x.then : x.else, at, operand);
    }
    case 'load': case 'accumulator': case 'reduce': return undefined;
    default: return x satisfies never;
  }
}

function position(i: Index, at: readonly number[]): number | undefined {
  switch (i.op) {
    case 'int': return i.value;
    case 'axis': return at[i.axis];
    case 'dim': case 'at': return undefined;
    case 'mul': case 'div': case 'mod': {
      const a = position(i.a, at);
      if (a === undefined) return undefined;
      return i.op === 'mul' ? a * i.by : i.op === 'div' ? Math.floor(a / i.by) : a - Math.floor(a / i.by) * i.by;
    }
    case 'add': case 'sub': case 'min': case 'max': {
      const [a, b] = [position(i.a, at), position(i.b, at)];
      if (a === undefined || b === undefined) return undefined;
      return i.op === 'add' ? a + b : i.op === 'sub' ? a - b : i.op === 'min' ? Math.min(a, b) : Math.max(a, b);
    }
    default: return i satisfies never;
  }
}
