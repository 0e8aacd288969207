/** Brings weights and constants into memory, those of products in block order; large ones by parts, so that no second copy of them is ever whole. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { WeightProvider } from '../backend.ts';
import { blockRows, isPacked, storedBytes, storedElements, type Packed } from './layout.ts';
import type { Packer } from './packer.ts';
import type { MemoryMap, PlacedBuffer } from './place.ts';

/** f32 elements of a part, where nothing else is said. */
const defaultPart = 4 * 1024 * 1024;

/**
 * Bytes that are held for a moment beside the memory of the plan while its weights are brought there, from what `reading` says that reading takes: a
 * piece of stored rows; of what comes as f32, the part that is packed and the one before it, which may not be collected yet.
 */
export function bytesToFill(plan: Pick<ExecutionPlan, 'buffers'>, reading: (slot: string, elements: number, stored: boolean) => number): number {
  let most = 0;
  for (const { role, name, shape, format = 'f32' } of plan.buffers) {
    if (role !== 'weight') continue;
    const sizes = shape.map(Number);
    const count = sizes.reduce((a, b) => a * b, 1);
    const part = Math.min(count, Math.max(defaultPart, count / (sizes[0] ?? 1)));
    most = Math.max(most, format === 'f32' ? 2 * reading(name, part, false) : reading(name, Math.min(count, defaultPart / 4), true));
  }
  return most;
}

export async function fillMemory(memory: WebAssembly.Memory, map: MemoryMap, weights: WeightProvider, packer: Packer, part = defaultPart): Promise<void> {
  for (const placed of map.buffers.values()) {
    const { buffer, format } = placed;
    if (buffer.role === 'constant') fillConstant(memory, placed, buffer.data ?? []);
    else if (buffer.role === 'weight' && isPacked(format)) await fillPacked(placed, format, weights, packer);
    else if (buffer.role === 'weight') await fillWeight(memory, placed, weights, packer, part);
  }
  packer.clear();
}

function fillConstant(memory: WebAssembly.Memory, { buffer, address }: PlacedBuffer, data: readonly number[]): void {
  const view = buffer.dtype === 'i32' ? new Int32Array(memory.buffer, address, data.length) : new Float32Array(memory.buffer, address, data.length);
  view.set(data);
}

async function fillWeight(memory: WebAssembly.Memory, { buffer, address, format, capacity }: PlacedBuffer, weights: WeightProvider, packer: Packer, part: number): Promise<void> {
  const target = new Float32Array(memory.buffer, address, storedElements(capacity, format));
  const rows = capacity[0] ?? 1;
  const count = capacity.reduce((product, d) => product * d, 1);
  const row = count / Math.max(1, rows);
  // A part of a matrix ends where a block ends; a part of a stack where a matrix does.
  const whole = format === 'blocks' && capacity.length === 2 ? blockRows : 1;
  const step = Math.max(whole, Math.floor(part / row / whole) * whole);
  const put = (values: Float32Array, from: number): void => {
    if (format === 'rows') target.set(values, from * row);
    else if (capacity.length === 2) packer.packFloats(values, row, address + 4 * from * row);
    else {
      const k = capacity[capacity.length - 1] ?? 1;
      const matrices = capacity.slice(0, -2).reduce((product, d) => product * d, 1);
      const [size, stored] = [count / matrices, storedElements(capacity, format) / matrices];
      const first = (from * row) / size;
      for (let m = 0; m < values.length / size; m++) packer.packFloats(values.subarray(m * size, (m + 1) * size), k, address + 4 * (first + m) * stored);
    }
  };
  if (!weights.readRows || step >= rows) {
    put(await weights.read(buffer.name), 0);
    return;
  }
  for (let from = 0; from < rows; from += step) put(await weights.readRows(buffer.name, from, Math.min(rows, from + step)), from);
}

/** A weight that stays as short as it is in its file: its rows come as they are stored, a part at a time, and go into their blocks. */
async function fillPacked({ buffer, address, capacity }: PlacedBuffer, format: Packed, weights: WeightProvider, packer: Packer): Promise<void> {
  if (!weights.readStored) throw new InternalError('cpu', `${buffer.name} is planned as ${format.packed}, which its provider does not have`);
  const rows = capacity[capacity.length - 2] ?? 1;
  const k = capacity[capacity.length - 1] ?? 1;
  const matrices = capacity.slice(0, -2).reduce((product, d) => product * d, 1);
  const { staging } = packer;
  const step = packer.rowsOf(format, k);
  const block = storedBytes([blockRows, k], format);
  for (let m = 0; m < matrices; m++) {
    const matrix = address + m * storedBytes([rows, k], format);
    for (let from = 0; from < rows; from += step) {
      const count = Math.min(step, rows - from);
      const stored = await weights.readStored(buffer.name, m * rows + from, m * rows + from + count, staging);
      if (stored.buffer !== staging.buffer || stored.byteOffset !== staging.byteOffset) staging.set(stored);
      packer.pack(format, count, k, matrix + (from / blockRows) * block);
    }
  }
}
