/** Runs schedules and plans by the kernel interpreter, with the reference backend's interface made synchronous. */
import { interpret, sizeOf, stepDims, type Memory } from '../../compiler/kernels/interpret.ts';
import { rowAt } from '../../compiler/kernels/row-order.ts';
import type { Schedule } from '../../compiler/kernels/types.ts';
import type { StepInput } from '../../runtime/backend.ts';

export type Weights = ReadonlyMap<string, Float32Array>;

export class Interpreted {
  private readonly memory: Memory = new Map();

  constructor(private readonly schedule: Pick<Schedule, 'buffers' | 'kernels' | 'outputs'>, weights: Weights, context: number, private readonly float32 = false) {
    for (const b of schedule.buffers) {
      if (b.role === 'weight') {
        const data = weights.get(b.name);
        if (!data) throw new Error(`no weight ${b.name}`);
        const rows = Number(b.shape[0]);
        const row = data.length / rows;
        const { rowOrder } = b;
        this.memory.set(b.id, Float64Array.from(data, (x, n) => (rowOrder ? (data[rowAt(rowOrder, rows, Math.floor(n / row)) * row + (n % row)] ?? NaN) : x)));
      }
      if (b.role === 'state') {
        const dims = stepDims(context, 0);
        this.memory.set(b.id, new Float64Array(b.shape.reduce<number>((n, d) => n * sizeOf(d, dims), 1)).fill(NaN));
      }
    }
  }

  /** Every output by name. */
  step(input: StepInput): Map<string, Float64Array> {
    const dims = stepDims(input.ids.length, input.past, input.logitRows, input.ropeLength);
    for (const b of this.schedule.buffers) {
      if (b.role !== 'input') continue;
      const values = b.name === 'ids' ? input.ids : b.name === 'types' ? (input.types ?? new Int32Array(input.ids.length)) : input.ids.map((_, t) => input.past + t);
      this.memory.set(b.id, Float64Array.from(values));
    }
    interpret(this.schedule, { dims, memory: this.memory, float32: this.float32 });
    return new Map(this.schedule.outputs.map((o) => [o.name, Float64Array.from(this.memory.get(o.buffer) ?? [])]));
  }
}

/** Mean squared error over mean square; NaN counts as infinite. */
export function nmse(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Infinity;
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [found[i] as number, expected[i] as number];
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Infinity;
    error += (a - b) ** 2;
    power += b ** 2;
  }
  return error === 0 ? 0 : error / Math.max(power, 1e-300);
}

/** Small reproducible numbers in -1..1. */
export function random(seed: number): () => number {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  };
}
export function randomWeights(slots: readonly { readonly slot: string; readonly shape: readonly number[] }[], seed = 1): Map<string, Float32Array> {
  const next = random(seed);
  return new Map(slots.map(({ slot, shape }) => [slot, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next())]));
}
