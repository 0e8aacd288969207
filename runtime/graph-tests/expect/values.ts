/** `values: { layers.*.attention.q: { shape: [T, heads, head_dim], dtype: f32 } }`: shapes and types of named values; a pattern speaks of all that it fits. */
import type { Dim, DType, Node, Shape } from '../../../compiler/graph/types.ts';
import { pointer } from '../../../compiler/source.ts';
import { tapGraph } from '../../../compiler/taps.ts';
import type { CaseContext, Finding } from '../case.ts';
import { expectation, failed } from './expectation.ts';
import { several, whereOf } from './where.ts';

interface WantedValue { readonly shape?: readonly (number | string)[]; readonly dtype?: DType }

export const values = expectation<Readonly<Record<string, WantedValue>>>('values', async (context, wanted) => {
  const { graph } = await context.model();
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const named = new Map(graph.values.map(({ name, node }) => [name, nodes.get(node)]));
  const findings: Finding[] = [];
  for (const [pattern, { shape, dtype }] of Object.entries(wanted)) {
    const at = pointer('', pattern);
    const { names, diagnostics } = tapGraph(graph, [pattern]);
    findings.push(...diagnostics.map(({ message, hint }) => failed(`${message}; ${hint ?? ''}`, at)));
    const wrong = new Map<string, { readonly node: Node; readonly names: string[] }>();
    for (const name of names) {
      const node = named.get(name);
      if (!node) continue;
      const said = differences(node, shape && await sizes(context, shape, `${at}/shape`, node.origin.layer), dtype);
      if (said === undefined) continue;
      const others = wrong.get(said);
      if (others) others.names.push(name);
      else wrong.set(said, { node, names: [name] });
    }
    for (const [said, { node, names: which }] of wrong) {
      const { text, finding } = await whereOf(context, node.origin);
      findings.push({ ...failed(`${several(which)}: ${said}, at ${text}`, at), ...finding });
    }
  }
  return findings;
});

/** A shape whose expressions have values; `i` is the layer's index. */
async function sizes(context: CaseContext, shape: readonly (number | string)[], at: string, layer: number | undefined): Promise<Shape> {
  const result: Dim[] = [];
  for (const [axis, size] of shape.entries()) {
    result.push(size === 'T' || size === 'S' || size === 'R' ? size : await context.number(size, `${at}/${axis}`, layer === undefined ? {} : { i: layer }));
  }
  return result;
}

function differences(node: Node, shape: Shape | undefined, dtype: DType | undefined): string | undefined {
  const says = [
    ...(shape && shape.join() !== node.shape.join() ? [`wanted the shape ${written(shape)}, found ${written(node.shape)}`] : []),
    ...(dtype !== undefined && dtype !== node.dtype ? [`wanted ${dtype}, found ${node.dtype}`] : []),
  ];
  return says.length === 0 ? undefined : says.join('; ');
}

const written = (shape: Shape): string => `[${shape.join(', ')}]`;
