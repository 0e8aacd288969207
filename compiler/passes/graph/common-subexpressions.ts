/** Equal operators on equal operands are computed once. */
import type { GraphPass } from '../types.ts';
import type { Graph, Node, NodeId } from '../../graph/types.ts';

export const commonSubexpressionsPass: GraphPass = {
  name: 'common-subexpressions',
  description: 'equal operators on equal operands are computed once',
  run(graph: Graph): Graph {
    const byKey = new Map<string, NodeId>();
    const same = new Map<NodeId, NodeId>();
    const nodes: Node[] = [];
    for (const node of graph.nodes) {
      const inputs = node.inputs.map((id) => same.get(id) ?? id);
      const changed = inputs.some((id, n) => id !== node.inputs[n]) ? { ...node, inputs } : node;
      // A cache is an effect: two of them are two states.
      const key = node.operator.op === 'cache' ? undefined : `${JSON.stringify(node.operator)} ${inputs.join(',')} ${node.shape.join(',')}`;
      const known = key === undefined ? undefined : byKey.get(key);
      if (known !== undefined) { same.set(node.id, known); continue; }
      if (key !== undefined) byKey.set(key, node.id);
      nodes.push(changed);
    }
    const kept = <R extends { readonly node: NodeId }>(named: R): R => ({ ...named, node: same.get(named.node) ?? named.node });
    return { ...graph, nodes, outputs: graph.outputs.map(kept), values: graph.values.map(kept) };
  },
};
