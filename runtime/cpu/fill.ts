/** Brings weights and constants into memory, those of products in block order; large ones by parts, so that no second copy of them is ever whole. */
import { formatBytes } from '../../compiler/formats.ts';
import type { WeightProvider } from '../backend.ts';
import { halfValues } from '../weights/gguf/decode.ts';
import { packCells } from './cells.ts';
import { orderOf } from './emit/cell-products.ts';
import { blockRows, isCells, isPacked, packHalves, storedBytes, storedElements, type Packed } from './layout.ts';
import { packAlone, type Pack } from './packer.ts';
import type { MemoryMap, PlacedBuffer } from './place.ts';
import { readAhead, type StoredPart } from './read-ahead.ts';

/** Elements of a part, where nothing else is said. */
const defaultPart = 4 * 1024 * 1024;
/** The same of rows that stay as they are stored: few enough that what was read is still in the cache when it is packed. */
const storedPart = 1024 * 1024;

export interface FillOptions {
  /** Elements of a part. */
  readonly part?: number;
  /** For weights that become f32: it is waited for once all others are there. */
  readonly pack?: Pack | Promise<Pack>;
}

export async function fillMemory(memory: WebAssembly.Memory, map: MemoryMap, weights: WeightProvider, options: FillOptions = {}): Promise<void> {
  const { part } = options;
  await fillPacked(memory, map, weights, part ?? storedPart);
  const pack = await (options.pack ?? packAlone(memory));
  for (const placed of map.buffers.values()) {
    const { buffer } = placed;
    if (buffer.role === 'constant') fillConstant(memory, placed, buffer.data ?? []);
    else if (buffer.role === 'weight' && !isPacked(placed.format)) await fillWeight(memory, placed, weights, part ?? defaultPart, pack);
  }
}

function fillConstant(memory: WebAssembly.Memory, { buffer, address }: PlacedBuffer, data: readonly number[]): void {
  const view = buffer.dtype === 'i32' ? new Int32Array(memory.buffer, address, data.length) : new Float32Array(memory.buffer, address, data.length);
  view.set(data);
}

async function fillWeight(memory: WebAssembly.Memory, { buffer, address, format, capacity }: PlacedBuffer, weights: WeightProvider, part: number, pack: Pack): Promise<void> {
  const target = new Float32Array(memory.buffer, address, storedElements(capacity, format));
  const rows = capacity[0] ?? 1;
  const count = capacity.reduce((product, d) => product * d, 1);
  const row = count / Math.max(1, rows);
  // A part of a matrix ends where a block ends; a part of a stack where a matrix does.
  const whole = format === 'blocks' && capacity.length === 2 ? blockRows : 1;
  const step = Math.max(whole, Math.floor(part / row / whole) * whole);
  const put = (values: Float32Array, from: number): void => {
    if (format === 'rows') target.set(values, from * row);
    else if (capacity.length === 2) pack(values, address + 4 * from * row, row);
    else {
      const k = capacity[capacity.length - 1] ?? 1;
      const matrices = capacity.slice(0, -2).reduce((product, d) => product * d, 1);
      const [size, stored] = [count / matrices, storedElements(capacity, format) / matrices];
      const first = (from * row) / size;
      for (let m = 0; m < values.length / size; m++) pack(values.subarray(m * size, (m + 1) * size), address + 4 * (first + m) * stored, k);
    }
  };
  if (!weights.readRows || step >= rows) {
    put(await weights.read(buffer.name), 0);
    return;
  }
  for (let from = 0; from < rows; from += step) put(await weights.readRows(buffer.name, from, Math.min(rows, from + step)), from);
}

/** A part of a weight that stays as short as it is in its file, and where it goes: whole blocks of rows. */
interface PackedPart extends StoredPart {
  readonly format: Packed;
  readonly k: number;
  readonly target: Uint8Array;
}

function* partsOf(memory: WebAssembly.Memory, { buffer, address, capacity }: PlacedBuffer, format: Packed, part: number): Generator<PackedPart> {
  const rows = capacity[capacity.length - 2] ?? 1;
  const k = capacity[capacity.length - 1] ?? 1;
  const matrices = capacity.slice(0, -2).reduce((product, d) => product * d, 1);
  const matrixBytes = storedBytes([rows, k], format);
  const blockBytes = storedBytes([blockRows, k], format);
  const step = Math.max(blockRows, Math.floor(part / k / blockRows) * blockRows);
  const rowBytes = formatBytes(isCells(format) ? format.packed : 'f16', [k]);
  for (let m = 0; m < matrices; m++) {
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(rows, from + step);
      const target = new Uint8Array(memory.buffer, address + m * matrixBytes + (from / blockRows) * blockBytes, Math.ceil((to - from) / blockRows) * blockBytes);
      yield { slot: buffer.name, from: m * rows + from, to: m * rows + to, bytes: (to - from) * rowBytes, format, k, target };
    }
  }
}

/** Weights that stay as short as they are in their file: their rows come as they are stored, a part at a time, and go into their blocks. */
async function fillPacked(memory: WebAssembly.Memory, map: MemoryMap, weights: WeightProvider, part: number): Promise<void> {
  const buffers = [...map.buffers.values()];
  const halves = buffers.some((b) => isCells(b.format)) ? halfValues() : new Float32Array(0);
  const parts = (function* (): Generator<PackedPart> {
    for (const placed of buffers) if (placed.buffer.role === 'weight' && isPacked(placed.format)) yield* partsOf(memory, placed, placed.format, part);
  })();
  for await (const { part: { format, k, target }, stored } of readAhead(weights, parts)) {
    if (isCells(format)) packCells(format.packed, orderOf(format.kind), stored, k, target, halves);
    else packHalves(stored, k, target);
  }
}
