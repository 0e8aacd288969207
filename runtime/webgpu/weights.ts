/** Uploads weights and constants, packing matrices on the way. */
import { InternalError } from '../../compiler/diagnostics.ts';
import { isQuantised } from '../../compiler/formats.ts';
import type { Buffer, BufferId } from '../../compiler/kernels/types.ts';
import type { WeightProvider } from '../backend.ts';
import type { DeviceWatch } from './errors.ts';
import { layoutBytes, matrixBytes, type Matrix, type WeightLayout } from './layout.ts';
import { elementBytes, type ElementFormat } from './wgsl/halves.ts';
import { elementFormat, type Part } from './wgsl/module.ts';
import { BufferUsage } from './usage.ts';
import { formStart, wordForm } from './word-rows.ts';
import { wordRuns } from './word-runs.ts';

/** Bytes handed to the driver before waiting for it to have copied them. */
const FLIGHT = 256 * 2 ** 20;
/** Elements of one write, an even number. */
const CHUNK = 2 ** 22;

export interface DeviceWeights {
  /** One device buffer for each piece. */
  readonly matrices: ReadonlyMap<string, readonly GPUBuffer[]>;
  readonly elements: ReadonlyMap<BufferId, readonly GPUBuffer[]>;
}

export async function uploadWeights(watch: DeviceWatch, buffers: readonly Buffer[], layout: WeightLayout, provider: WeightProvider): Promise<DeviceWeights> {
  const upload = new Upload(watch);
  const matrices = new Map<string, readonly GPUBuffer[]>();
  const elements = new Map<BufferId, readonly GPUBuffer[]>();
  try {
    for (const matrix of layout.matrices.values()) {
      const made = await upload.matrix(matrix, provider);
      matrices.set(matrix.key, made);
      const [only] = matrix.weights;
      if (only && layout.plain.get(only.id) === matrix) elements.set(only.id, made);
    }
    for (const [id, starts] of layout.elements) {
      const buffer = buffers.find((b) => b.id === id);
      if (!buffer) throw new InternalError('webgpu', `no buffer ${id}`);
      if (!elements.has(id)) elements.set(id, await upload.buffer(buffer, starts, provider));
    }
    await upload.settle();
  } catch (error) {
    for (const made of [...matrices.values(), ...elements.values()].flat()) made.destroy();
    throw error;
  }
  return { matrices, elements };
}

/**
 * Bytes that are held for a moment while weights are uploaded, from what `reading` says that reading takes: what the driver has not copied yet, and the
 * weights that are read whole to be packed into one matrix.
 */
export function bytesToUpload(buffers: readonly Buffer[], layout: WeightLayout, reading: (slot: string, elements: number, stored: boolean) => number): number {
  const [piece, chunk] = [4 * CHUNK, 4 * CHUNK];
  const whole = (b: Buffer): number => reading(b.name, elements(b.shape), (b.format ?? 'f32') !== 'f32');
  const some = (b: Buffer): number => reading(b.name, Math.min(piece, elements(b.shape)), (b.format ?? 'f32') !== 'f32');
  let most = 0;
  for (const matrix of layout.matrices.values()) {
    const { weights, words, stride } = matrix;
    const packed = !words && !(weights.length === 1 && stride === Number(weights[0]?.shape.at(-1)));
    const held = packed ? matrixBytes(matrix) + Math.max(...weights.map(whole)) : (words ? chunk : 0) + Math.max(...weights.map(some));
    most = Math.max(most, held);
  }
  for (const b of buffers) if (b.role === 'weight' && layout.elements.has(b.id) && !layout.plain.has(b.id)) most = Math.max(most, isQuantised(b.format ?? 'f32') ? chunk + some(b) : whole(b));
  // A driver copies while it is given more: measured with one in software, half of what may be on the way is there at once.
  return most + Math.min(FLIGHT / 2, layoutBytes(buffers, layout));
}

/** Elements as they lie on the device; 16-bit forms as bits. */
type Data = Float32Array | Int32Array | Uint16Array | Uint32Array;

const elements = (shape: Buffer['shape']): number => shape.reduce<number>((n, d) => n * Number(d), 1);

class Upload {
  private inFlight = 0;
  constructor(private readonly watch: DeviceWatch) {}

  private create(label: string, bytes: number): Promise<GPUBuffer> {
    return this.watch.guard(label, () => this.watch.device.createBuffer({
      label, size: Math.max(16, Math.ceil(bytes / 16) * 16), usage: BufferUsage.storage | BufferUsage.copyDestination | BufferUsage.copySource,
    }));
  }
  /** Writes elements from `at` on. In 16 bits, `at` is even; the other half of a last word is 0. */
  private async write(target: GPUBuffer, at: number, data: Data): Promise<void> {
    for (let from = 0; from < data.length; from += CHUNK) {
      let part = data.subarray(from, from + CHUNK);
      if (part.byteLength % 4 !== 0) {
        const whole = new Uint16Array(part.length + 1);
        whole.set(part);
        part = whole;
      }
      this.watch.device.queue.writeBuffer(target, (at + from) * data.BYTES_PER_ELEMENT, part.buffer, part.byteOffset, part.byteLength);
      this.inFlight += part.byteLength;
      if (this.inFlight > FLIGHT) await this.settle();
    }
  }
  async settle(): Promise<void> {
    this.inFlight = 0;
    await this.watch.device.queue.onSubmittedWorkDone();
  }

  /** Rows `from`..`to` of a 16-bit weight, all axes but the last being rows. */
  private async stored(weight: Buffer, from: number, to: number, provider: WeightProvider): Promise<Uint16Array> {
    if (!provider.readStored) throw new InternalError('webgpu', `${weight.name} cannot be read as it is stored`);
    const bytes = await provider.readStored(weight.name, from, to);
    return bytes.byteOffset % 2 === 0 ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2) : new Uint16Array(bytes.slice().buffer);
  }
  private async whole(weight: Buffer, format: ElementFormat, provider: WeightProvider): Promise<Data> {
    const total = elements(weight.shape);
    const data = format === 'f32' ? await provider.read(weight.name) : await this.stored(weight, 0, elements(weight.shape.slice(0, -1)), provider);
    if (data.length !== total) throw new InternalError('webgpu', `${weight.name} has ${data.length} elements, not ${total}`);
    return data;
  }

  async buffer(buffer: Buffer, starts: readonly number[], provider: WeightProvider): Promise<GPUBuffer[]> {
    const { name, shape, format = 'f32' } = buffer;
    if (isQuantised(format)) {
      const k = Number(shape.at(-1));
      const rows = elements(shape) / k;
      const form = wordForm(format, rows, k);
      const parts = starts.map((start, n) => ({ from: start / k, to: (starts[n + 1] ?? rows * k) / k }));
      return this.words(name, { weights: [buffer], groups: 1, rows, stride: k, words: { forms: [form], interleaved: false } }, parts.map((p) => ({ from: p.from * form.words, to: p.to * form.words })), provider);
    }
    const data = buffer.role === 'constant' ? (buffer.dtype === 'i32' ? Int32Array : Float32Array).from(buffer.data ?? []) : await this.whole(buffer, elementFormat(buffer), provider);
    const total = elements(buffer.shape);
    if (data.length !== total) throw new InternalError('webgpu', `${buffer.name} has ${data.length} elements, not ${total}`);
    const made: GPUBuffer[] = [];
    for (const [n, start] of starts.entries()) {
      const end = starts[n + 1] ?? total;
      const target = await this.create(`weight ${buffer.name}`, (end - start) * data.BYTES_PER_ELEMENT);
      await this.write(target, 0, data.subarray(start, end));
      made.push(target);
    }
    return made;
  }

  /** Quantised weights; `parts` are the words of each piece. */
  private async words(name: string, matrix: Parameters<typeof wordRuns>[0], parts: readonly Part[], provider: WeightProvider): Promise<GPUBuffer[]> {
    const made: GPUBuffer[] = [];
    for (const part of parts) made.push(await this.create(`weight ${name}`, (part.to - part.from) * 4));
    for await (const { at, data } of wordRuns(matrix, provider, CHUNK)) {
      for (const [n, part] of parts.entries()) {
        const [low, high] = [Math.max(at, part.from), Math.min(at + data.length, part.to)];
        if (low < high) await this.write(made[n] as GPUBuffer, low - part.from, data.subarray(low - at, high - at));
      }
    }
    return made;
  }

  async matrix(matrix: Matrix, provider: WeightProvider): Promise<GPUBuffer[]> {
    const { groups, rows, stride, format, parts, weights, words } = matrix;
    const grouped = weights[0]?.shape.length === 3;
    const unit = grouped ? rows * stride : stride;
    const names = weights.map((w) => w.name).join(' + ');
    if (words) {
      const start = (n: number): number => (grouped ? n * formStart(words, rows) : formStart(words, n));
      return this.words(names, { ...matrix, words }, parts.map((p) => ({ from: start(p.from), to: start(p.to) })), provider);
    }
    if (format === 'words') throw new InternalError('webgpu', `${names} has no rows of words`);
    const label = `weight ${names}`;
    const made: GPUBuffer[] = [];
    for (const part of parts) made.push(await this.create(label, (part.to - part.from) * unit * elementBytes(format)));
    const k = Number(weights[0]?.shape.at(-1));
    /** Writes elements from `at` (in the whole matrix) on, which may cross a piece's end. */
    const put = async (at: number, data: Data): Promise<void> => {
      for (const [n, part] of parts.entries()) {
        const [low, high] = [Math.max(at, part.from * unit), Math.min(at + data.length, part.to * unit)];
        if (low < high) await this.write(made[n] as GPUBuffer, low - part.from * unit, data.subarray(low - at, high - at));
      }
    };
    if (weights.length === 1 && stride === k) {
      await this.plain(weights[0] as Buffer, format, provider, put);
      return made;
    }
    const packed = new (format === 'f32' ? Float32Array : Uint16Array)(groups * rows * stride);
    let before = 0;
    for (const [which, weight] of weights.entries()) {
      const data = await this.whole(weight, format, provider);
      const own = data.length / groups / k;
      if (!Number.isInteger(own)) throw new InternalError('webgpu', `${weight.name} has ${data.length} elements`);
      for (let g = 0; g < groups; g++) {
        for (let r = 0; r < own; r++) {
          const n = matrix.order === 'interleaved' ? r * weights.length + which : before + r;
          packed.set(data.subarray((g * own + r) * k, (g * own + r + 1) * k), (g * rows + n) * stride);
        }
      }
      before += own;
    }
    await put(0, packed);
    return made;
  }

  /** A weight as it is; in runs of rows where it is large and the provider can. */
  private async plain(weight: Buffer, format: ElementFormat, provider: WeightProvider, put: (at: number, data: Data) => Promise<void>): Promise<void> {
    if (format !== 'f32') {
      const width = Number(weight.shape.at(-1));
      const rows = elements(weight.shape) / width;
      // An even number of rows begins at a whole word.
      const step = Math.max(2, Math.floor((4 * CHUNK) / width / 2) * 2);
      for (let from = 0; from < rows; from += step) await put(from * width, await this.stored(weight, from, Math.min(rows, from + step), provider));
      return;
    }
    const [first = 1] = weight.shape;
    const row = weight.shape.slice(1).reduce<number>((n, d) => n * Number(d), 1);
    const total = Number(first);
    if (!provider.readRows || total * row <= 4 * CHUNK) return put(0, await provider.read(weight.name));
    const step = Math.max(1, Math.floor((4 * CHUNK) / row));
    for (let from = 0; from < total; from += step) await put(from * row, await provider.readRows(weight.name, from, Math.min(total, from + step)));
  }
}
