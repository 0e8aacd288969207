/** What a device can hold at all, whatever is free: WebAssembly's memory, an adapter's bindings. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { PeelError } from '../../compiler/diagnostics.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { layoutWeights } from '../webgpu/layout.ts';
import type { MemoryNeed } from './need.ts';

/** 65536 pages of 64 KiB, all that 32-bit addresses reach. */
export const webAssemblyBytes = 2 ** 32;
/** Room around a buffer, and in front of all of them. */
const margin = 128;

/** Why the plan cannot be on its device, in words; undefined where it can. */
export function limitProblem(plan: ExecutionPlan, need: MemoryNeed): string | undefined {
  const { target, model } = plan;
  if (target.device === 'cpu') {
    const { weights, states, activations, constants, working } = need;
    const bytes = weights + states + activations + constants + working + margin * (plan.slots.length + 8);
    return bytes <= webAssemblyBytes ? undefined : `${model} needs ${byteText(bytes)} in one WebAssembly memory (${mainParts(need, plan.capacity.context)}), which has at most ${byteText(webAssemblyBytes)}`;
  }
  try {
    layoutWeights(plan, target.maxBindingBytes);
  } catch (error) {
    if (error instanceof PeelError) return error.diagnostics[0]?.message ?? error.message;
    throw error;
  }
  const roles = new Map(plan.buffers.map((b) => [b.id, b]));
  for (const { slot, bytes } of plan.slots) {
    if (bytes <= target.maxBindingBytes) continue;
    const held = plan.placements.filter((p) => p.slot === slot).flatMap((p) => roles.get(p.buffer) ?? []);
    // Weights were laid out above, in pieces.
    if (held.every((b) => b.role === 'weight' || b.role === 'constant')) continue;
    return `${held[0]?.name ?? 'a buffer'} of ${model} needs ${byteText(bytes)} in one piece, ${target.name} binds at most ${byteText(target.maxBindingBytes)}`;
  }
  return undefined;
}

/** `weights 7.9 GiB, KV cache of 8192 tokens 1.0 GiB`. */
export function mainParts({ weights, states, activations }: MemoryNeed, context: number): string {
  const parts: readonly (readonly [string, number])[] = [['weights', weights], [`KV cache of ${context} ${context === 1 ? 'token' : 'tokens'}`, states], ['activations', activations]];
  return parts.filter(([, bytes]) => bytes > 0).map(([name, bytes]) => `${name} ${byteText(bytes)}`).join(', ');
}
