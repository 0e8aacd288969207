/**
 * Runs a loaded plan: one encoder, one compute pass and one submit a step; only what the caller asked for comes back. Where the next token is the
 * most likely one, hardware is given the next step, which takes its id from this one's result in device memory, before this one's result is awaited.
 */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { Buffer, BufferId } from '../../compiler/kernels/types.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { DeviceReport, Executor, StepInput, StepResult, StepTimes } from '../backend.ts';
import { deviceError, type DeviceWatch } from './errors.ts';
import type { PipelineCache } from './pipelines.ts';
import { timeByQueries, timeBySubmits } from './profile.ts';
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

/** An output that a step brings back. */
interface Wanted { readonly name: string; readonly buffer: Buffer; readonly count: number }

export class WebGpuExecutor implements Executor {
  private readonly dimsGroup: GPUBindGroup;
  private readonly outputs: ReadonlyMap<string, Buffer>;
  private readonly inputs: ReadonlyMap<string, Buffer>;
  private readonly labels: readonly string[];
  /** Buffers for results that no step uses now. */
  private readonly spare: GPUBuffer[] = [];
  private disposed = false;
  /** A step that was begun before it was asked for: that of the last step's argmax. */
  private ahead: { readonly dims: Dims; readonly result: Promise<StepResult> } | undefined;
  private lastArgmax = -1;
  private aheadSteps = 0;

  constructor(
    readonly report: DeviceReport,
    private readonly plan: ExecutionPlan,
    private readonly watch: DeviceWatch,
    private readonly pipelines: PipelineCache,
    private readonly memory: DeviceMemory,
    private readonly kernels: readonly KernelDispatches[],
    /** Whether steps may be begun before they are asked for. */
    private readonly mayGoAhead: boolean,
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

  /** Steps that were begun before they were asked for, and were asked for. */
  get stepsAhead(): number { return this.aheadSteps; }

  async step(input: StepInput, names: readonly string[] = []): Promise<StepResult> {
    if (this.disposed) throw new InternalError('webgpu', 'a step after dispose');
    const dims = this.dims(input);
    const { ahead } = this;
    this.ahead = undefined;
    const begun = ahead && names.length === 0 && !input.types && input.ids.length === 1 && input.ids[0] === this.lastArgmax
      && ahead.dims.P === dims.P && ahead.dims.L === dims.L ? ahead.result : undefined;
    if (begun) this.aheadSteps++;
    const { result } = begun ? { result: begun } : await this.begin(input, dims, names);
    if (input.follow && this.mayGoAhead) this.goAhead(dims);
    const done = await result;
    this.lastArgmax = done.argmax;
    return done;
  }

  async profile(input: StepInput): Promise<StepTimes> {
    if (this.disposed) throw new InternalError('webgpu', 'a step after dispose');
    await this.ahead?.result;
    this.ahead = undefined;
    const dims = this.dims(input);
    await this.compile(this.dispatches(dims));
    this.write(dims, input);
    const { device } = this.watch;
    const encodes = this.kernels.map((kernel) => (pass: GPUComputePassEncoder): void => this.encode(pass, this.dispatchesOf(kernel, dims), dims));
    const clock = device.features.has('timestamp-query');
    const kernels = await (clock ? timeByQueries : timeBySubmits)(device, encodes);
    this.watch.check('timing kernels', this.labels);
    return { kernels, how: clock ? "the device's clock, a pass for each kernel" : 'each kernel submitted and awaited alone, less what an empty submission takes' };
  }

  /** Submits a step. What is awaited is its submission. */
  private async begin(input: StepInput, dims: Dims, names: readonly string[]): Promise<{ readonly result: Promise<StepResult> }> {
    const dispatches = this.dispatches(dims);
    await this.compile(dispatches);
    const wanted = names.map((name) => {
      const buffer = this.outputs.get(name);
      if (!buffer) throw new InternalError('webgpu', `the plan has no output ${name}`);
      return { name, buffer, count: product(buffer.shape, dims) };
    });
    this.write(dims, input);
    return { result: this.submit(dispatches, dims, wanted) };
  }

  /** Submits the step after one of these sizes, of the id that it will have found, where everything for it is compiled. */
  private goAhead(before: Dims): void {
    const dims = { T: 1, P: before.S, S: before.S + 1, R: 1, L: before.S + 1 };
    const [argmax, ids] = [this.outputs.get('argmax'), this.inputs.get('ids')];
    const dispatches = this.dispatches(dims);
    if (!argmax || !ids || dims.S > this.plan.capacity.context || dispatches.some((d) => !d.pipeline)) return;
    this.write(dims);
    const result = this.submit(dispatches, dims, [], { from: argmax.id, to: ids.id });
    // Not asked for, it fails in silence; else whoever awaits it hears of it.
    result.catch(() => undefined);
    this.ahead = { dims, result };
  }

  private dispatches(dims: Dims): Dispatch[] {
    return this.kernels.flatMap((kernel) => [...this.dispatchesOf(kernel, dims)]);
  }

  private dispatchesOf(kernel: KernelDispatches, dims: Dims): readonly Dispatch[] {
    return kernel.variants.find((v) => v.when(dims))?.dispatches ?? [];
  }

  private encode(pass: GPUComputePassEncoder, dispatches: readonly Dispatch[], dims: Dims): void {
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
  }

  /** Encodes and submits a step whose inputs are written, but for an id that is copied in device memory; the promise is of its results. */
  private submit(dispatches: readonly Dispatch[], dims: Dims, wanted: readonly Wanted[], id?: { readonly from: BufferId; readonly to: BufferId }): Promise<StepResult> {
    const { device } = this.watch;
    const argmax = this.outputs.get('argmax');
    const copies: { buffer: BufferId; at: number; bytes: number }[] = [];
    let bytes = 0;
    for (const { buffer, count } of [...(argmax ? [{ buffer: argmax, count: 1 }] : []), ...wanted]) {
      copies.push({ buffer: buffer.id, at: bytes, bytes: count * 4 });
      bytes += count * 4;
    }

    const encoder = device.createCommandEncoder();
    if (id) encoder.copyBufferToBuffer(this.memory.buffer(id.from), 0, this.memory.buffer(id.to), 0, 4);
    const pass = encoder.beginComputePass();
    this.encode(pass, dispatches, dims);
    pass.end();
    const readback = this.staging(bytes);
    for (const copy of copies) encoder.copyBufferToBuffer(this.memory.buffer(copy.buffer), 0, readback, copy.at, copy.bytes);
    device.queue.submit([encoder.finish()]);
    return this.results(readback, bytes, wanted, argmax !== undefined);
  }

  private async results(readback: GPUBuffer, bytes: number, wanted: readonly Wanted[], argmax: boolean): Promise<StepResult> {
    const data = await this.read(readback, bytes);
    this.spare.push(readback);
    const outputs = new Map<string, Float32Array>();
    let at = argmax ? 4 : 0;
    for (const { name, buffer, count } of wanted) {
      outputs.set(name, buffer.dtype === 'i32' ? Float32Array.from(new Int32Array(data, at, count)) : new Float32Array(data, at, count));
      at += count * 4;
    }
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

  /** Writes a step's sizes and inputs; without `input`, of one token whose id is copied. */
  private write(dims: Dims, input?: StepInput): void {
    const { queue } = this.watch.device;
    queue.writeBuffer(this.memory.uniform, 0, new Int32Array([dims.T, dims.P, dims.S, dims.R, dims.L]));
    for (const [name, buffer] of this.inputs) {
      const target = this.memory.buffer(buffer.id);
      if (name === 'ids') { if (input) queue.writeBuffer(target, 0, Int32Array.from(input.ids)); }
      else if (name === 'types') queue.writeBuffer(target, 0, input?.types ? Int32Array.from(input.types) : new Int32Array(dims.T));
      else if (name === 'positions') queue.writeBuffer(target, 0, Int32Array.from({ length: dims.T }, (_, t) => dims.P + t));
      else throw new InternalError('webgpu', `the plan has an unknown input ${name}`);
    }
  }

  /** A buffer for results, of those that are free or a new one in place of one that is too small. */
  private staging(bytes: number): GPUBuffer {
    const fits = this.spare.findIndex((b) => b.size >= bytes);
    const [found] = this.spare.splice(Math.max(0, fits), 1);
    if (found && fits >= 0) return found;
    found?.destroy();
    return this.watch.device.createBuffer({ label: 'results', size: Math.max(16, 2 ** Math.ceil(Math.log2(Math.max(1, bytes)))), usage: BufferUsage.mapRead | BufferUsage.copyDestination });
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
    // Work that was begun in vain ends first: its results are mapped.
    await this.ahead?.result.catch(() => undefined);
    for (const buffer of this.spare) buffer.destroy();
    this.memory.destroy();
    this.onDispose();
    await Promise.resolve();
  }
}
