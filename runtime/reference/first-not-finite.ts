/** Where a model's numbers stop being numbers: a rerun on the reference that looks at every operator's result. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { Graph, Node } from '../../compiler/graph/types.ts';
import type { WeightProvider } from '../backend.ts';
import { loadReference } from './executor.ts';
import type { Tensor } from './tensor.ts';

export interface NotFinite {
  /** The first operator of the graph whose result holds such a value. */
  readonly node: Node;
  readonly value: number;
  /** The operator's weight that already holds one, and the first place in it. */
  readonly weight?: { readonly slot: string; readonly element: number };
}

/** Multiplications, about, beyond which a float64 interpreter takes longer than anybody waits for a message. */
const MOST_WORK = 4e9;

/**
 * Runs `ids` as one sequence on the reference and gives the first result that is NaN, infinite, or beyond f32; -infinity, which masks
 * use, counts in products, norms and means alone. Undefined where all is finite, or the model is too large to try.
 */
export async function firstNotFinite(graph: Graph, weights: WeightProvider, ids: readonly number[]): Promise<NotFinite | undefined> {
  const parameters = graph.weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  if (ids.length === 0 || parameters * ids.length > MOST_WORK) return undefined;
  let found: NotFinite | undefined;
  const executor = await loadReference(graph, weights, 'looking for the first value that is not a number', (node, result, operands) => {
    // A weight is named by the operator that uses it: rows that nothing reads do no harm.
    if (node.operator.op === 'weight') return false;
    const at = firstBad(result, masks(node));
    if (at < 0) return false;
    found = { node, value: Math.fround(result.data[at] ?? NaN), ...badWeight(graph, node, operands) };
    return true;
  });
  try {
    await executor.step({ ids: Int32Array.from(ids), past: 0, logitRows: 1 });
  } finally {
    await executor.dispose();
  }
  return found;
}

/** Whether an operator's result may hold -infinity by intent. */
function masks({ operator }: Node): boolean {
  return !['linear', 'norm', 'gather', 'scores', 'mix', 'rope', 'softmax'].includes(operator.op);
}

function firstBad({ data }: Tensor, masked: boolean): number {
  for (let at = 0; at < data.length; at++) {
    const x = Math.fround(data[at] ?? NaN);
    if (!Number.isFinite(x) && !(masked && x === -Infinity)) return at;
  }
  return -1;
}

function badWeight(graph: Graph, node: Node, operands: readonly Tensor[]): Pick<NotFinite, 'weight'> {
  for (const [n, id] of node.inputs.entries()) {
    const source = graph.nodes[id];
    const data = operands[n]?.data;
    if (!source || !data) throw new InternalError('reference', `%${node.id} lacks operand ${n}`);
    if (source.operator.op !== 'weight') continue;
    const element = data.findIndex((x) => !Number.isFinite(x));
    if (element >= 0) return { weight: { slot: source.operator.slot, element } };
  }
  return {};
}
