/** Brings weights and constants into memory, those of products in block order; large ones by parts, so that no second copy of them is ever whole. */
import type { WeightProvider } from '../backend.ts';
import { blockRows, storedElements } from './layout.ts';
import { packAlone, type Pack } from './packer.ts';
import type { MemoryMap, PlacedBuffer } from './place.ts';

/** Elements of a part, where nothing else is said. */
const defaultPart = 8 * 1024 * 1024;

export interface FillOptions {
  /** Elements of a part. */
  readonly part?: number;
  readonly pack?: Pack;
}

export async function fillMemory(memory: WebAssembly.Memory, map: MemoryMap, weights: WeightProvider, options: FillOptions = {}): Promise<void> {
  const { part = defaultPart, pack = packAlone(memory) } = options;
  for (const placed of map.buffers.values()) {
    const { buffer } = placed;
    if (buffer.role === 'constant') fillConstant(memory, placed, buffer.data ?? []);
    else if (buffer.role === 'weight') await fillWeight(memory, placed, weights, part, pack);
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
