/** Stable text of a graph, one node a line: `%3: f32[T,576] = norm{rms,1e-6} %1`. */
import { rowOf } from './operators.ts';
import { showShape } from './shapes.ts';
import type { Graph, Node } from './types.ts';

export interface PrintGraphOptions {
  /** Put each node's origin behind it. */
  readonly origins?: boolean;
}

export function printNode(node: Node, options: PrintGraphOptions = {}): string {
  const attributes = rowOf(node.operator).attributes(node.operator);
  const operands = node.inputs.map((id) => ` %${id}`).join('');
  const origin = options.origins ? `  # ${node.origin.label}` : '';
  return `%${node.id}: ${node.dtype}${showShape(node.shape)} = ${node.operator.op}${attributes === '' ? '' : `{${attributes}}`}${operands}${origin}`;
}

export function printGraph(graph: Graph, options: PrintGraphOptions = {}): string {
  const lines = [`graph ${graph.name}`];
  for (const w of graph.weights) lines.push(`weight ${w.slot}: f32${showShape(w.shape)}`);
  for (const s of graph.states) lines.push(`state ${s.name}: f32${showShape(['S', ...s.row])}`);
  for (const node of graph.nodes) lines.push(printNode(node, options));
  for (const o of graph.outputs) lines.push(`output ${o.name} = %${o.node}`);
  return `${lines.join('\n')}\n`;
}
