/** Nodes, weights and states that no output needs go. */
import type { GraphPass } from '../types.ts';
import type { Graph, NodeId } from '../../graph/types.ts';

export const deadCodePass: GraphPass = {
  name: 'dead-code',
  description: 'operators that no output needs are dropped',
  run(graph: Graph): Graph {
    const needed = new Set<NodeId>(graph.outputs.map((o) => o.node));
    for (const node of [...graph.nodes].reverse()) if (needed.has(node.id)) for (const id of node.inputs) needed.add(id);
    const nodes = graph.nodes.filter((n) => needed.has(n.id));
    const slots = new Set(nodes.flatMap((n) => (n.operator.op === 'weight' ? [n.operator.slot] : [])));
    const states = new Set(nodes.flatMap((n) => (n.operator.op === 'cache' ? [n.operator.state] : [])));
    return { ...graph, nodes, weights: graph.weights.filter((s) => slots.has(s.slot)), states: graph.states.filter((s) => states.has(s.name)), values: graph.values.filter((v) => needed.has(v.node)) };
  },
};
