/** A folded graph as a Mermaid flowchart, for Markdown that draws it. */
import { colourOf, labelOf } from './dot.ts';
import type { Drawing } from './fold.ts';

const quote = (text: string): string => `"${text.replace(/"/g, '#quot;').replace(/\n/g, '<br/>')}"`;

export function toMermaid(drawing: Drawing): string {
  const lines = ['flowchart TB'];
  drawing.sections.forEach((section, s) => {
    if (section.title !== '') lines.push(`  subgraph s${s}[${quote(section.title)}]`);
    section.parts.forEach((part, p) => {
      lines.push(`  subgraph s${s}p${p}[${quote(part.title === '' ? ' ' : part.title)}]`);
      for (const node of part.nodes) lines.push(`    n${node.id}[${quote(labelOf(node))}]`, `    style n${node.id} fill:${colourOf(node.kind)}`);
      lines.push('  end');
    });
    if (section.title !== '') lines.push('  end');
  });
  for (const { from, to } of drawing.edges) lines.push(`  n${from} --> n${to}`);
  drawing.outputs.forEach(({ name, node }, i) => lines.push(`  o${i}([${quote(name)}])`, `  n${node} -.-> o${i}`));
  return `${lines.join('\n')}\n`;
}
