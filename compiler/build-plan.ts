/** Graph + Target + Capacity -> ExecutionPlan: passes over the graph, a kernel an operator, passes over the kernels, then memory. */
import { holds, type WeightFormat } from './formats.ts';
import { buffersRead, buffersWritten } from './kernels/sources.ts';
import { planMemory } from './memory.ts';
import { runGraphPasses, runKernelPasses } from './passes/index.ts';
import { schedule } from './schedule.ts';
import { storedBytesOn } from './stored-bytes.ts';
import { isTap } from './taps.ts';
import { checkPlan } from './verify-plan.ts';
import type { Graph } from './graph/types.ts';
import type { KernelPass } from './passes/types.ts';
import type { Schedule } from './kernels/types.ts';
import type { Capacity, ExecutionPlan, FusionRecord, Target } from './plan.ts';

export interface PlanOptions {
  /** false: one kernel an operator. A list: passes to leave out, by name. Default: every pass. */
  readonly fuse?: boolean | { readonly without: readonly string[] };
  /** Graph outputs to keep in memory where a host may read them. Default: those of the last stage (logits, or all that are no tap of a layer). */
  readonly outputs?: readonly string[];
  /** How the weights' file stores a slot. Kept so where the target has kernels for it, else f32. f32 if absent. */
  readonly formats?: (slot: string) => WeightFormat;
  /** Passes over kernels in place of the usual ones, in this order. */
  readonly passes?: readonly KernelPass[];
  /** Called with the graph after each pass over it, for printing. */
  readonly onGraphPass?: (name: string, graph: Graph) => void;
  /** Called with the schedule after each pass, for printing. */
  readonly onPass?: (name: string, schedule: Schedule) => void;
}

export const defaultOutputs = (graph: Graph): string[] => {
  const names = graph.outputs.map((o) => o.name);
  return names.includes('logits') ? ['logits'] : names.filter((name) => !isTap(name));
};

export function buildPlan(graph: Graph, target: Target, capacity: Capacity, options: PlanOptions = {}): ExecutionPlan {
  const kept = new Set(options.outputs ?? defaultOutputs(graph));
  const wanted: Graph = { ...graph, outputs: graph.outputs.filter((o) => kept.has(o.name)) };
  const fusions: FusionRecord[] = [];
  const context = { target, fuse: options.fuse ?? true, record: (r: FusionRecord): void => { fusions.push(r); }, ...(options.passes ? { passes: options.passes } : {}), ...(options.onGraphPass ? { onGraphPass: options.onGraphPass } : {}), ...(options.onPass ? { onPass: options.onPass } : {}) };
  const simple = runGraphPasses(wanted, context);
  const fused = runKernelPasses(withFormats(schedule(simple), target, options.formats), simple, context);
  const live = dropUnusedBuffers(fused);
  const { placements, slots, memory } = planMemory(live.buffers, live.kernels, live.outputs, capacity, storedBytesOn(target, live.kernels));
  return checkPlan({
    peel: 1, kind: 'plan', model: graph.name, target, capacity, buffers: live.buffers, placements, slots, kernels: live.kernels,
    weights: live.weights, states: live.states, outputs: live.outputs, fusions, memory,
  });
}

/** Weights in the form that they come in, where the target can read it. */
function withFormats(s: Schedule, target: Target, formats: PlanOptions['formats']): Schedule {
  if (!formats) return s;
  const buffers = s.buffers.map((b) => {
    if (b.role !== 'weight') return b;
    const format = formats(b.name);
    return format !== 'f32' && target.formats.includes(format) && holds(format, b.shape.map(Number)) ? { ...b, format } : b;
  });
  return { ...s, buffers };
}

/** Drops buffers that no kernel names any more and numbers kernels by position. */
function dropUnusedBuffers(s: Schedule): Schedule {
  const used = new Set([...s.kernels.flatMap((k) => [...buffersRead(k, false), ...buffersWritten(k)]), ...s.outputs.map((o) => o.buffer)]);
  const buffers = s.buffers.filter((b) => used.has(b.id));
  const names = new Set(buffers.filter((b) => b.role === 'weight').map((b) => b.name));
  return { ...s, buffers, kernels: s.kernels.map((k, id) => ({ ...k, id })), weights: s.weights.filter((w) => names.has(w.slot)) };
}
