/** The CPU backend: plans compiled to WebAssembly with SIMD, run by a team of threads on one shared memory. */
import { availableParallelism } from 'node:os';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { targets } from '../../compiler/targets.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { PlanBackend, WeightProvider } from '../backend.ts';
import { control } from './control.ts';
import { CpuExecutor } from './executor.ts';
import { enableRelaxedSimd } from './features.ts';
import { packBlocks, storedElements } from './layout.ts';
import { placeBuffers, type MemoryMap, type PlacedBuffer } from './place.ts';
import { pageBytes, writeProgram } from './program.ts';
import { startTeam } from './workers.ts';

export interface CpuOptions {
  /** 1 to 8; the machine's cores, at most 8, unless given. */
  readonly threads?: number;
  /** false leaves relaxed SIMD unused where the engine has it. */
  readonly relaxedSimd?: boolean;
}

const mostThreads = 8;
const mostPages = 65536;
/** Turns of a waiting loop that take some 30 us; a few where threads have to share cores. */
const spins = 20_000;
const spinsWhenCrowded = 50;

export async function createCpuBackend(options: CpuOptions = {}): Promise<PlanBackend> {
  const cores = Math.max(1, availableParallelism());
  const threads = Math.max(1, Math.min(mostThreads, Math.floor(options.threads ?? cores)));
  const relaxedSimd = options.relaxedSimd === false ? false : await enableRelaxedSimd();
  const description = `cpu: WebAssembly, ${relaxedSimd ? 'relaxed SIMD' : 'SIMD'}, ${threads} thread${threads === 1 ? '' : 's'}`;
  return {
    target: { ...targets.cpu, relaxedSimd, threads },
    async load(plan, weights, reason) {
      const map = placeBuffers(plan);
      const program = writeProgram(plan, map, threads, { relaxedSimd });
      const memory = allocate(program.pages, plan);
      const module = await WebAssembly.compile(program.bytes);
      const instance = await WebAssembly.instantiate(module, { env: { memory } });
      new Int32Array(memory.buffer)[control.spins / 4] = threads > cores ? spinsWhenCrowded : spins;
      await fill(memory, map, weights);
      const team = await startTeam(threads, module, memory);
      const report = { device: 'cpu' as const, description, reason, kernels: plan.kernels.length, threads };
      return new CpuExecutor({ plan, map, memory, instance, team, threads }, report);
    },
    dispose: () => Promise.resolve(),
  };
}

function allocate(pages: number, plan: ExecutionPlan): WebAssembly.Memory {
  const bytes = pages * pageBytes;
  const refuse = (code: string, message: string): never => {
    throw new PeelError(ExitCode.device, [{ code, severity: 'error', path: '', message, hint: 'use a shorter context, or another device' }]);
  };
  if (pages > mostPages) refuse('E902', `${plan.model} needs ${bytes} bytes of memory, and WebAssembly has at most ${mostPages * pageBytes}`);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch {
    return refuse('E903', `${plan.model} needs ${bytes} bytes of memory, which this machine does not give`);
  }
}

/** Weights and constants. Weights of products are brought into block order on the way. */
async function fill(memory: WebAssembly.Memory, map: MemoryMap, weights: WeightProvider): Promise<void> {
  for (const placed of map.buffers.values()) {
    const { buffer } = placed;
    if (buffer.role === 'weight') write(memory, placed, await weights.read(buffer.name));
    else if (buffer.role === 'constant') write(memory, placed, buffer.data ?? []);
  }
}

function write(memory: WebAssembly.Memory, { buffer, address, format, capacity }: PlacedBuffer, values: Float32Array | readonly number[]): void {
  const count = storedElements(capacity, format);
  if (buffer.dtype === 'i32') new Int32Array(memory.buffer, address, count).set(values);
  else if (format === 'blocks') packBlocks(values instanceof Float32Array ? values : Float32Array.from(values), new Float32Array(memory.buffer, address, count), capacity);
  else new Float32Array(memory.buffer, address, count).set(values);
}
