/** What kernels compute, as text that is the same for layers that are alike. */
import { layerOf, ownLayer, type Layer } from './layer-names.ts';
import { buffersWritten } from './kernels/sources.ts';
import { printKernel } from './kernels/print.ts';
import type { Buffer, BufferId, Kernel } from './kernels/types.ts';
import type { ExecutionPlan } from './plan.ts';

/**
 * The text of a kernel without its id, kind and label (and, of a nest, the space). Buffers go by their names; what the layer before wrote (for the first layer: the embeddings;
 * after the layers: the last of them) is `%x`, further such buffers `%x2`, `%x3`. Numbers have seven digits, so that the text is the same on every machine.
 */
export function codeOf(plan: Pick<ExecutionPlan, 'buffers' | 'kernels'>): (kernel: Kernel) => string {
  const buffers = new Map(plan.buffers.map((b) => [b.id, b]));
  const layers = plan.kernels.flatMap((k) => layerOf(k.origin.label) ?? []);
  const [first, last] = [Math.min(...layers), Math.max(...layers)];
  const unique = uniqueNames(plan.buffers);
  /** The layer whose kernel writes a buffer. */
  const homes = new Map<BufferId, Layer>();
  for (const k of plan.kernels) for (const id of buffersWritten(k)) if (!homes.has(id)) homes.set(id, layerOf(k.origin.label));
  /** By layer, what comes from before it, in the order in which it is read. */
  const streams = new Map<Layer, BufferId[]>();
  const isBefore = (b: Buffer, layer: Layer): boolean => {
    if (b.role !== 'activation') return false;
    const of = homes.get(b.id);
    if (layer === undefined) return of === last;
    return of === undefined ? layer === first && b.name.startsWith('embeddings') : of === layer - 1;
  };
  const nameIn = (layer: Layer) => (id: BufferId): string => {
    const b = buffers.get(id);
    if (!b) return `%${id}?`;
    // Several layers may use the keys and values of one.
    if (b.role === 'state' && layerOf(b.name) !== layer) return `%${unique.get(id) ?? b.name}`;
    if (!isBefore(b, layer)) return `%${ownLayer(unique.get(id) ?? b.name, layer, last)}`;
    const known = streams.get(layer) ?? [];
    if (!known.includes(id)) known.push(id);
    streams.set(layer, known);
    const at = known.indexOf(id);
    return `%x${at === 0 ? '' : at + 1}`;
  };
  return (kernel) => {
    const head = `#${kernel.id} ${kernel.kind} ${kernel.origin.label}`;
    return shortNumbers(printKernel(kernel, nameIn(layerOf(kernel.origin.label))).slice(head.length)).replace(/^ +/gm, '').replace(/^over \[.*\]\n/, '');
  };
}

/** Names of buffers, numbered where several have the same. */
function uniqueNames(buffers: readonly Buffer[]): Map<BufferId, string> {
  const times = new Map<string, number>();
  return new Map(buffers.map((b) => {
    const before = times.get(b.name) ?? 0;
    times.set(b.name, before + 1);
    return [b.id, before === 0 ? b.name : `${b.name}'${before + 1}`];
  }));
}

const shortNumbers = (text: string): string => text.replace(/(?<![\w.])\d+\.\d+(?:e[-+]?\d+)?/g, (number) => String(Number(Number(number).toPrecision(7))));
