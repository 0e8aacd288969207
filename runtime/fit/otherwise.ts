/** A plan's memory with another context or other forms of its weights, without planning anew: its kernels stay as they are. */
import { holds, type WeightFormat } from '../../compiler/formats.ts';
import { planMemory } from '../../compiler/memory.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { storedBytesOn } from '../../compiler/stored-bytes.ts';
import type { WeightProvider } from '../backend.ts';

export interface Otherwise {
  /** Tokens, at most as many as the plan has. */
  readonly context?: number;
  /** How weights are stored; as in the plan if absent. */
  readonly formats?: (slot: string) => WeightFormat;
  /** Where they come from then. */
  readonly weights?: Pick<WeightProvider, 'bytesToRead'> | undefined;
}

export function planOtherwise(plan: ExecutionPlan, { context = plan.capacity.context, formats }: Otherwise): ExecutionPlan {
  const { target, kernels, outputs } = plan;
  const maxTokens = Math.min(plan.capacity.maxTokens, context);
  const capacity = { context, maxTokens, maxLogitRows: Math.min(plan.capacity.maxLogitRows, maxTokens) };
  const buffers = formats === undefined ? plan.buffers : plan.buffers.map((b) => {
    if (b.role !== 'weight') return b;
    const { format: _before, ...bare } = b;
    const format = formats(b.name);
    return format !== 'f32' && target.formats.includes(format) && holds(format, b.shape.map(Number)) ? { ...bare, format } : bare;
  });
  return { ...plan, capacity, buffers, ...planMemory(buffers, kernels, outputs, capacity, storedBytesOn(target, kernels)) };
}
