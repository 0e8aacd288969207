/** Packing by the team of threads: rows are brought into staging memory, from where they are put into their blocks. */
import { formatBytes } from '../../compiler/formats.ts';
import { control, jobs } from './control.ts';
import { packName, packNames } from './emit/pack.ts';
import { blockRows, isPacked, storedBytes, type Format } from './layout.ts';

/** Where rows lie that are about to be packed: memory that holds nothing else before the first step. */
export interface Staging {
  readonly address: number;
  readonly bytes: number;
}

/** Bytes of a row before it is packed. */
export const sourceBytes = (format: Format, k: number): number => formatBytes(isPacked(format) ? format.packed : 'f32', [k]);

export class Packer {
  /** Threads that take part; more than one only while the others serve. */
  threads = 1;
  /** Where rows are to be put that `pack` packs. */
  readonly staging: Uint8Array;
  private readonly words: Int32Array;
  private readonly names: readonly string[];
  private readonly exports: { readonly announce: () => void; readonly pack: (thread: number) => void };

  /** `formats`: those that the instance's `pack` was defined for. */
  constructor(memory: WebAssembly.Memory, instance: WebAssembly.Instance, staging: Staging, formats: readonly Format[]) {
    this.staging = new Uint8Array(memory.buffer, staging.address, staging.bytes);
    this.words = new Int32Array(memory.buffer);
    this.names = packNames(formats);
    this.exports = instance.exports as unknown as typeof this.exports;
  }

  /** Brings rows of k that staging memory begins with into blocks at byte `target`; those that the last block lacks are zeros. */
  pack(format: Format, rows: number, k: number, target: number): void {
    const { words, threads, staging } = this;
    const blocks = Math.ceil(rows / blockRows);
    const row = sourceBytes(format, k);
    staging.fill(0, rows * row, blocks * blockRows * row);
    words.set([this.names.indexOf(packName(format)), staging.byteOffset, target, blocks, k, blockRows * row, storedBytes([blockRows, k], format), threads], control.pack / 4);
    words[control.job / 4] = jobs.pack;
    if (threads > 1) this.exports.announce();
    this.exports.pack(0);
    words[control.job / 4] = jobs.step;
  }

  /** Rows that staging memory has room for: whole blocks. */
  rowsOf(format: Format, k: number): number {
    return Math.floor(this.staging.length / (blockRows * sourceBytes(format, k))) * blockRows;
  }

  /** The same for rows of f32, any number of them. */
  packFloats(values: Float32Array, k: number, target: number): void {
    const { staging } = this;
    const stage = new Float32Array(staging.buffer, staging.byteOffset, staging.length / 4);
    const [rows, most] = [values.length / k, this.rowsOf('blocks', k)];
    for (let from = 0; from < rows; from += most) {
      const count = Math.min(most, rows - from);
      stage.set(values.subarray(from * k, (from + count) * k));
      this.pack('blocks', count, k, target + 4 * from * k);
    }
  }

  /** Staging memory as it was before. */
  clear(): void {
    this.staging.fill(0);
  }
}
