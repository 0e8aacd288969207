/**
 * A graph folded for drawing: consecutive layers of the same structure become one, weights become part of the operator that uses
 * them, constants disappear. What is drawn is the unfused graph, so every operator that the spec asked for can be seen.
 */
import { rowOf } from '../graph/operators.ts';
import { showShape } from '../graph/shapes.ts';
import type { Graph, Node, NodeId, OperatorName } from '../graph/types.ts';

export interface DrawnNode {
  readonly id: NodeId;
  readonly kind: OperatorName;
  /** The operator's name, or the expression of a short elementwise one. */
  readonly operator: string;
  /** What the spec calls it: `q`, `norm`. */
  readonly name: string;
  readonly shape: string;
  readonly weights: readonly string[];
}

/** A part of a layer (attention, ffn), or what is outside of layers. */
export interface DrawnPart {
  readonly title: string;
  readonly nodes: readonly DrawnNode[];
}

export interface DrawnSection {
  /** `layers 1..29 (29 alike)`, or empty outside of layers. */
  readonly title: string;
  readonly parts: readonly DrawnPart[];
}

export interface Drawing {
  readonly name: string;
  readonly sections: readonly DrawnSection[];
  readonly edges: readonly { readonly from: NodeId; readonly to: NodeId }[];
  readonly outputs: readonly { readonly name: string; readonly node: NodeId }[];
}

const isDrawn = (node: Node): boolean => node.operator.op !== 'weight' && node.operator.op !== 'constant';

/** Splits `layers.3.attention.q` into its part and name; outside of layers the first word is the part. */
function place(node: Node): { part: string; name: string } {
  const words = node.origin.label.split('.');
  const inside = words[0] === 'layers' ? words.slice(2) : words;
  return { part: inside[0] ?? '', name: inside.slice(1).join('.') };
}

/** The structure of a layer without its number: operators, shapes, and how they feed each other. */
function signature(nodes: readonly Node[], all: ReadonlyMap<NodeId, Node>): string {
  const position = new Map(nodes.map((node, i) => [node.id, i]));
  const operand = (id: NodeId): string => {
    const producer = all.get(id);
    if (producer?.operator.op === 'weight') return `w${showShape(producer.shape)}`;
    if (producer?.operator.op === 'constant') return `c${producer.operator.data.join(',')}`;
    return String(position.get(id) ?? 'outside');
  };
  return nodes.map((node) => {
    const attributes = node.operator.op === 'cache' ? '' : rowOf(node.operator).attributes(node.operator);
    return `${node.operator.op}{${attributes}}${showShape(node.shape)} ${place(node).part} ${node.inputs.map(operand).join(' ')}`;
  }).join('\n');
}

/** The pattern of layers from `start` on that covers most of them when repeated: shorter patterns first. Alternating local and global layers have period 2. */
function repetition(signatures: readonly string[], start: number): { period: number; times: number } {
  let best = { period: 1, times: 1 };
  for (let period = 1; period <= 8; period++) {
    let end = start + period;
    while (end < signatures.length && signatures[end] === signatures[end - period]) end++;
    const times = Math.floor((end - start) / period);
    if (times > 1 && times * period > best.times * best.period) best = { period, times };
  }
  return best;
}

export function foldGraph(graph: Graph): Drawing {
  const all = new Map(graph.nodes.map((node) => [node.id, node]));
  const layers = new Map<number, Node[]>();
  const outside: { before: Node[]; after: Node[] } = { before: [], after: [] };
  for (const node of graph.nodes) {
    if (!isDrawn(node)) continue;
    // What several layers share (rotary angles) is labelled without a layer, whichever asked for it first.
    const layer = node.origin.label.startsWith('layers.') ? node.origin.layer : undefined;
    if (layer !== undefined) layers.set(layer, [...(layers.get(layer) ?? []), node]);
    else (node.origin.layer !== undefined || layers.size === 0 ? outside.before : outside.after).push(node);
  }
  /** Nodes of layers that are not drawn -> the node at the same place in the layer that is. */
  const stands = new Map<NodeId, NodeId>();
  const sections: DrawnSection[] = [];
  if (outside.before.length > 0) sections.push({ title: '', parts: parts(outside.before, all) });
  const numbers = [...layers.keys()].sort((a, b) => a - b);
  const contents = numbers.map((number) => layers.get(number) ?? []);
  const signatures = contents.map((nodes) => signature(nodes, all));
  for (let start = 0; start < numbers.length;) {
    const { period, times } = repetition(signatures, start);
    for (let k = 0; k < period; k++) {
      const drawn = contents[start + k] ?? [];
      for (let again = 1; again < times; again++) {
        contents[start + again * period + k]?.forEach((node, i) => { const first = drawn[i]; if (first) stands.set(node.id, first.id); });
      }
      const number = numbers[start + k] ?? 0;
      const alike = period === 1 ? `layers ${number}..${numbers[start + times - 1]}: ${times} alike` : `layers ${number}, ${numbers[start + period + k]}, ...: ${times} alike`;
      sections.push({ title: times === 1 ? `layer ${number}` : alike, parts: parts(drawn, all) });
    }
    start += period * times;
  }
  if (outside.after.length > 0) sections.push({ title: '', parts: parts(outside.after, all) });

  const edges = new Map<string, { from: NodeId; to: NodeId }>();
  for (const node of graph.nodes) {
    // A folded layer's own edges are its representative's; only edges that leave it say more.
    if (!isDrawn(node) || stands.has(node.id)) continue;
    for (const input of node.inputs) {
      const producer = all.get(input);
      if (!producer || !isDrawn(producer)) continue;
      const from = stands.get(input) ?? input;
      edges.set(`${from} ${node.id}`, { from, to: node.id });
    }
  }
  const outputs = graph.outputs.filter((o) => !stands.has(o.node)).map((o) => ({ name: o.name, node: o.node }));
  return { name: graph.name, sections, edges: [...edges.values()], outputs };
}

/** A drawing needs no more than four digits of a number. */
const shortNumbers = (text: string): string => text.replace(/\d*\.\d{5,}(e[+-]?\d+)?/g, (number) => String(Number(Number(number).toPrecision(4))));

function parts(nodes: readonly Node[], all: ReadonlyMap<NodeId, Node>): DrawnPart[] {
  const found = new Map<string, DrawnNode[]>();
  for (const node of nodes) {
    const { part, name } = place(node);
    const weights = node.inputs.flatMap((id) => {
      const producer = all.get(id);
      if (producer?.operator.op !== 'weight') return [];
      const words = producer.operator.slot.split('.');
      return [`${words.slice(words[0] === 'layers' ? 3 : 1).join('.')} ${showShape(producer.shape)}`];
    });
    const expression = node.operator.op === 'map' ? shortNumbers(rowOf(node.operator).attributes(node.operator)) : '';
    const operator = expression !== '' && expression.length <= 36 ? expression : node.operator.op;
    found.set(part, [...(found.get(part) ?? []), { id: node.id, kind: node.operator.op, operator, name, shape: showShape(node.shape), weights }]);
  }
  return [...found].map(([title, drawn]) => ({ title, nodes: drawn }));
}
