/** The CPU backend: plans compiled to WebAssembly with SIMD, run by a team of threads on one shared memory. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { kernelVariants } from '../../compiler/kernel-variants.ts';
import { targets } from '../../compiler/targets.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { PlanBackend } from '../backend.ts';
import { control } from './control.ts';
import { CpuExecutor } from './executor.ts';
import { enableRelaxedSimd } from './features.ts';
import { inPlanOrder } from '../weights/in-plan-order.ts';
import { fillMemory } from './fill.ts';
import { KernelClock } from './kernel-clock.ts';
import { Packer } from './packer.ts';
import { placeBuffers } from './place.ts';
import { pageBytes, writeProgram } from './program.ts';
import { startTeam } from './workers.ts';

export interface CpuOptions {
  /** 1 to 8; the machine's cores, at most 8, unless given. */
  readonly threads?: number;
  /** Inputs of products with quantised weights stay f32. */
  readonly exact?: boolean;
  /** Steps can be profiled: the program holds a second step that marks the time behind each kernel. */
  readonly profile?: boolean;
  /** false leaves relaxed SIMD unused where the engine has it. */
  readonly relaxedSimd?: boolean;
}

const mostThreads = 8;
const mostPages = 65536;
/** Turns of a waiting loop that take some 30 us (0.4 ns each); a few where threads have to share cores. */
const spins = 80_000;
const spinsWhenCrowded = 50;

export async function createCpuBackend(options: CpuOptions = {}): Promise<PlanBackend> {
  const cores = await availableCores();
  const threads = Math.max(1, Math.min(mostThreads, Math.floor(options.threads ?? cores)));
  const relaxedSimd = options.relaxedSimd === false ? false : await enableRelaxedSimd();
  const description = `cpu: WebAssembly, ${relaxedSimd ? 'relaxed SIMD' : 'SIMD'}, ${threads} thread${threads === 1 ? '' : 's'}`;
  return {
    target: { ...targets.cpu, relaxedSimd, threads, int8Inputs: targets.cpu.int8Inputs && options.exact !== true },
    async load(plan, weights, reason) {
      const map = placeBuffers(plan, { relaxedSimd });
      const program = writeProgram(plan, map, threads, { relaxedSimd }, options.profile);
      const memory = allocate(program.pages, plan);
      const module = await WebAssembly.compile(program.bytes);
      const clock = new KernelClock(plan.kernels.length);
      const instance = await WebAssembly.instantiate(module, { env: { memory, mark: clock.mark } });
      new Int32Array(memory.buffer)[control.spins / 4] = threads > cores ? spinsWhenCrowded : spins;
      const packer = new Packer(memory, instance, program.staging, program.formats);
      const starting = startTeam(threads, module, memory);
      // Until the others serve, this thread packs alone.
      starting.then(() => { packer.threads = threads; }, () => undefined);
      try {
        await fillMemory(memory, map, inPlanOrder(weights, plan), packer);
      } catch (error) {
        await starting.then((team) => team.dispose(), () => undefined);
        throw error;
      }
      const team = await starting;
      const variants = kernelVariants(plan.target, plan.buffers);
      const report = { device: 'cpu' as const, description, reason, kernels: plan.kernels.length, ...(variants === undefined ? {} : { variants }), threads };
      return new CpuExecutor({ plan, map, memory, instance, team, threads, ...(options.profile ? { clock } : {}) }, report);
    },
    dispose: () => Promise.resolve(),
  };
}

function allocate(pages: number, plan: ExecutionPlan): WebAssembly.Memory {
  const bytes = pages * pageBytes;
  const refuse = (code: string, message: string): never => {
    throw new PeelError(ExitCode.device, [{ code, severity: 'error', path: '', message, hint: 'a shorter --context, --quantize, or another device' }]);
  };
  if (pages > mostPages) refuse('E902', `${plan.model} needs ${byteText(bytes)} in one WebAssembly memory, which has at most ${byteText(mostPages * pageBytes)}`);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch {
    return refuse('E903', `${plan.model} needs ${byteText(bytes)} in one WebAssembly memory, which this machine does not give: there is too little memory, or too few addresses (ulimit -v), of which WebAssembly reserves some 10 GiB`);
  }
}

/** Cores that this process may use. */
async function availableCores(): Promise<number> {
  try {
    const { availableParallelism } = await import('node:os');
    return Math.max(1, availableParallelism());
  } catch {
    // Not Node: a browser says it itself.
    return Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1);
  }
}
