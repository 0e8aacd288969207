/** Runs a loaded plan: one encoder, one compute pass and one submit a step; only what the caller asked for comes back. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { Buffer, BufferId } from '../../compiler/kernels/types.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { DeviceReport, Executor, StepInput, StepResult } from '../backend.ts';
import { deviceError, type DeviceWatch } from './errors.ts';
import type { PipelineCache } from './pipelines.ts';
import type { KernelPrograms } from './programs.ts';
import { BufferUsage, MapMode } from './usage.ts';
import { product, type Binding, type Dims, type Part, type Program } from './wgsl/module.ts';

/** A dispatch with everything but its pipeline made: that is compiled when a step first needs it. */
interface Dispatch {
  readonly program: Program;
  readonly part: Part;
  readonly bindings: GPUBindGroup;
  readonly label: string;
  pipeline?: GPUComputePipeline;
}
export interface KernelDispatches {
  readonly variants: readonly { readonly when: (dims: Dims) => boolean; readonly dispatches: readonly Dispatch[] }[];
}

/** What the executor owns and binds. */
export interface DeviceMemory {
  readonly uniform: GPUBuffer;
  /** Bytes of all weights and constants on the device. */
  readonly weightBytes: number;
  /** The buffers of inputs, states, activations and outputs. */
  readonly buffer: (id: BufferId) => GPUBuffer;
  readonly matrix: (key: string, part: number) => GPUBuffer;
  readonly element: (id: BufferId, piece: number) => GPUBuffer;
  /** Holds a part's range for split matrices. */
  readonly part: (part: Part) => GPUBuffer;
  /** A copy of small weights and constants, one after the other. */
  readonly merged: (ids: readonly BufferId[]) => GPUBuffer;
  /** A small read-only table; equal ones share a buffer. */
  readonly table: (data: Int32Array) => GPUBuffer;
  destroy(): void;
}

/** Bind groups for every kernel, variant and part. */
export function bindKernels(watch: DeviceWatch, pipelines: PipelineCache, memory: DeviceMemory, kernels: readonly KernelPrograms[]): KernelDispatches[] {
  return kernels.map(({ kernel, variants, matrix }) => ({
    variants: variants.map(({ when, program }) => ({
      when,
      dispatches: (matrix?.parts ?? [{ from: 0, to: 0 }]).map((part, n) => {
        const label = kernel.origin.label;
        const entries = program.bindings.map((b, binding): GPUBindGroupEntry => {
          const buffer = bufferOf(memory, b, part, matrix?.key ?? '', n);
          return { binding, resource: { buffer } };
        });
        return { program, part, label, bindings: watch.device.createBindGroup({ label, layout: pipelines.groupLayout(program), entries }) };
      }),
    })),
  }));
}

function bufferOf(memory: DeviceMemory, binding: Binding, part: Part, matrix: string, piece: number): GPUBuffer {
  switch (binding.kind) {
    case 'buffer': return memory.element(binding.buffer, binding.piece);
    case 'matrix': return memory.matrix(matrix, piece);
    case 'table': return memory.table(binding.data);
    case 'merged': return memory.merged(binding.buffers);
    case 'part': return memory.part(part);
    default: return binding satisfies never;
  }
}

export class WebGpuExecutor implements Executor {
  private readonly dimsGroup: GPUBindGroup;
  private readonly outputs: ReadonlyMap<string, Buffer>;
  private readonly inputs: ReadonlyMap<string, Buffer>;
  private readonly labels: readonly string[];
  private readback: GPUBuffer | undefined;
  private disposed = false;

  constructor(
    readonly report: DeviceReport,
    private readonly plan: ExecutionPlan,
    private readonly watch: DeviceWatch,
    private readonly pipelines: PipelineCache,
    private readonly memory: DeviceMemory,
    private readonly kernels: readonly KernelDispatches[],
    private readonly onDispose: () => void,
  ) {
    this.dimsGroup = watch.device.createBindGroup({ layout: pipelines.dimsLayout, entries: [{ binding: 0, resource: { buffer: memory.uniform } }] });
    const byId = new Map(plan.buffers.map((b) => [b.id, b]));
    this.outputs = new Map(plan.outputs.map((o) => [o.name, byId.get(o.buffer) as Buffer]));
    this.inputs = new Map(plan.buffers.filter((b) => b.role === 'input').map((b) => [b.name, b]));
    this.labels = plan.kernels.map((k) => k.origin.label);
  }

  /** Bytes of all weights and constants on the device, packed as they are. */
  get weightBytes(): number { return this.memory.weightBytes; }

  async step(input: StepInput, names: readonly string[] = []): Promise<StepResult> {
    if (this.disposed) throw new InternalError('webgpu', 'a step after dispose');
    const dims = this.dims(input);
    const { device } = this.watch;
    const dispatches = this.kernels.flatMap((k) => k.variants.find((v) => v.when(dims))?.dispatches ?? []);
    await this.compile(dispatches);
    this.write(input, dims);

    const wanted = names.map((name) => {
      const buffer = this.outputs.get(name);
      if (!buffer) throw new InternalError('webgpu', `the plan has no output ${name}`);
      return { name, buffer, count: product(buffer.shape, dims) };
    });
    const argmax = this.outputs.get('argmax');
    const copies: { buffer: BufferId; at: number; bytes: number }[] = [];
    let bytes = 0;
    for (const { buffer, count } of [...(argmax ? [{ buffer: argmax, count: 1 }] : []), ...wanted]) {
      copies.push({ buffer: buffer.id, at: bytes, bytes: count * 4 });
      bytes += count * 4;
    }

    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setBindGroup(0, this.dimsGroup);
    let current: GPUComputePipeline | undefined;
    for (const { pipeline, program, part, bindings } of dispatches) {
      const [x, y, z] = program.groups(dims, part);
      if (x * y * z === 0 || !pipeline) continue;
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(1, bindings);
      pass.dispatchWorkgroups(x, y, z);
    }
    pass.end();
    const readback = this.staging(bytes);
    for (const copy of copies) encoder.copyBufferToBuffer(this.memory.buffer(copy.buffer), 0, readback, copy.at, copy.bytes);
    device.queue.submit([encoder.finish()]);

    const data = await this.read(readback, bytes);
    const outputs = new Map<string, Float32Array>();
    wanted.forEach(({ name, buffer, count }, n) => {
      const { at } = copies[n + (argmax ? 1 : 0)] as { at: number };
      outputs.set(name, buffer.dtype === 'i32' ? Float32Array.from(new Int32Array(data, at, count)) : new Float32Array(data, at, count));
    });
    return { argmax: argmax ? (new Int32Array(data, 0, 1)[0] ?? -1) : -1, outputs };
  }

  private dims({ ids, past, logitRows, ropeLength }: StepInput): Dims {
    const { maxTokens, context, maxLogitRows } = this.plan.capacity;
    const total = past + ids.length;
    if (ids.length < 1 || ids.length > maxTokens || past < 0 || total > context || logitRows < 1 || logitRows > Math.min(ids.length, maxLogitRows)) {
      throw new InternalError('webgpu', `a step of ${ids.length} tokens after ${past} with ${logitRows} rows of logits exceeds the plan's ${JSON.stringify(this.plan.capacity)}`);
    }
    return { T: ids.length, P: past, S: total, R: logitRows, L: ropeLength ?? total };
  }

  /** Compiles what this step needs and has not been compiled, all at once. */
  private async compile(dispatches: readonly Dispatch[]): Promise<void> {
    const missing = dispatches.filter((d) => !d.pipeline);
    if (missing.length === 0) return;
    await Promise.all(missing.map(async (d) => { d.pipeline = await this.pipelines.get(d.program, d.label); }));
    this.watch.check('compiling kernels', this.labels);
  }

  private write(input: StepInput, dims: Dims): void {
    const { queue } = this.watch.device;
    queue.writeBuffer(this.memory.uniform, 0, new Int32Array([dims.T, dims.P, dims.S, dims.R, dims.L]));
    for (const [name, buffer] of this.inputs) {
      const target = this.memory.buffer(buffer.id);
      if (name === 'ids') queue.writeBuffer(target, 0, Int32Array.from(input.ids));
      else if (name === 'types') queue.writeBuffer(target, 0, input.types ? Int32Array.from(input.types) : new Int32Array(dims.T));
      else if (name === 'positions') queue.writeBuffer(target, 0, Int32Array.from({ length: dims.T }, (_, t) => dims.P + t));
      else throw new InternalError('webgpu', `the plan has an unknown input ${name}`);
    }
  }

  private staging(bytes: number): GPUBuffer {
    if (!this.readback || this.readback.size < bytes) {
      this.readback?.destroy();
      this.readback = this.watch.device.createBuffer({ label: 'results', size: Math.max(16, 2 ** Math.ceil(Math.log2(Math.max(1, bytes)))), usage: BufferUsage.mapRead | BufferUsage.copyDestination });
    }
    return this.readback;
  }

  private async read(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    try {
      if (bytes === 0) {
        await this.watch.device.queue.onSubmittedWorkDone();
        this.watch.check('running a step', this.labels);
        return new ArrayBuffer(0);
      }
      await buffer.mapAsync(MapMode.read, 0, Math.max(4, bytes));
    } catch {
      await Promise.resolve();
      this.watch.check('running a step', this.labels);
      throw deviceError('E904', 'the WebGPU device stopped while running a step', 'run again, or use --device cpu');
    }
    const data = buffer.getMappedRange(0, bytes).slice(0);
    buffer.unmap();
    this.watch.check('running a step', this.labels);
    return data;
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    this.readback?.destroy();
    this.memory.destroy();
    this.onDispose();
    await Promise.resolve();
  }
}
