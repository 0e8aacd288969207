/** A plan loaded into WebAssembly memory. The thread that calls `step` takes part in it as thread 0. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { ARGMAX } from '../../compiler/schedule.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { Dim, DimName } from '../../compiler/kernels/scalar.ts';
import type { DeviceReport, Executor, StepInput, StepResult, StepTimes } from '../backend.ts';
import { control, jobs } from './control.ts';
import { dimAddress, dimNames } from './emit/kernel.ts';
import type { KernelClock } from './kernel-clock.ts';
import type { MemoryMap, PlacedBuffer } from './place.ts';
import type { Team } from './workers.ts';

interface Exports {
  readonly step: (thread: number) => void;
  /** Where the program was written for it. */
  readonly profile?: (thread: number) => void;
  readonly announce: () => void;
}

export interface LoadedProgram {
  readonly plan: ExecutionPlan;
  readonly map: MemoryMap;
  readonly memory: WebAssembly.Memory;
  readonly instance: WebAssembly.Instance;
  readonly team: Team;
  readonly threads: number;
  /** Where steps can be profiled. */
  readonly clock?: KernelClock;
}

export class CpuExecutor implements Executor {
  private loaded: LoadedProgram | undefined;
  private failed = false;

  constructor(loaded: LoadedProgram, readonly report: DeviceReport) {
    this.loaded = loaded;
  }

  step(input: StepInput, outputs: readonly string[] = []): Promise<StepResult> {
    try {
      const { loaded, sizes } = this.run(input, jobs.step);
      return Promise.resolve(this.results(loaded, outputs, sizes));
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new InternalError('cpu', String(error)));
    }
  }

  profile(input: StepInput): Promise<StepTimes> {
    const clock = this.loaded?.clock;
    if (!clock) return Promise.reject(new InternalError('cpu', 'the program was not written to be profiled'));
    try {
      const { loaded } = this.run(input, jobs.profile);
      return Promise.resolve({ kernels: clock.times(), how: `a clock read after each kernel${loaded.threads === 1 ? '' : `, for which all ${loaded.threads} threads meet`}` });
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new InternalError('cpu', String(error)));
    }
  }

  async dispose(): Promise<void> {
    const loaded = this.loaded;
    if (!loaded) return;
    this.loaded = undefined;
    if (loaded.threads > 1) {
      new Int32Array(loaded.memory.buffer)[control.stop / 4] = 1;
      (loaded.instance.exports as unknown as Exports).announce();
    }
    await loaded.team.dispose();
  }

  private run(input: StepInput, job: typeof jobs.step | typeof jobs.profile): { readonly loaded: LoadedProgram; readonly sizes: Readonly<Record<DimName, number>> } {
    const { loaded } = this;
    if (!loaded) throw new InternalError('cpu', 'a step after dispose');
    if (this.failed) throw new InternalError('cpu', 'a step after one that failed');
    const sizes = this.sizes(loaded, input);
    this.writeInputs(loaded, input, sizes);
    const { announce, step, profile } = loaded.instance.exports as unknown as Exports;
    new Int32Array(loaded.memory.buffer)[control.job / 4] = job;
    try {
      if (loaded.threads > 1) announce();
      if (job === jobs.profile) profile?.(0);
      else step(0);
    } catch (error) {
      this.failed = true;
      const words = new Int32Array(loaded.memory.buffer);
      Atomics.store(words, control.failed / 4, 1);
      Atomics.notify(words, control.generation / 4);
      throw new InternalError('cpu', `the step failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    return { loaded, sizes };
  }

  private results(loaded: LoadedProgram, outputs: readonly string[], sizes: Readonly<Record<DimName, number>>): StepResult {
    const named = new Map<string, Float32Array>();
    for (const name of outputs) named.set(name, this.read(loaded, name, sizes));
    const argmax = loaded.plan.outputs.some((o) => o.name === ARGMAX) ? (this.read(loaded, ARGMAX, sizes)[0] ?? -1) : -1;
    return { argmax, outputs: named };
  }

  private sizes({ plan: { capacity } }: LoadedProgram, input: StepInput): Readonly<Record<DimName, number>> {
    const T = input.ids.length;
    const P = input.past;
    const R = input.logitRows;
    if (T < 1 || T > capacity.maxTokens) throw new InternalError('cpu', `a step of ${T} tokens; the plan is for 1 to ${capacity.maxTokens}`);
    if (P < 0 || P + T > capacity.context) throw new InternalError('cpu', `${P} + ${T} tokens; the plan is for ${capacity.context}`);
    if (R < 1 || R > Math.min(T, capacity.maxLogitRows)) throw new InternalError('cpu', `${R} rows of logits of ${T} tokens; the plan is for 1 to ${capacity.maxLogitRows}`);
    return { T, P, S: P + T, R, L: input.ropeLength ?? P + T };
  }

  private writeInputs({ memory, map }: LoadedProgram, input: StepInput, sizes: Readonly<Record<DimName, number>>): void {
    const words = new Int32Array(memory.buffer);
    for (const name of dimNames) words[dimAddress[name] / 4] = sizes[name];
    for (const { buffer, address } of map.buffers.values()) {
      if (buffer.role !== 'input') continue;
      const target = words.subarray(address / 4, address / 4 + sizes.T);
      if (buffer.name === 'ids') target.set(input.ids);
      else if (buffer.name === 'positions') target.forEach((_, t) => { target[t] = sizes.P + t; });
      else if (buffer.name === 'types') {
        if (input.types) target.set(input.types);
        else target.fill(0);
      } else throw new InternalError('cpu', `an input ${buffer.name} that nobody gives`);
    }
  }

  private read({ plan, map, memory }: LoadedProgram, name: string, sizes: Readonly<Record<DimName, number>>): Float32Array {
    const output = plan.outputs.find((o) => o.name === name);
    const placed: PlacedBuffer | undefined = output && map.buffers.get(output.buffer);
    if (!placed) throw new InternalError('cpu', `no output ${name} in the plan; it has ${plan.outputs.map((o) => o.name).join(', ')}`);
    const count = placed.buffer.shape.reduce<number>((product, d: Dim) => product * (typeof d === 'number' ? d : sizes[d]), 1);
    return placed.buffer.dtype === 'f32'
      ? new Float32Array(memory.buffer, placed.address, count).slice()
      : Float32Array.from(new Int32Array(memory.buffer, placed.address, count));
  }
}
