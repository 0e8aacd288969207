/**
 * A slow, obvious interpreter of kernels: the oracle for schedules, fusion passes and plans, with no backend in between.
 * Expressions become closures over the loop axes; a reduce whose axes have not moved since it was last computed is not computed again.
 */
import { InternalError } from '../diagnostics.ts';
import { freeAxes, operands } from './scalar-expression.ts';
import { applyBinary, applyUnary, reduceStart, reduceStep } from './scalar-functions.ts';
import type { AttentionKernel, Buffer, BufferId, HeadView, Kernel, LinearKernel, Schedule, Store } from './types.ts';
import type { Dim, DimName, Index, Scalar, Shape } from './scalar.ts';
import type { MaskWindow } from '../graph/types.ts';

export type Dims = Readonly<Record<DimName, number>>;
export type Memory = Map<BufferId, Float64Array>;

export interface Interpretation {
  readonly dims: Dims;
  /** Contents of every weight, constant, input and state buffer; results are added. State buffers hold at least S rows. */
  readonly memory: Memory;
  /** Round every operation to float32 as a device does. */
  readonly float32: boolean;
}

export const sizeOf = (d: Dim, dims: Dims): number => (typeof d === 'number' ? d : dims[d]);
const count = (shape: Shape, dims: Dims): number => shape.reduce<number>((n, d) => n * sizeOf(d, dims), 1);

/** The dimensions of a step. */
export const stepDims = (tokens: number, past: number, logitRows = tokens, length = past + tokens): Dims =>
  ({ T: tokens, P: past, S: past + tokens, R: logitRows, L: length });

/** Runs the kernels in order; every buffer that they write is in `memory` afterwards. */
export function interpret(schedule: Pick<Schedule, 'buffers' | 'kernels'>, step: Interpretation): void {
  const buffers = new Map(schedule.buffers.map((b) => [b.id, b]));
  for (const b of schedule.buffers) {
    if (b.data && !step.memory.has(b.id)) step.memory.set(b.id, Float64Array.from(b.data));
    if (b.role === 'activation' || b.role === 'output') step.memory.set(b.id, new Float64Array(count(b.shape, step.dims)).fill(NaN));
  }
  for (const kernel of schedule.kernels) new Run(step, buffers, kernel).run();
}

type Axes = number[];
type Value = (axes: Axes) => number;

class Run {
  /** What `accumulator` reads, set by the template. */
  private product: (index: readonly number[]) => number = () => NaN;

  constructor(private readonly step: Interpretation, private readonly buffers: ReadonlyMap<BufferId, Buffer>, private readonly kernel: Kernel) {}

  run(): void {
    const kernel = this.kernel;
    switch (kernel.kind) {
      case 'nest': {
        const stores = kernel.stores.map((s) => this.store(s));
        this.loop(kernel.space, (axes) => { for (const s of stores) s(axes); });
        return;
      }
      case 'linear': this.linear(kernel); return;
      case 'attention': this.attention(kernel); return;
      case 'topk': {
        const value = this.scalar(kernel.value);
        const target = this.data(kernel.target);
        let row = 0;
        this.loop(kernel.rowShape, (axes) => {
          const values = Array.from({ length: kernel.n }, (_, n) => value([...axes, n]));
          const order = values.map((_, n) => n).sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
          for (let n = 0; n < kernel.k; n++) target[row * kernel.k + n] = order[n] as number;
          row++;
        });
        return;
      }
      case 'argmax': {
        const input = this.data(kernel.input);
        const start = (this.extent(this.buffer(kernel.input).shape[0] ?? 1) - 1) * kernel.n;
        let best = 0;
        for (let n = 1; n < kernel.n; n++) if ((input[start + n] as number) > (input[start + best] as number)) best = n;
        const wrong = !Number.isFinite(input[start + best]) || input.subarray(start, start + kernel.n).some(Number.isNaN);
        this.data(kernel.target)[0] = wrong ? -1 : best;
        return;
      }
      default: return kernel satisfies never;
    }
  }

  private linear(kernel: LinearKernel): void {
    const rank = kernel.rowShape.length;
    const input = this.scalar(kernel.input);
    const choice = kernel.choice && this.element(kernel.choice.source, kernel.choice.index);
    const stores = kernel.stores.map((s) => ({ ...s, run: this.store(s) }));
    const total = kernel.weights.reduce((n, w) => n + w.rows, 0);
    const rows: { readonly data: Float64Array; readonly row: number; readonly tall: number }[] = [];
    if (kernel.order === 'stacked') {
      for (const w of kernel.weights) for (let r = 0; r < w.rows; r++) rows.push({ data: this.data(w.buffer), row: r, tall: w.rows });
    } else {
      for (let n = 0; n < total; n++) {
        const w = kernel.weights[n % kernel.weights.length];
        if (w) rows.push({ data: this.data(w.buffer), row: Math.floor(n / kernel.weights.length), tall: w.rows });
      }
    }
    this.loop(kernel.rowShape, (axes) => {
      const x = Array.from({ length: kernel.k }, (_, k) => { axes[rank] = k; return input(axes); });
      const group = kernel.group === 'none' ? 0 : kernel.group === 'head' ? (axes[1] as number) : (choice?.(axes) ?? NaN);
      const sums = rows.map(({ data, row, tall }) => {
        const start = (group * tall + row) * kernel.k;
        let sum = 0;
        for (let k = 0; k < kernel.k; k++) sum = this.round(sum + this.round((x[k] as number) * (data[start + k] as number)));
        return sum;
      });
      this.product = (index) => sums[index[rank] as number] ?? NaN;
      for (const s of stores) for (let n = s.from; n < s.to; n++) { axes[rank] = n; s.run(axes); }
      axes.length = rank;
    });
  }

  private attention(kernel: AttentionKernel): void {
    const score = this.scalar(kernel.score);
    const stores = kernel.stores.map((s) => this.store(s));
    const keys = this.extent(kernel.keys);
    const sinks = kernel.sinks === undefined ? undefined : this.data(kernel.sinks);
    const view = (v: HeadView): ((row: number, head: number, j: number) => number) => {
      const data = this.data(v.buffer);
      return (row, head, j) => data[row * v.rowStride + head * v.headStride + j + v.offset] as number;
    };
    const [q, k, v] = [view(kernel.query), view(kernel.key), view(kernel.value)];
    const inner = (left: (j: number) => number, right: (j: number) => number, n: number): number => {
      let sum = 0;
      for (let j = 0; j < n; j++) sum = this.round(sum + this.round(left(j) * right(j)));
      return sum;
    };
    this.loop(['T', kernel.heads], ([t, h]) => {
      const [token, head] = [t as number, h as number];
      const kvHead = Math.floor((head * kernel.kvHeads) / kernel.heads);
      const seen = Array.from({ length: keys }, (_, s) => s).filter((s) => isVisible(kernel.mask, this.step.dims.P + token, s));
      const scores = seen.map((s) => {
        this.product = () => inner((j) => q(token, head, j), (j) => k(s, kvHead, j), kernel.headDim);
        return score([token, head, s]);
      });
      const sink = sinks?.[head];
      const largest = Math.max(...scores, ...(sink === undefined ? [] : [sink]));
      const weights = scores.map((x) => this.round(Math.exp(x - largest)));
      const total = weights.reduce((a, b) => a + b, 0) + (sink === undefined ? 0 : Math.exp(sink - largest));
      const mixed = Array.from({ length: kernel.valueDim }, (_, j) =>
        inner((n) => (weights[n] as number) / total, (n) => v(seen[n] as number, kvHead, j), seen.length));
      this.product = (index) => mixed[index[2] as number] ?? NaN;
      for (const s of stores) for (let j = 0; j < kernel.valueDim; j++) s([token, head, j]);
    });
  }

  private loop(space: Shape, body: (axes: Axes) => void): void {
    const extents = space.map((d) => this.extent(d));
    const total = extents.reduce((a, b) => a * b, 1);
    const axes: Axes = extents.map(() => 0);
    for (let i = 0; i < total; i++) {
      body(axes);
      for (let n = extents.length - 1; n >= 0; n--) {
        axes[n] = (axes[n] as number) + 1;
        if ((axes[n] as number) < (extents[n] as number)) break;
        axes[n] = 0;
      }
    }
  }

  private store(s: Store): (axes: Axes) => void {
    const target = this.data(s.buffer);
    const buffer = this.buffer(s.buffer);
    const offset = this.offset(buffer, s.index);
    const value = this.scalar(s.value);
    const whole = buffer.dtype === 'i32';
    const name = buffer.name;
    return (axes) => {
      const at = offset(axes);
      if (!(at >= 0 && at < target.length)) throw new InternalError('interpret', `kernel ${this.kernel.id} stores outside ${name}: ${at} of ${target.length}`);
      const x = value(axes);
      target[at] = whole ? Math.trunc(x) : x;
    };
  }

  private offset(buffer: Buffer, index: readonly Index[]): Value {
    const parts = index.map((i) => this.index(i));
    const extents = buffer.shape.map((d) => this.extent(d));
    return (axes) => {
      let at = 0;
      parts.forEach((part, n) => {
        const i = part(axes);
        at = i >= 0 && i < (extents[n] as number) ? at * (extents[n] as number) + i : NaN;
      });
      return at;
    };
  }

  /** An element; NaN where it is out of range. */
  private element(source: number, index: readonly Index[]): Value {
    const id = this.kernel.sources[source];
    if (id === undefined) throw new InternalError('interpret', `kernel ${this.kernel.id} has no source ${source}`);
    const data = this.data(id);
    const offset = this.offset(this.buffer(id), index);
    return (axes) => data[offset(axes)] ?? NaN;
  }

  private index(i: Index): Value {
    switch (i.op) {
      case 'int': return () => i.value;
      case 'axis': return (axes) => axes[i.axis] ?? NaN;
      case 'dim': { const value = this.step.dims[i.dim]; return () => value; }
      case 'at': return this.element(i.source, i.index);
      case 'mul': { const a = this.index(i.a); return (axes) => a(axes) * i.by; }
      case 'div': { const a = this.index(i.a); return (axes) => Math.floor(a(axes) / i.by); }
      case 'mod': { const a = this.index(i.a); return (axes) => { const x = a(axes); return x - Math.floor(x / i.by) * i.by; }; }
      case 'add': case 'sub': case 'min': case 'max': {
        const [a, b] = [this.index(i.a), this.index(i.b)];
        if (i.op === 'add') return (axes) => a(axes) + b(axes);
        if (i.op === 'sub') return (axes) => a(axes) - b(axes);
        if (i.op === 'min') return (axes) => Math.min(a(axes), b(axes));
        return (axes) => Math.max(a(axes), b(axes));
      }
      default: return i satisfies never;
    }
  }

  private scalar(x: Scalar): Value {
    switch (x.op) {
      case 'const': { const value = this.round(x.value); return () => value; }
      case 'arg': throw new InternalError('interpret', `kernel ${this.kernel.id} holds a graph operand`);
      case 'load': return this.element(x.source, x.index);
      case 'accumulator': {
        const parts = x.index.map((i) => this.index(i));
        return (axes) => this.product(parts.map((part) => part(axes)));
      }
      case 'index': return this.index(x.index);
      case 'unary': { const a = this.scalar(x.x); return (axes) => this.round(applyUnary(x.fn, a(axes))); }
      case 'binary': {
        const [a, b] = [this.scalar(x.a), this.scalar(x.b)];
        return (axes) => this.round(applyBinary(x.fn, a(axes), b(axes)));
      }
      case 'select': {
        const [c, a, b] = [this.scalar(x.condition), this.scalar(x.then), this.scalar(x.else)];
        return (axes) => (c(axes) !== 0 ? a(axes) : b(axes));
      }
      case 'reduce': return this.reduction(x);
      default: return x satisfies never;
    }
  }

  private reduction(x: Extract<Scalar, { op: 'reduce' }>): Value {
    const body = this.scalar(x.body);
    const extent = this.extent(x.extent);
    const depends = [...freeAxes(x)];
    // Accumulators change without an axis of the expression moving.
    const cacheable = !hasAccumulator(x);
    let at: number[] | undefined;
    let result = 0;
    return (axes) => {
      if (cacheable && at && depends.every((n, i) => axes[n] === at?.[i])) return result;
      at = depends.map((n) => axes[n] as number);
      const saved = axes[x.axis];
      result = reduceStart(x.fn);
      for (let n = 0; n < extent; n++) {
        axes[x.axis] = n;
        result = this.round(reduceStep(x.fn, result, body(axes)));
      }
      axes[x.axis] = saved as number;
      return result;
    };
  }

  private round(x: number): number { return this.step.float32 ? Math.fround(x) : x; }
  private extent(d: Dim): number { return sizeOf(d, this.step.dims); }
  private buffer(id: BufferId): Buffer {
    const b = this.buffers.get(id);
    if (!b) throw new InternalError('interpret', `kernel ${this.kernel.id} names an unknown buffer ${id}`);
    return b;
  }
  private data(id: BufferId): Float64Array {
    const data = this.step.memory.get(id);
    if (!data) throw new InternalError('interpret', `buffer ${this.buffer(id).name} has no contents`);
    return data;
  }
}

/** Whether a query at position `q` may see key `s`. */
export function isVisible(mask: { readonly causal: boolean; readonly window?: MaskWindow }, q: number, s: number): boolean {
  if (mask.causal && s > q) return false;
  if (!mask.window) return true;
  const { kind, size } = mask.window;
  if (kind === 'sliding') return s > q - size;
  if (kind === 'chunked') return Math.floor(s / size) === Math.floor(q / size);
  return Math.abs(q - s) <= size;
}

const hasAccumulator = (x: Scalar): boolean => x.op === 'accumulator' || operands(x).some(hasAccumulator);
