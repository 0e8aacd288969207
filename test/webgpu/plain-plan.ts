/** A plan from a schedule as it is, every buffer in a slot of its own: what the backend needs and no more. */
import type { ExecutionPlan, Capacity, Target } from '../../compiler/plan.ts';
import type { Schedule } from '../../compiler/kernels/types.ts';

export function plainPlan(schedule: Schedule, target: Target, capacity: Capacity): ExecutionPlan {
  const size = { T: capacity.maxTokens, P: capacity.context, S: capacity.context, R: capacity.maxLogitRows, L: capacity.context };
  const bytes = schedule.buffers.map((b) => 4 * b.shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : size[d]), 1));
  return {
    peel: 1, kind: 'plan', model: schedule.name, target, capacity, buffers: schedule.buffers, kernels: schedule.kernels,
    placements: schedule.buffers.map((b, slot) => ({ buffer: b.id, slot, bytes: bytes[slot] as number })),
    slots: bytes.map((n, slot) => ({ slot, bytes: n })),
    weights: schedule.weights, states: schedule.states, outputs: schedule.outputs, fusions: [],
    memory: { weights: 0, constants: 0, states: 0, stateBytesPerToken: 0, activations: 0, activationsUnshared: 0, peak: 0 },
  };
}
