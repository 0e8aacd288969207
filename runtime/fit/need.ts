/**
 * What a model takes of memory, from its plan and the headers of its weights alone.
 *
 * Weights, states and activations are the plan's buffers, as the device stores them. The rest is estimated: what the process has already (Node,
 * Peel, the head of the file, the tokenizer), what a thread or a driver takes, and what is held for a moment while weights are read.
 */
import { PeelError } from '../../compiler/diagnostics.ts';
import { formatBytes } from '../../compiler/formats.ts';
import { largest } from '../../compiler/memory.ts';
import type { Graph, NodeId } from '../../compiler/graph/types.ts';
import type { Capacity, ExecutionPlan } from '../../compiler/plan.ts';
import type { WeightProvider } from '../backend.ts';
import { bytesToFill } from '../cpu/fill.ts';
import { layoutBytes, layoutWeights, type WeightLayout } from '../webgpu/layout.ts';
import { bytesToUpload } from '../webgpu/weights.ts';

/** All in bytes. */
export interface MemoryNeed {
  readonly device: 'cpu' | 'webgpu' | 'reference';
  readonly weights: number;
  /** Keys and values, and whatever else is kept from token to token. */
  readonly states: number;
  /** Inputs and results among them. */
  readonly activations: number;
  readonly constants: number;
  /** Room for the kernels' own work, and what threads or a driver take. */
  readonly working: number;
  /** What the process has without the model. */
  readonly process: number;
  /** Held for a moment while weights are loaded. */
  readonly loading: number;
  /** Most that lies in a GPU's memory, which is not counted below; 0 where kernels run in this machine's. */
  readonly adapter: number;
  /** Most of the machine's memory: until the model is loaded, and while it runs with a full context. */
  readonly peakLoad: number;
  readonly peakRunning: number;
  readonly peak: number;
}

const MiB = 2 ** 20;
/** Of a thread of the CPU backend: its stack and its JavaScript engine, and scratch memory. Measured on Linux with Node 20. */
const threadBytes = 9 * MiB;
const scratchBytes = MiB / 4;
/** Of a WebGPU driver with its compiled kernels: one that runs on the CPU, one of a GPU. Measured with SwiftShader; a guess for GPUs. */
const softwareDriver = 85 * MiB;
const hardwareDriver = 100 * MiB;

export interface NeedOptions {
  /** What the process has of memory, the model's tokenizer included. */
  readonly process: number;
  /** Where weights come from; counted as f32 from the plan's shapes if absent. */
  readonly weights?: Pick<WeightProvider, 'bytesToRead'> | undefined;
}

export function memoryNeed(plan: ExecutionPlan, options: NeedOptions): MemoryNeed {
  const { memory, target } = plan;
  const { states, constants } = memory;
  const activations = memory.peak - memory.weights - constants - states;
  const formats = new Map(plan.buffers.map((b) => [b.name, b.format ?? 'f32']));
  const reading = (slot: string, elements: number, stored: boolean): number =>
    options.weights?.bytesToRead?.(slot, elements, stored) ?? formatBytes(stored ? formats.get(slot) ?? 'f32' : 'f32', [elements]);
  if (target.device === 'cpu') {
    const working = (target.threads - 1) * threadBytes + target.threads * scratchBytes;
    return summed({ device: 'cpu', weights: memory.weights, states, activations, constants, working, process: options.process, loading: bytesToFill(plan, reading) }, true);
  }
  const layout = layoutOf(plan);
  const weights = layout ? layoutBytes(plan.buffers, layout) - constants : memory.weights;
  const working = target.software ? softwareDriver : hardwareDriver;
  const loading = layout ? bytesToUpload(plan.buffers, layout, reading) : 0;
  return summed({ device: 'webgpu', weights, states, activations, constants, working, process: options.process, loading }, target.software);
}

/** Undefined for weights that WebGPU kernels could not address: a limit that is told apart. */
function layoutOf(plan: ExecutionPlan): WeightLayout | undefined {
  try {
    return layoutWeights(plan, Infinity);
  } catch (error) {
    if (error instanceof PeelError) return undefined;
    throw error;
  }
}

type Parts = Omit<MemoryNeed, 'adapter' | 'peakLoad' | 'peakRunning' | 'peak'>;

/** States and activations are zeros at first, which take no memory before they are written to. */
function summed(parts: Parts, inMachine: boolean): MemoryNeed {
  const { weights, states, activations, constants, working, process, loading } = parts;
  const own = process + working;
  const loaded = weights + constants;
  const running = loaded + states + activations;
  const [peakLoad, peakRunning] = inMachine ? [own + loaded + loading, own + running] : [own + loading, own];
  return { ...parts, adapter: inMachine ? 0 : running, peakLoad, peakRunning, peak: Math.max(peakLoad, peakRunning) };
}

/** Of the reference interpreter: weights in f32, values and states in f64, each value from its computation to its last use. */
export function referenceNeed(graph: Graph, capacity: Capacity, options: NeedOptions): MemoryNeed {
  const bytesOf = new Map<NodeId, number>(graph.nodes.map(({ id, shape, operator }) => [id, operator.op === 'weight' || operator.op === 'cache' ? 0 : 8 * shape.reduce<number>((n, d) => n * largest(d, capacity), 1)]));
  const lastUse = new Map<NodeId, number>();
  graph.nodes.forEach((node, at) => { for (const id of [node.id, ...node.inputs]) lastUse.set(id, at); });
  for (const { node } of graph.outputs) lastUse.set(node, graph.nodes.length);
  const ending = new Map<number, number>();
  for (const [id, at] of lastUse) ending.set(at, (ending.get(at) ?? 0) + (bytesOf.get(id) ?? 0));
  let [live, activations] = [0, 0];
  graph.nodes.forEach(({ id }, at) => {
    live += bytesOf.get(id) ?? 0;
    activations = Math.max(activations, live);
    live -= ending.get(at) ?? 0;
  });
  const size = (shape: readonly number[]): number => 4 * shape.reduce((a, b) => a * b, 1);
  const weights = graph.weights.reduce((n, { shape }) => n + size(shape), 0);
  const states = graph.states.reduce((n, { row }) => n + 2 * size(row) * capacity.context, 0);
  const loading = Math.max(0, ...graph.weights.map(({ slot, shape }) => (options.weights?.bytesToRead?.(slot, size(shape) / 4, false) ?? 0) - size(shape)));
  return summed({ device: 'reference', weights, states, activations, constants: 0, working: 0, process: options.process, loading }, true);
}
