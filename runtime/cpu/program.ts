/**
 * The module of a plan: a function for every distinct kernel, with the addresses of its buffers as parameters, and one function
 * `step(thread)` that calls them in order with barriers between those that depend on each other. Where it is asked for, another one,
 * `profile(thread)`, does the same with a barrier before every kernel, and thread 0 calls the host's `mark` behind each.
 */
import { InternalError } from '../../compiler/diagnostics.ts';
import { buffersRead, buffersWritten } from '../../compiler/kernels/sources.ts';
import { largest } from '../../compiler/memory.ts';
import type { BufferId, Kernel } from '../../compiler/kernels/types.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import { defineAnnounce, defineBarrier, defineServe } from './barrier.ts';
import { emitArgmax } from './emit/argmax.ts';
import { emitAttention } from './emit/attention.ts';
import type { KernelSite } from './emit/kernel.ts';
import { definePack } from './emit/pack.ts';
import { emitLinear } from './emit/linear.ts';
import { emitNest } from './emit/nest.ts';
import { ProductLibrary } from './emit/products.ts';
import { RowLibrary } from './emit/rows.ts';
import { emitTopK } from './emit/topk.ts';
import { MathLibrary } from './math/library.ts';
import { blockRows, type Format } from './layout.ts';
import { sourceBytes, type Staging } from './packer.ts';
import type { MemoryMap, PlacedBuffer } from './place.ts';
import type { Features } from './simd.ts';
import type { FunctionBuilder, FunctionHandle } from './wasm/function.ts';
import { ModuleBuilder } from './wasm/module.ts';
import { add, i32, mul, op } from './wasm/value.ts';

export interface Program {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** 64 KiB pages of memory that it needs. */
  readonly pages: number;
  readonly staging: Staging;
  /** Forms of weights that `pack` knows. */
  readonly formats: readonly Format[];
  /** Functions made for kernels, after joining those that are alike. */
  readonly kernelFunctions: number;
  readonly barriers: number;
}

/** Working memory that a kernel asks for: of each thread, and of all of them together. */
interface Demand {
  readonly scratchBytes: number;
  readonly sharedBytes?: number;
}

type StepFunction = FunctionBuilder<readonly ['i32'], undefined>;

interface KernelFunction extends Demand {
  readonly handle: FunctionHandle;
}

export const pageBytes = 65536;
/** Most bytes of staging memory: what was read is still in the cache when it is packed. */
const mostStaging = 1024 * 1024;

export function writeProgram(plan: ExecutionPlan, memory: MemoryMap, threads: number, features: Features, profile = false): Program {
  const module = new ModuleBuilder();
  const mark = profile ? module.imported('mark', ['i32']) : undefined;
  const math = new MathLibrary(module, features);
  const products = new ProductLibrary(module, features);
  const rows = new RowLibrary(module, math);
  const known = new Map<string, KernelFunction>();
  const calls = plan.kernels.map((kernel) => {
    const buffers = [...new Set([...mentioned(kernel), ...buffersRead(kernel, false), ...buffersWritten(kernel)])];
    const key = shapeKey(kernel, buffers, memory);
    let made = known.get(key);
    if (!made) {
      made = writeKernel(module, kernel, buffers, { plan, memory, threads, math, products, rows });
      known.set(key, made);
    }
    return { kernel, buffers, made };
  });
  const scratchBytes = Math.ceil(Math.max(64, ...calls.map((c) => c.made.scratchBytes)) / 64) * 64 + 64;
  const sharedBytes = Math.ceil(Math.max(0, ...calls.map((c) => c.made.sharedBytes ?? 0)) / 64) * 64;
  const barrier = defineBarrier(module, threads);
  const meetings = barriersBefore(plan);
  /** `before` is called with the position of each kernel, and with their number at the end: the host reads results once all threads are done. */
  const defineStep = (name: string, before: (f: StepFunction, position: number) => void): StepFunction['handle'] => {
    const f = module.function(name, ['i32'], undefined);
    const [thread] = f.params;
    const scratch = f.let(add(i32(memory.end + sharedBytes), mul(thread, i32(scratchBytes))));
    calls.forEach(({ kernel, buffers, made }, position) => {
      before(f, position);
      const addresses = buffers.map((id) => i32(addressOf(memory, id, kernel)));
      f.run(made.handle as FunctionHandle<readonly 'i32'[], undefined>, thread, scratch, ...addresses);
    });
    before(f, calls.length);
    module.export(name, f.handle);
    return f.handle;
  };
  const meet = (f: StepFunction): void => { if (threads > 1) f.run(barrier, f.params[0]); };
  const formats = weightsOf(memory).map((b) => b.format);
  const jobs = [
    defineStep('step', (f, position) => { if (position === calls.length || meetings.has(position)) meet(f); }),
    definePack(module, formats, barrier),
    ...(mark ? [defineStep('profile', (f, position) => {
      meet(f);
      f.if(op('i32.eqz', f.params[0]), () => f.run(mark, i32(position)));
    })] : []),
  ];
  module.export('pack', jobs[1] as StepFunction['handle']);
  module.export('serve', defineServe(module, jobs));
  module.export('announce', defineAnnounce(module, threads));
  const end = memory.end + sharedBytes + threads * scratchBytes;
  const staging = stagingOf(memory, end);
  const pages = Math.ceil(Math.max(end, staging.address + staging.bytes) / pageBytes);
  const bytes = module.finish({ initial: pages, maximum: pages, shared: true });
  return { bytes, pages, staging, formats, kernelFunctions: known.size, barriers: meetings.size };
}

/** Weights that are packed. */
const weightsOf = (memory: MemoryMap): readonly PlacedBuffer[] => [...memory.buffers.values()].filter((b) => b.buffer.role === 'weight' && b.format !== 'rows');

/** Memory from where weights end to `end`, within bounds; beyond `end` only where a block of rows has no room. */
function stagingOf(memory: MemoryMap, end: number): Staging {
  const least = Math.max(0, ...weightsOf(memory).map(({ format, capacity }) => blockRows * sourceBytes(format, capacity[capacity.length - 1] ?? 1)));
  const room = Math.min(mostStaging, end - memory.loaded);
  return { address: memory.loaded, bytes: Math.ceil(Math.max(least, room) / 64) * 64 };
}

/** Buffers in the order in which a kernel's data names them, so that equal shapes give equal orders. */
function mentioned(kernel: Kernel): BufferId[] {
  switch (kernel.kind) {
    case 'nest': return [...kernel.sources, ...kernel.stores.map((s) => s.buffer)];
    case 'linear': return [...kernel.weights.map((w) => w.buffer), ...kernel.sources, ...kernel.stores.map((s) => s.buffer)];
    case 'attention': {
      const sinks = kernel.sinks === undefined ? [] : [kernel.sinks];
      return [kernel.query.buffer, kernel.key.buffer, kernel.value.buffer, ...sinks, ...kernel.sources, ...kernel.stores.map((s) => s.buffer)];
    }
    case 'topk': return [...kernel.sources, kernel.target];
    case 'argmax': return [kernel.input, kernel.target];
    default: return kernel satisfies never;
  }
}

/** JSON knows no infinities, NaN or -0. */
const spelled = (_: string, value: unknown): unknown =>
  typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? `number ${Object.is(value, -0) ? '-0' : value}` : value;

/** Equal for kernels that differ in nothing but which buffers they use. */
function shapeKey(kernel: Kernel, buffers: readonly BufferId[], memory: MemoryMap): string {
  const number = new Map(buffers.map((id, n) => [id, n]));
  const local = (id: BufferId): number => number.get(id) ?? -1;
  const shapes = buffers.map((id) => {
    const placed = memory.buffers.get(id);
    return placed ? [placed.buffer.dtype, placed.buffer.shape, placed.format] : [];
  });
  const bare = { ...kernel, id: 0, origin: 0, nodes: 0, sources: kernel.sources.map(local) };
  const view = (v: { buffer: BufferId }): unknown => ({ ...v, buffer: local(v.buffer) });
  const text = (x: unknown): string => JSON.stringify(x, spelled);
  switch (kernel.kind) {
    case 'nest': return text([shapes, { ...bare, stores: kernel.stores.map(view) }]);
    case 'linear': return text([shapes, { ...bare, weights: kernel.weights.map(view), stores: kernel.stores.map(view) }]);
    case 'attention': return text([shapes, {
      ...bare, query: view(kernel.query), key: view(kernel.key), value: view(kernel.value),
      sinks: kernel.sinks === undefined ? null : local(kernel.sinks), stores: kernel.stores.map(view),
    }]);
    case 'topk': return text([shapes, { ...bare, target: local(kernel.target) }]);
    case 'argmax': return text([shapes, { ...bare, input: local(kernel.input), target: local(kernel.target) }]);
    default: return kernel satisfies never;
  }
}

interface Surroundings {
  readonly plan: ExecutionPlan;
  readonly memory: MemoryMap;
  readonly threads: number;
  readonly math: MathLibrary;
  readonly products: ProductLibrary;
  readonly rows: RowLibrary;
}

function writeKernel(module: ModuleBuilder, kernel: Kernel, buffers: readonly BufferId[], around: Surroundings): KernelFunction {
  const types: 'i32'[] = ['i32', 'i32', ...buffers.map(() => 'i32' as const)];
  const f = module.function(`${kernel.kind}.${kernel.id} ${kernel.origin.label}`, types, undefined) as unknown as FunctionBuilder<readonly 'i32'[], undefined>;
  const [thread, scratch, ...bases] = f.params;
  if (!thread || !scratch) throw new InternalError('cpu', 'a kernel without its parameters');
  const number = new Map(buffers.map((id, n) => [id, n]));
  const site: KernelSite = {
    f: f as unknown as FunctionBuilder, math: around.math, threads: around.threads, thread, scratch, shared: around.memory.end,
    products: around.products, rows: around.rows,
    info: (id) => {
      const placed = around.memory.buffers.get(id);
      if (!placed) throw new InternalError('cpu', `kernel ${kernel.id} names a buffer ${id} that the plan does not have`);
      return placed;
    },
    base: (id) => {
      const base = bases[number.get(id) ?? -1];
      if (!base) throw new InternalError('cpu', `kernel ${kernel.id} uses a buffer ${id} that it does not name`);
      return base;
    },
    capacityOf: (d) => largest(d, around.plan.capacity),
  };
  return { handle: f.handle as unknown as FunctionHandle, ...emitKernel(site, kernel) };
}

/** Writes the body. */
function emitKernel(site: KernelSite, kernel: Kernel): Demand {
  switch (kernel.kind) {
    case 'nest': emitNest(site, kernel); return { scratchBytes: 0 };
    case 'linear': return emitLinear(site, kernel);
    case 'attention': return emitAttention(site, kernel);
    case 'topk': return emitTopK(site, kernel);
    case 'argmax': return emitArgmax(site, kernel);
    default: return kernel satisfies never;
  }
}

function addressOf(memory: MemoryMap, id: BufferId, kernel: Kernel): number {
  const placed = memory.buffers.get(id);
  if (!placed) throw new InternalError('cpu', `kernel ${kernel.id} names a buffer ${id} that the plan does not have`);
  return placed.address;
}

/** Stands for the memory that threads share for their work. */
const sharedSlot = -2;

/** Positions of kernels that read, or overwrite, what has been written (or read) since the last barrier. By slots: buffers share them. */
function barriersBefore(plan: ExecutionPlan): ReadonlySet<number> {
  const slots = new Map(plan.placements.map((p) => [p.buffer, p.slot]));
  const slotsOf = (ids: Iterable<BufferId>): number[] => [...ids].map((id) => slots.get(id) ?? -1);
  const before = new Set<number>();
  let read = new Set<number>();
  let written = new Set<number>();
  plan.kernels.forEach((kernel, position) => {
    const reads = slotsOf(buffersRead(kernel, false));
    const writes = slotsOf(buffersWritten(kernel));
    if (kernel.kind === 'attention') writes.push(sharedSlot);
    if (reads.some((s) => written.has(s)) || writes.some((s) => written.has(s) || read.has(s))) {
      before.add(position);
      read = new Set();
      written = new Set();
    }
    for (const s of reads) read.add(s);
    for (const s of writes) written.add(s);
  });
  return before;
}
