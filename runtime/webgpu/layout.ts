/** Decides where a plan's weights lie on the device: which are packed into matrices, and how what is too large for one binding is cut. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { InternalError } from '../../compiler/diagnostics.ts';
import { isQuantised } from '../../compiler/formats.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { Buffer, BufferId, Kernel, LinearKernel } from '../../compiler/kernels/types.ts';
import type { MatrixLayout } from './wgsl/linear.ts';
import { elementBytes, type ElementFormat } from './wgsl/halves.ts';
import { elementFormat } from './wgsl/module.ts';
import type { Part, Pieces } from './wgsl/module.ts';
import { formStart, wordForm, wordRow, type WordForms } from './word-rows.ts';
import { deviceError } from './errors.ts';

/** The weights of one or more linear kernels, packed: row n of group g at (g * rows + n) * stride elements. */
export interface Matrix extends MatrixLayout {
  readonly key: string;
  readonly weights: readonly Buffer[];
  readonly order: LinearKernel['order'];
  /** Each piece in its own buffer: rows of N where groups is 1, else groups. */
  readonly parts: readonly Part[];
}

export interface WeightLayout {
  readonly matrices: ReadonlyMap<string, Matrix>;
  /** Matrices that are a plain weight, which other kernels read element by element as well. */
  readonly plain: ReadonlyMap<BufferId, Matrix>;
  /** Weights and constants that kernels read element by element, with the first element of each piece. */
  readonly elements: ReadonlyMap<BufferId, Pieces>;
}

export const matrixKey = (kernel: LinearKernel): string => `${kernel.weights.length === 1 ? '' : kernel.order}:${kernel.weights.map((w) => w.buffer).join(',')}`;

const count = (shape: Buffer['shape'], name: string): number => shape.reduce<number>((n, d) => {
  if (typeof d !== 'number') throw new InternalError('webgpu', `weight ${name} has no fixed shape`);
  return n * d;
}, 1);

/** Buffers that a kernel reads element by element. */
export function elementReads(kernel: Kernel): BufferId[] {
  switch (kernel.kind) {
    case 'nest': case 'linear': case 'topk': return [...kernel.sources];
    case 'attention': return [...kernel.sources, kernel.query.buffer, kernel.key.buffer, kernel.value.buffer, ...(kernel.sinks === undefined ? [] : [kernel.sinks])];
    case 'argmax': return [kernel.input];
    default: return kernel satisfies never;
  }
}

export function layoutWeights(plan: ExecutionPlan, maxBinding: number): WeightLayout {
  const buffers = new Map(plan.buffers.map((b) => [b.id, b]));
  const find = (id: BufferId): Buffer => {
    const b = buffers.get(id);
    if (!b) throw new InternalError('webgpu', `no buffer ${id}`);
    return b;
  };
  const read = new Set(plan.kernels.flatMap(elementReads));
  const matrices = new Map<string, Matrix>();
  const plain = new Map<BufferId, Matrix>();
  for (const kernel of plan.kernels) {
    if (kernel.kind !== 'linear') continue;
    const key = matrixKey(kernel);
    const step = Math.max(kernel.granule, kernel.order === 'interleaved' ? kernel.weights.length : 1);
    const known = matrices.get(key);
    if (known && (known.parts.length === 1 || known.parts.every((p) => p.from % step === 0))) continue;
    if (known) throw new InternalError('webgpu', `${kernel.origin.label}: two kernels cut one weight at different rows`);
    const weights = kernel.weights.map((w) => find(w.buffer));
    const [first] = weights;
    if (!first) throw new InternalError('webgpu', `${kernel.origin.label} has no weights`);
    const shared = weights.length === 1 && read.has(first.id);
    const groups = kernel.group === 'none' ? 1 : (first.shape[0] as number);
    const rows = kernel.weights.reduce((n, w) => n + w.rows, 0);
    const words: WordForms | undefined = weights.some((w) => isQuantised(w.format ?? 'f32'))
      ? { forms: kernel.weights.map((w) => wordForm(find(w.buffer).format ?? 'f32', w.rows, kernel.k)), interleaved: kernel.order === 'interleaved' } : undefined;
    const stride = shared || words ? kernel.k : Math.ceil(kernel.k / 4) * 4;
    const formats = words ? [] : [...new Set(weights.map(elementFormat))];
    // What is packed of unlike forms is expanded where none is quantised.
    const [format = 'f32'] = formats.length > 1 ? [] : formats;
    const [total, least, unit] = kernel.group === 'none' ? [rows, step, 1] : [groups, 1, rows];
    const parts = words ? cut(total, 4 * (unit === 1 ? Math.max(...words.forms.map((f) => f.words)) : formStart(words, rows)), least, maxBinding, first.name)
      : cut(total, unit * stride * elementBytes(format), even(least, unit * stride, format), maxBinding, first.name);
    const matrix: Matrix = { key, weights, order: kernel.order, groups, rows, stride, format: words ? 'words' : format, ...(words ? { words } : {}), parts, split: parts.length > 1 };
    matrices.set(key, matrix);
    if (shared) plain.set(first.id, matrix);
  }
  const elements = new Map<BufferId, Pieces>();
  for (const id of read) {
    const b = find(id);
    if (b.role !== 'weight' && b.role !== 'constant') continue;
    // Shaders count elements in 32 bits.
    if (count(b.shape, b.name) > 0x7fffffff) throw deviceError('E902', `weight ${b.name} has ${count(b.shape, b.name)} elements; WebGPU kernels look rows up among at most ${0x7fffffff}`, 'use --device cpu');
    const matrix = plain.get(id);
    const unit = matrix && (matrix.groups > 1 ? matrix.rows * matrix.stride : matrix.stride);
    elements.set(id, matrix && unit !== undefined ? matrix.parts.map((p) => p.from * unit) : cutElements(b, maxBinding));
  }
  return { matrices, plain, elements };
}

/** Bytes of all weights and constants on the device, as they are laid out. */
export function layoutBytes(buffers: readonly Buffer[], { matrices, elements, plain }: WeightLayout): number {
  let bytes = 0;
  for (const matrix of matrices.values()) bytes += matrixBytes(matrix);
  for (const b of buffers) if (elements.has(b.id) && !plain.has(b.id)) bytes += elementsBytes(b);
  return bytes;
}

export function matrixBytes({ groups, rows, stride, format, words }: Matrix): number {
  return words ? 4 * groups * formStart(words, rows) : groups * rows * stride * elementBytes(format === 'words' ? 'f32' : format);
}

export function elementsBytes(b: Buffer): number {
  const { name, shape, format = 'f32' } = b;
  if (!isQuantised(format)) return count(shape, name) * elementBytes(elementFormat(b));
  return 4 * count(shape.slice(0, -1), name) * wordRow(format, count(shape.slice(-1), name)).words;
}

/** The first element of each piece of a buffer that is read element by element: whole rows, of a quantised one along its last axis. */
function cutElements(b: Buffer, maxBinding: number): number[] {
  const { name, shape, format = 'f32' } = b;
  if (isQuantised(format)) {
    const k = count(shape.slice(-1), name);
    return cut(count(shape.slice(0, -1), name), 4 * wordRow(format, k).words, 1, maxBinding, name).map((p) => p.from * k);
  }
  const row = count(shape.slice(1), name);
  const element = elementFormat(b);
  return cut(count(shape.slice(0, 1), name), row * elementBytes(element), even(1, row, element), maxBinding, name).map((p) => p.from * row);
}

/** A step in units of `row` elements that, in 16 bits, is a whole number of 32-bit words. */
const even = (step: number, row: number, format: ElementFormat): number => (format !== 'f32' && (step * row) % 2 === 1 ? 2 * step : step);

/** Cuts `total` units of `bytes` into as few equal runs as fit a binding, each but the last a multiple of `step`. */
function cut(total: number, bytes: number, step: number, maxBinding: number, name: string): Part[] {
  const most = Math.floor(maxBinding / bytes / step) * step;
  if (total <= Math.floor(maxBinding / bytes)) return [{ from: 0, to: total }];
  if (most === 0) {
    throw deviceError('E902', `weight ${name} has rows of ${byteText(bytes)}; this adapter binds at most ${byteText(maxBinding)} at once`, 'use --device cpu');
  }
  const pieces = Math.ceil(total / most);
  const each = Math.min(most, Math.ceil(total / pieces / step) * step);
  return Array.from({ length: Math.ceil(total / each) }, (_, n) => ({ from: n * each, to: Math.min(total, (n + 1) * each) }));
}
