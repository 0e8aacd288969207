/** Packing by the team of threads: rows are brought into staging memory, from where all threads put them into their blocks. */
import { control, jobs } from './control.ts';
import { blockRows, packBlocks, storedElements } from './layout.ts';
import type { Staging } from './program.ts';

/** Brings a matrix [values.length / k, k], the first of whose rows begins a block, into block order at byte `address`. */
export type Pack = (values: Float32Array, address: number, k: number) => void;

/** By this thread alone. */
export function packAlone(memory: WebAssembly.Memory): Pack {
  return (values, address, k) => {
    const shape = [values.length / k, k];
    packBlocks(values, new Float32Array(memory.buffer, address, storedElements(shape, 'blocks')), shape);
  };
}

/** By all threads, which serve already. */
export function packTogether(memory: WebAssembly.Memory, instance: WebAssembly.Instance, threads: number, staging: Staging): Pack {
  const { announce, pack } = instance.exports as unknown as { readonly announce: () => void; readonly pack: (thread: number) => void };
  const words = new Int32Array(memory.buffer);
  const alone = packAlone(memory);
  return (values, address, k) => {
    const most = Math.floor(staging.bytes / (4 * k * blockRows)) * blockRows;
    if (most === 0) {
      alone(values, address, k);
      return;
    }
    const stage = new Float32Array(memory.buffer, staging.address, most * k);
    const rows = values.length / k;
    words[control.job / 4] = jobs.pack;
    for (let from = 0; from < rows; from += most) {
      const count = Math.min(most, rows - from);
      stage.set(values.subarray(from * k, (from + count) * k));
      words.set([staging.address, address + 4 * from * k, count, k], control.pack / 4);
      if (threads > 1) announce();
      pack(0);
    }
    words[control.job / 4] = jobs.step;
  };
}
