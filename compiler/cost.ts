/** What a kernel reads, writes and computes: estimates for reports. */
import { bufferBytes, largest } from './memory.ts';
import { buffersWritten } from './kernels/sources.ts';
import { operands } from './kernels/scalar-expression.ts';
import type { Dim, Scalar, Shape } from './kernels/scalar.ts';
import type { Buffer, BufferId, Kernel, LinearKernel } from './kernels/types.ts';
import type { Capacity, ExecutionPlan } from './plan.ts';

export interface Cost {
  /** Multiplications and additions; functions count as one. */
  readonly flops: number;
  /** Bytes of weights, states and activations that have to move, each once. */
  readonly bytes: number;
}

/** One token after `past` others, the case that decides the speed of writing text. */
export const decodeStep = (past: number): Capacity => ({ maxTokens: 1, context: past + 1, maxLogitRows: 1 });

const size = (shape: Shape, step: Capacity): number => shape.reduce<number>((n, d) => n * largest(d, step), 1);

export function kernelCost(kernel: Kernel, buffers: ReadonlyMap<BufferId, Buffer>, step: Capacity): Cost {
  const bytesOf = (id: BufferId): number => { const b = buffers.get(id); return b ? bufferBytes(b, step) : 0; };
  const weights = new Set<BufferId>(kernel.kind === 'linear' ? kernel.weights.map((w) => w.buffer) : []);
  let bytes = buffersWritten(kernel).reduce((n, id) => n + writtenBytes(kernel, buffers.get(id), step), 0);
  for (const id of kernel.sources) {
    const b = buffers.get(id);
    // Of a table that is looked up (an embedding), a row a token; of a state, what a kernel other than attention reads is not known.
    if (b && !weights.has(id)) bytes += Math.min(bytesOf(id), 4 * size(spaceOf(kernel), step));
  }
  switch (kernel.kind) {
    case 'nest': {
      const points = size(kernel.space, step);
      return { flops: kernel.stores.reduce((n, s) => n + points * operations(s.value), 0), bytes };
    }
    case 'linear': {
      const rows = size(kernel.rowShape, step);
      const total = kernel.weights.reduce((n, w) => n + w.rows, 0);
      const behind = kernel.stores.reduce((n, s) => n + (s.to - s.from) * operations(s.value), 0);
      return { flops: rows * (2 * total * kernel.k + kernel.k * operations(kernel.input) + behind), bytes: bytes + weightBytes(kernel, rows, bytesOf, buffers) };
    }
    case 'attention': {
      const [tokens, keys] = [largest('T', step), largest(kernel.keys, step)];
      const perKey = 2 * kernel.headDim + 2 * kernel.valueDim + 4 + operations(kernel.score);
      const row = 4 * kernel.kvHeads * (kernel.headDim + (kernel.key.buffer === kernel.value.buffer ? 0 : kernel.valueDim));
      return { flops: tokens * kernel.heads * keys * perKey, bytes: bytes + keys * row + bytesOf(kernel.query.buffer) };
    }
    case 'topk': return { flops: size(kernel.rowShape, step) * kernel.n * kernel.k, bytes };
    case 'argmax': return { flops: kernel.n, bytes: bytes + 4 * kernel.n };
    default: return kernel satisfies never;
  }
}

/** Experts are read at most once each, and at most one a row. */
function weightBytes(kernel: LinearKernel, rows: number, bytesOf: (id: BufferId) => number, buffers: ReadonlyMap<BufferId, Buffer>): number {
  return kernel.weights.reduce((n, w) => {
    const groups = kernel.group === 'expert' ? (buffers.get(w.buffer)?.shape[0] as number) : 1;
    return n + bytesOf(w.buffer) * Math.min(1, kernel.group === 'expert' ? rows / groups : 1);
  }, 0);
}

function writtenBytes(kernel: Kernel, b: Buffer | undefined, step: Capacity): number {
  if (!b) return 0;
  // A state gets the step's rows only.
  const shape: readonly Dim[] = b.role === 'state' ? ['T', ...b.shape.slice(1)] : b.shape;
  return 4 * Math.min(size(shape, step), Math.max(size(spaceOf(kernel), step), 1));
}

function spaceOf(kernel: Kernel): Shape {
  switch (kernel.kind) {
    case 'nest': return kernel.space;
    case 'linear': return [...kernel.rowShape, Math.max(kernel.k, kernel.weights.reduce((n, w) => n + w.rows, 0))];
    case 'attention': return ['T', kernel.heads, Math.max(kernel.headDim, kernel.valueDim)];
    case 'topk': return [...kernel.rowShape, kernel.n];
    case 'argmax': return [1];
    default: return kernel satisfies never;
  }
}

/** Arithmetic of one element; what reduces add to it is spread over the row that they serve. */
export function operations(x: Scalar): number {
  const inside = x.op === 'reduce' ? 0 : operands(x).reduce((n, o) => n + operations(o), 0);
  switch (x.op) {
    case 'const': case 'arg': case 'load': case 'accumulator': case 'index': return 0;
    case 'unary': case 'binary': case 'select': return inside + 1;
    case 'reduce': return 1 + operations(x.body);
    default: return x satisfies never;
  }
}

/** All kernels together. */
export function planCost(plan: Pick<ExecutionPlan, 'buffers' | 'kernels'>, step: Capacity): Cost {
  const buffers = new Map(plan.buffers.map((b) => [b.id, b]));
  return plan.kernels.map((k) => kernelCost(k, buffers, step)).reduce((a, b) => ({ flops: a.flops + b.flops, bytes: a.bytes + b.bytes }), { flops: 0, bytes: 0 });
}
