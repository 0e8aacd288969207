/** The contract between a session and a device. Three implementations: reference, cpu, webgpu. */
import type { WeightFormat } from '../compiler/formats.ts';
import type { Graph } from '../compiler/graph/types.ts';
import type { ExecutionPlan, Target } from '../compiler/plan.ts';

/** Gives a weight slot's values, in the slot's shape, row-major. Called once a slot while loading; may be called for any slot in any order. */
export interface WeightProvider {
  read(slot: string): Promise<Float32Array>;
  /** Part of a slot: rows `from`..`to` of its first axis. */
  readRows?(slot: string, from: number, to: number): Promise<Float32Array>;
  /** The form in which the slot comes, and in which a plan may ask for it; f32 for all if absent. */
  formatOf?(slot: string): WeightFormat;
  /**
   * Rows `from`..`to` of a slot, all axes but the last flattened into rows, as bytes in the form that `formatOf` names (f32 excepted).
   * Little-endian, rows without gaps. For any range, in any order. `scratch`, if it has room, may hold the result: so that many parts take no
   * more memory than one.
   */
  readStored?(slot: string, from: number, to: number, scratch?: Uint8Array): Promise<Uint8Array>;
  /**
   * Most bytes of memory that reading takes for a moment, what is read included, where up to `elements` elements of a slot are asked for at once, as f32 or as
   * they are `stored`. For estimates, from headers alone; as much as what is read if absent.
   */
  bytesToRead?(slot: string, elements: number, stored: boolean): number;
}

export interface StepInput {
  /** Token ids, 1 <= length <= maxTokens. */
  readonly ids: Int32Array;
  /** Tokens already in the state: the position of ids[0]. The state's rows from here on are overwritten. */
  readonly past: number;
  /** How many trailing tokens to compute logits for: 1 <= logitRows <= ids.length, <= maxLogitRows. */
  readonly logitRows: number;
  /** The sequence length that length-dependent rotary scaling sees; past + ids.length if absent. */
  readonly ropeLength?: number;
  /** Token types; zeros if absent. */
  readonly types?: Int32Array;
  /** Whether the next step is likely to be the one token that this step's argmax names, without outputs: a device may begin it before it is asked for. */
  readonly follow?: boolean;
}

export interface StepResult {
  /** Index of the largest logit of the last row; -1 where one is NaN, the largest is infinite, or the model has no logits. */
  readonly argmax: number;
  /** The requested outputs by name, row-major f32, only their live rows. */
  readonly outputs: ReadonlyMap<string, Float32Array>;
}

/** How long each part of a step took. */
export interface StepTimes {
  /** Milliseconds, by the position of the kernel in the plan; for the reference, of the operator in the graph. */
  readonly kernels: Float64Array;
  /** How they were taken, in words. */
  readonly how: string;
}

/** What ran and why: printed by the command line, part of every result. */
export interface DeviceReport {
  readonly device: 'cpu' | 'webgpu' | 'reference';
  /** Such as `cpu: WebAssembly, relaxed SIMD, 2 threads` or the adapter's name. */
  readonly description: string;
  /** Why this device: asked for, or what was tried before it. */
  readonly reason: string;
  readonly kernels: number;
  /** Which variants of the kernels run, and why. */
  readonly variants?: string;
  readonly threads?: number;
}

/** A model loaded on a device, with one sequence's state. Steps do not overlap: await each. */
export interface Executor {
  readonly report: DeviceReport;
  /** Runs one step. `outputs` names the graph outputs to bring back (logits, hidden.3, ...); none by default, which is cheapest. */
  step(input: StepInput, outputs?: readonly string[]): Promise<StepResult>;
  /** As `step`, but slower: tells how long each kernel took. Only where the device was opened for it. */
  profile?(input: StepInput): Promise<StepTimes>;
  dispose(): Promise<void>;
}

/** A backend that runs plans. */
export interface PlanBackend {
  readonly target: Target;
  load(plan: ExecutionPlan, weights: WeightProvider, reason: string): Promise<Executor>;
  dispose(): Promise<void>;
}

/** The reference backend runs the graph itself. */
export interface GraphBackend {
  load(graph: Graph, weights: WeightProvider, reason: string): Promise<Executor>;
}
