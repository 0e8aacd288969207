/** What a device can hold at all, whatever is free: WebAssembly's memory, an adapter's bindings. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { PeelError } from '../../compiler/diagnostics.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { layoutWeights } from '../webgpu/layout.ts';
import type { MemoryNeed } from './need.ts';

/** 65536 pages of 64 KiB, all that 32-bit addresses reach. */
export const webAssemblyBytes = 2 ** 32;
/** Room around a buffer. */
const margin = 128;
/** What kernels work in: of 8 threads and of all together, and the block that they exchange words in. Hardly ever as much. */
const kernelBytes = 4 * 2 ** 20;

/** What of a plan is nearest to what its device can hold in one piece. */
export interface Limit {
  /** Bytes of the piece, and the most that it may have. */
  readonly bytes: number;
  readonly most: number;
  /** The piece's name, and what it lies in. */
  readonly piece: string;
  readonly place: string;
}

export function limitOf(plan: ExecutionPlan, need: MemoryNeed): Limit {
  const { target, model } = plan;
  if (target.device === 'cpu') {
    const bytes = need.weights + need.states + need.activations + need.constants + kernelBytes + margin * plan.slots.length;
    return { bytes, most: webAssemblyBytes, piece: model, place: 'one WebAssembly memory' };
  }
  const roles = new Map(plan.buffers.map((b) => [b.id, b]));
  let [bytes, piece] = [0, model];
  for (const slot of plan.slots) {
    const held = plan.placements.filter((p) => p.slot === slot.slot && p.bytes === slot.bytes).flatMap((p) => roles.get(p.buffer) ?? []);
    // Weights are cut into pieces that fit.
    if (slot.bytes > bytes && held[0] && held.every((b) => b.role !== 'weight' && b.role !== 'constant')) [bytes, piece] = [slot.bytes, `${held[0].name} of ${model}`];
  }
  return { bytes, most: target.maxBindingBytes, piece, place: `one binding of ${target.name}` };
}

/** Why the plan cannot be on its device, in words; undefined where it can. */
export function limitProblem(plan: ExecutionPlan, need: MemoryNeed): string | undefined {
  const { target } = plan;
  const { bytes, most, piece, place } = limitOf(plan, need);
  if (bytes > most) return `${piece} needs ${byteText(bytes)} in ${place}${target.device === 'cpu' ? ` (${mainParts(need, plan.capacity.context)})` : ''}, which has at most ${byteText(most)}`;
  if (target.device === 'cpu') return undefined;
  try {
    layoutWeights(plan, target.maxBindingBytes);
    return undefined;
  } catch (error) {
    if (error instanceof PeelError) return error.diagnostics[0]?.message ?? error.message;
    throw error;
  }
}

/** `weights 7.9 GiB, KV cache of 8192 tokens 1.0 GiB`. */
export function mainParts({ weights, states, activations }: MemoryNeed, context: number): string {
  const parts: readonly (readonly [string, number])[] = [['weights', weights], [`KV cache of ${context} ${context === 1 ? 'token' : 'tokens'}`, states], ['activations', activations]];
  return parts.filter(([, bytes]) => bytes > 0).map(([name, bytes]) => `${name} ${byteText(bytes)}`).join(', ');
}
