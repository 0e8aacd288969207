/** `kernels: { total: { max: 20 }, per_layer: 5, attention: 2 }`: kernels of one step, in all, of each layer, or of a kind. */
import type { Kernel } from '../../../compiler/kernels/types.ts';
import type { CaseContext, Finding } from '../case.ts';
import { checkBound, type Bound } from './bound.ts';
import { expectation, failed } from './expectation.ts';

interface WantedKernels {
  readonly total?: Bound;
  /** Of every layer. */
  readonly per_layer?: Bound;
  /** Of each layer, from the first to the last. */
  readonly layers?: readonly Bound[];
  readonly outside_layers?: Bound;
  readonly nest?: Bound;
  readonly linear?: Bound;
  readonly attention?: Bound;
  readonly topk?: Bound;
  readonly argmax?: Bound;
}

export const kernels = expectation<WantedKernels>('kernels', async (context, wanted) => {
  const { kernels: all } = await context.plan();
  const { layers } = (await context.model()).model;
  const byLayer = new Map<number | undefined, Kernel[]>();
  for (const kernel of all) {
    const layer = layerOf(kernel);
    const others = byLayer.get(layer);
    if (others) others.push(kernel);
    else byLayer.set(layer, [kernel]);
  }
  const ofLayer = (layer: number): readonly Kernel[] => byLayer.get(layer) ?? [];
  const findings: Finding[] = [];
  const { per_layer: each, layers: list, ...counts } = wanted;
  for (const [name, bound] of Object.entries(counts)) {
    const found = name === 'total' ? all : all.filter((kernel) => (name === 'outside_layers' ? layerOf(kernel) === undefined : kernel.kind === name));
    const what = name === 'total' ? 'kernels' : name === 'outside_layers' ? 'kernels outside of layers' : `kernels of kind ${name}`;
    findings.push(...await count(context, bound, found, what, `/${name}`));
  }
  if (each !== undefined) {
    // Layers are mostly alike: the first that is wrong says it for all.
    for (const { index } of layers) {
      const found = await count(context, each, ofLayer(index), `kernels of layer ${index}`, '/per_layer');
      findings.push(...found);
      if (found.length > 0) break;
    }
  }
  if (list && list.length !== layers.length) findings.push(failed(`kernels of ${list.length} layers are listed, the model has ${layers.length} layers`, '/layers'));
  else for (const [layer, bound] of (list ?? []).entries()) findings.push(...await count(context, bound, ofLayer(layer), `kernels of layer ${layer}`, `/layers/${layer}`));
  return findings;
});

/** By its label: what several layers share (rotary angles) is of none, though the first one has it. */
function layerOf({ origin }: Kernel): number | undefined {
  const index = /^layers\.(\d+)(\.|$)/.exec(origin.label)?.[1];
  return index === undefined ? undefined : Number(index);
}

/** What is wrong with a count; under it which kernels there are, if few enough to read. */
async function count(context: CaseContext, bound: Bound, found: readonly Kernel[], what: string, at: string): Promise<Finding[]> {
  const list = found.length > 0 && found.length <= 24 ? `\n${found.map(({ kind, origin }) => `${origin.label} (${kind})`).join(', ')}` : '';
  return (await checkBound(context, bound, found.length, what, { at })).map((finding) => ({ ...finding, message: finding.message + list }));
}
