/** The execution plan: plain, serialisable data that a backend runs. Nothing in it refers to a device API. */
import type { WeightFormat } from './formats.ts';
import type { Buffer, BufferId, Kernel } from './kernels/types.ts';
import type { StateSlot, WeightSlot } from './graph/types.ts';

/** What the compiler may assume of a device. Data, so that a plan for an absent device can be made and tested. */
export interface Target {
  readonly device: 'cpu' | 'webgpu';
  readonly name: string;
  /** Most bytes one storage binding may span; larger weights are split by rows by the backend. */
  readonly maxBindingBytes: number;
  readonly maxBufferBytes: number;
  /** Most buffers one kernel may bind. */
  readonly maxStorageBuffers: number;
  readonly maxWorkgroupSize: number;
  readonly maxWorkgroupBytes: number;
  readonly subgroups: boolean;
  readonly f16: boolean;
  readonly relaxedSimd: boolean;
  readonly threads: number;
  /** A driver that emulates a GPU on the CPU. */
  readonly software: boolean;
  /** Whether a linear kernel may recompute a row reduction (a norm) of its input in its own prologue. */
  readonly linearPrologue: boolean;
  /** Whether products with quantised weights may round their inputs to 8 bits (in blocks of 32, with a scale each). */
  readonly int8Inputs: boolean;
  /** In which forms its kernels read weights, besides f32. */
  readonly formats: readonly WeightFormat[];
}

/** Sizes that bound a plan's buffers: T <= maxTokens, S <= context, R <= maxLogitRows. */
export interface Capacity {
  readonly maxTokens: number;
  readonly context: number;
  readonly maxLogitRows: number;
}

/** One decision of a pass: what it fused or why it did not. */
export interface FusionRecord {
  readonly pass: string;
  readonly fired: boolean;
  readonly origin: string;
  readonly reason: string;
}

/** Where a buffer lives. Activations and outputs with disjoint lifetimes share a slot; the others have a slot of their own. */
export interface Placement {
  readonly buffer: BufferId;
  readonly slot: number;
  readonly bytes: number;
  /** Kernels (positions in `kernels`) between which the contents matter, both inclusive; absent where it is always. */
  readonly first?: number;
  readonly last?: number;
}

export interface MemorySummary {
  /** As the device stores them: filled up to whole blocks, repacked. */
  readonly weights: number;
  readonly constants: number;
  readonly states: number;
  readonly stateBytesPerToken: number;
  readonly activations: number;
  /** Activations as they would be without reuse. */
  readonly activationsUnshared: number;
  readonly peak: number;
}

export interface ExecutionPlan {
  readonly peel: 1;
  readonly kind: 'plan';
  readonly model: string;
  readonly target: Target;
  readonly capacity: Capacity;
  readonly buffers: readonly Buffer[];
  readonly placements: readonly Placement[];
  readonly slots: readonly { readonly slot: number; readonly bytes: number }[];
  readonly kernels: readonly Kernel[];
  readonly weights: readonly WeightSlot[];
  readonly states: readonly StateSlot[];
  readonly outputs: readonly { readonly name: string; readonly buffer: BufferId }[];
  readonly fusions: readonly FusionRecord[];
  readonly memory: MemorySummary;
}
