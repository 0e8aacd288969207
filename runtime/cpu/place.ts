/** Byte addresses of a plan's buffers in the one memory of the module. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { largest } from '../../compiler/memory.ts';
import type { Buffer, BufferId } from '../../compiler/kernels/types.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { control } from './control.ts';
import { cellKind } from './emit/cell-products.ts';
import type { BufferInfo } from './emit/kernel.ts';
import { storedBytes, type Format } from './layout.ts';
import type { Features } from './simd.ts';

/** Room around every buffer, for vectors that are partly outside it. */
const margin = 64;
const align = (n: number): number => Math.ceil(n / 64) * 64;

export interface PlacedBuffer extends BufferInfo {
  readonly address: number;
}

export interface MemoryMap {
  readonly buffers: ReadonlyMap<BufferId, PlacedBuffer>;
  /** Weights and constants end here; what comes then holds nothing before the first step. */
  readonly loaded: number;
  /** The first byte after all buffers; scratch memory begins there. */
  readonly end: number;
}

/** Weights that some product reads are stored in blocks, whoever else reads them (a tied embedding); those that come in a shorter form, packed. */
function formats(plan: ExecutionPlan, features: Features): ReadonlyMap<BufferId, Format> {
  const found = new Map<BufferId, Format>();
  for (const kernel of plan.kernels) if (kernel.kind === 'linear') for (const w of kernel.weights) found.set(w.buffer, 'blocks');
  for (const { id, format } of plan.buffers) {
    if (format === 'f16' || format === 'bf16') found.set(id, { packed: format });
    else if (format !== undefined && format !== 'f32') found.set(id, { packed: format, kind: cellKind(format, plan.target.int8Inputs, features) });
  }
  return found;
}

export function placeBuffers(plan: ExecutionPlan, features: Features): MemoryMap {
  const format = formats(plan, features);
  const info = (buffer: Buffer): BufferInfo =>
    ({ buffer, format: format.get(buffer.id) ?? 'rows', capacity: buffer.shape.map((d) => largest(d, plan.capacity)) });
  const placements = new Map(plan.placements.map((p) => [p.buffer, p]));
  for (const buffer of plan.buffers) {
    const placement = placements.get(buffer.id);
    if (!placement) throw new InternalError('cpu', `buffer ${buffer.id} (${buffer.name}) has no place`);
    const { capacity, format: stored } = info(buffer);
    const bytes = storedBytes(capacity, stored);
    if (bytes !== placement.bytes) throw new InternalError('cpu', `buffer ${buffer.id} (${buffer.name}) takes ${bytes} bytes; the plan has ${placement.bytes}`);
  }
  let next: number = control.end;
  const slots = new Map<number, number>();
  const place = ({ slot, bytes }: ExecutionPlan['slots'][number]): void => {
    next += margin;
    slots.set(slot, next);
    next = align(next + bytes);
  };
  const filled = new Set(plan.buffers.filter((b) => b.role === 'weight' || b.role === 'constant').map((b) => placements.get(b.id)?.slot));
  plan.slots.filter(({ slot }) => filled.has(slot)).forEach(place);
  const loaded = next + margin;
  plan.slots.filter(({ slot }) => !filled.has(slot)).forEach(place);
  const buffers = new Map<BufferId, PlacedBuffer>();
  for (const buffer of plan.buffers) {
    const address = slots.get(placements.get(buffer.id)?.slot ?? -1);
    if (address === undefined) throw new InternalError('cpu', `buffer ${buffer.id} (${buffer.name}) has no slot`);
    buffers.set(buffer.id, { ...info(buffer), address });
  }
  return { buffers, loaded, end: next + margin };
}
