/**
 * The logit lens: what a model would say next if it stopped after a layer. The nodes between the last layer and the logits, the model's own output
 * stage, are repeated for every other layer; what they give gets names (see compiler/taps.ts) and costs nothing unless it is tapped.
 */
import { arg, div, sub, unary } from './graph/expressions.ts';
import { inferNode } from './graph/operators.ts';
import { sameShape } from './graph/shapes.ts';
import type { Graph, GraphValue, Node, NodeId, Operator, Origin, Shape } from './graph/types.ts';

export interface Lens {
  /**
   * The graph with these values more, for each layer i: `lens.{i}.logits` [R, V], `lens.{i}.top` i32[R, k], the ids of the k largest, largest first,
   * and `lens.{i}.probabilities` [R, k], theirs.
   */
  readonly graph: Graph;
  /** Layers that have a lens, from the first: none where the model has no logits. */
  readonly layers: readonly number[];
}

export function withLens(graph: Graph, k: number): Lens {
  const named = new Map(graph.values.map(({ name, node }) => [name, node]));
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const hidden: Node[] = [];
  for (let i = 0; ; i++) {
    const node = nodes.get(named.get(`hidden.${i}`) ?? -1);
    if (!node) break;
    hidden.push(node);
  }
  const last = hidden.at(-1);
  const logits = nodes.get(named.get('logits') ?? -1);
  const stage = last && logits ? between(graph, last.id, logits.id) : [];
  if (!last || !logits || stage.length === 0) return { graph, layers: [] };

  const added = new Nodes(graph.nodes);
  const values: GraphValue[] = [];
  const layers: number[] = [];
  hidden.forEach((x, i) => {
    if (!sameShape(x.shape, last.shape)) return;
    const origin: Origin = { label: `lens.${i}` };
    const here = i === hidden.length - 1 ? logits : repeat(added, stage, last.id, x, origin);
    const { top, probabilities } = best(added, here, Math.min(k, Number(logits.shape[1])), origin);
    values.push({ name: `lens.${i}.logits`, node: here.id }, { name: `lens.${i}.top`, node: top.id }, { name: `lens.${i}.probabilities`, node: probabilities.id });
    layers.push(i);
  });
  return { graph: { ...graph, nodes: added.all, values: [...graph.values, ...values] }, layers };
}

/** The nodes on the ways from one to another, the first excluded, in order. */
function between(graph: Graph, from: NodeId, to: NodeId): Node[] {
  const behind = new Set<NodeId>([from]);
  for (const node of graph.nodes) if (node.inputs.some((id) => behind.has(id))) behind.add(node.id);
  const before = new Set<NodeId>([to]);
  for (const node of [...graph.nodes].reverse()) if (before.has(node.id)) for (const id of node.inputs) before.add(id);
  return graph.nodes.filter((node) => node.id !== from && behind.has(node.id) && before.has(node.id));
}

/** The stage with `x` in place of `from`: its last node. */
function repeat(nodes: Nodes, stage: readonly Node[], from: NodeId, x: Node, origin: Origin): Node {
  const copies = new Map<NodeId, Node>([[from, x]]);
  let end = x;
  for (const node of stage) {
    const inputs = node.inputs.map((id) => copies.get(id) ?? nodes.get(id));
    end = nodes.add(node.operator, inputs, origin, node.shape);
    copies.set(node.id, end);
  }
  return end;
}

/** The k largest of each row of logits[R, V], and their share of the softmax. */
function best(nodes: Nodes, logits: Node, k: number, origin: Origin): { readonly top: Node; readonly probabilities: Node } {
  const [rows = 'R', width = 0] = logits.shape;
  const column = (x: Node): Node => nodes.add({ op: 'reshape' }, [x], origin, [rows, 1]);
  const top = nodes.add({ op: 'topk', k }, [logits], origin);
  const largest = column(nodes.add({ op: 'reduce', fn: 'max', axis: 1 }, [logits], origin));
  const powers = nodes.add({ op: 'map', expression: unary('exp', sub(arg(0), arg(1))) }, [logits, largest], origin, [rows, width]);
  const total = column(nodes.add({ op: 'reduce', fn: 'sum', axis: 1 }, [powers], origin));
  const chosen = nodes.add({ op: 'take' }, [logits, top], origin);
  const probabilities = nodes.add({ op: 'map', expression: div(unary('exp', sub(arg(0), arg(1))), arg(2)) }, [chosen, largest, total], origin, [rows, k]);
  return { top, probabilities };
}

/** A graph's nodes and more behind them. */
class Nodes {
  readonly all: Node[];
  private readonly byId: Map<NodeId, Node>;
  private next: NodeId;

  constructor(nodes: readonly Node[]) {
    this.all = [...nodes];
    this.byId = new Map(nodes.map((node) => [node.id, node]));
    this.next = Math.max(-1, ...this.byId.keys()) + 1;
  }

  get(id: NodeId): Node {
    return this.byId.get(id) as Node;
  }

  add(operator: Operator, inputs: readonly Node[], origin: Origin, declared?: Shape): Node {
    const { dtype, shape } = inferNode(operator, inputs, declared);
    const node: Node = { id: this.next++, operator, inputs: inputs.map(({ id }) => id), dtype, shape, origin };
    this.all.push(node);
    this.byId.set(node.id, node);
    return node;
  }
}
