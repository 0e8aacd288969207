/** Checks every invariant of a graph. Run after lowering and after each pass; a failure is ours, so it throws with the graph printed. */
import { InternalError } from '../diagnostics.ts';
import { inferNode } from './operators.ts';
import { printGraph, printNode } from './print.ts';
import { ShapeError, sameShape, showShape } from './shapes.ts';
import type { Graph, Node, NodeId } from './types.ts';

/** `where` names the stage or pass whose result this is. */
export function verifyGraph(graph: Graph, where: string): Graph {
  const fail = (message: string): never => {
    throw new InternalError(where, message, printGraph(graph));
  };
  const slots = new Map(graph.weights.map((w) => [w.slot, w]));
  const states = new Map(graph.states.map((s) => [s.name, s]));
  if (slots.size !== graph.weights.length) fail('a weight slot is declared twice');
  if (states.size !== graph.states.length) fail('a state is declared twice');

  const known = new Map<NodeId, Node>();
  const written = new Set<string>();
  for (const node of graph.nodes) {
    if (known.has(node.id)) fail(`%${node.id} is defined twice`);
    const inputs = node.inputs.map((id) => known.get(id) ?? fail(`${printNode(node)}: %${id} is not defined before it`));
    try {
      const found = inferNode(node.operator, inputs, node.shape);
      if (found.dtype !== node.dtype) fail(`${printNode(node)}: is ${found.dtype}`);
      if (!sameShape(found.shape, node.shape)) fail(`${printNode(node)}: has shape ${showShape(found.shape)}`);
    } catch (error) {
      if (error instanceof ShapeError) fail(`${printNode(node)}: ${error.message}`);
      throw error;
    }
    if (node.operator.op === 'weight') {
      const slot = slots.get(node.operator.slot) ?? fail(`${printNode(node)}: the slot is not declared`);
      if (!sameShape(slot.shape, node.shape)) fail(`${printNode(node)}: the slot has shape ${showShape(slot.shape)}`);
    }
    if (node.operator.op === 'cache') {
      const state = states.get(node.operator.state) ?? fail(`${printNode(node)}: the state is not declared`);
      if (!sameShape(['S', ...state.row], node.shape)) fail(`${printNode(node)}: the state has rows ${showShape(state.row)}`);
      if (written.has(state.name)) fail(`${printNode(node)}: the state is written twice`);
      written.add(state.name);
    }
    known.set(node.id, node);
  }
  const names = new Set<string>();
  for (const output of graph.outputs) {
    if (!known.has(output.node)) fail(`output ${output.name}: %${output.node} is not defined`);
    if (names.has(output.name)) fail(`output ${output.name} is given twice`);
    names.add(output.name);
  }
  const named = new Set<string>();
  for (const value of graph.values) {
    if (!known.has(value.node)) fail(`value ${value.name}: %${value.node} is not defined`);
    if (named.has(value.name)) fail(`value ${value.name} is given twice`);
    named.add(value.name);
  }
  return graph;
}
