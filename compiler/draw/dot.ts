/** A folded graph in Graphviz's DOT: a box per operator, a cluster per part and per run of equal layers. */
import type { OperatorName } from '../graph/types.ts';
import type { Drawing, DrawnNode } from './fold.ts';

const quote = (text: string): string => `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;

/** Fill by what an operator does: products, attention, norms, state and selection; the rest is plain. */
export function colourOf(operator: OperatorName): string {
  switch (operator) {
    case 'linear': case 'gather': return '#dbeafe';
    case 'scores': case 'mask': case 'softmax': case 'mix': return '#fde68a';
    case 'norm': case 'reduce': return '#dcfce7';
    case 'cache': case 'input': return '#e9d5ff';
    case 'rope': return '#fbcfe8';
    case 'topk': case 'take': case 'member': return '#fed7aa';
    default: return '#f8fafc';
  }
}

export function labelOf(node: DrawnNode): string {
  return [node.name === '' ? node.operator : `${node.operator}  ${node.name}`, ...node.weights, node.shape].join('\n');
}

export function toDot(drawing: Drawing): string {
  const lines = [
    `digraph ${quote(drawing.name)} {`,
    '  graph [rankdir=TB, fontname="Helvetica", fontsize=12, style="rounded", color="#94a3b8", nodesep=0.25, ranksep=0.3];',
    '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=10, color="#64748b", margin="0.12,0.05", height=0.3];',
    '  edge [color="#64748b", arrowsize=0.6];',
  ];
  drawing.sections.forEach((section, s) => {
    const inLayers = section.title !== '';
    const pad = inLayers ? '    ' : '  ';
    if (inLayers) lines.push(`  subgraph cluster_${s} {`, `    label=${quote(section.title)}; bgcolor="#f1f5f9";`);
    section.parts.forEach((part, p) => {
      lines.push(`${pad}subgraph cluster_${s}_${p} {`, `${pad}  label=${quote(part.title)}; bgcolor="#ffffff";`);
      for (const node of part.nodes) lines.push(`${pad}  n${node.id} [label=${quote(labelOf(node))}, fillcolor="${colourOf(node.kind)}"];`);
      lines.push(`${pad}}`);
    });
    if (inLayers) lines.push('  }');
  });
  for (const { from, to } of drawing.edges) lines.push(`  n${from} -> n${to};`);
  for (const { name, node } of drawing.outputs) {
    lines.push(`  ${quote(`output ${name}`)} [label=${quote(name)}, shape=plaintext, style=""];`, `  n${node} -> ${quote(`output ${name}`)} [style=dashed];`);
  }
  return `${lines.join('\n')}\n}\n`;
}
