/** The sizes of the linear template: how it cuts N and the rows, and what is where in a thread's scratch memory. */
import type { LinearKernel } from '../../../compiler/kernels/types.ts';
import { blockRows, isCells, storedBytes, type Format } from '../layout.ts';
import { runLayout } from './quantise.ts';

/** Weights of a panel: half of a 512 KiB second-level cache at most. */
const panelBytes = 128 * 1024;
/** Inputs of a chunk of rows. */
const chunkBytes = 512 * 1024;
export const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** The template's sizes, known when compiling. */
export interface LinearPlan {
  /** N is cut at multiples of it only. */
  readonly quantum: number;
  readonly panel: number;
  readonly chunk: number;
  /** The input is read where it lies rather than computed into scratch. */
  readonly direct: boolean;
  /** Where a chunk's rows are in scratch memory, in the forms that the weights' products need. */
  readonly floats: Region;
  readonly bytes: Region;
  readonly words: Region;
  readonly sums: number;
  readonly rowCapacity: number;
  readonly scratchBytes: number;
}

/** Rows in scratch memory; `stride` 0: all are in the same place, one after the other. `used`: some product reads them. */
export interface Region {
  readonly at: number;
  readonly stride: number;
  readonly used: boolean;
}

/** What a product with this weight reads of the input. */
export type InputForm = 'floats' | 'bytes' | 'words';
export const inputForm = (format: Format): InputForm => (isCells(format) ? format.kind : 'floats');
export const inputBits = { bytes: 8, words: 16 } as const;

export function planLinear(kernel: LinearKernel, direct: boolean, rowCapacity: number, formats: readonly Format[]): LinearPlan {
  const n = columns(kernel);
  const sections = sectionsOf(kernel);
  const granule = kernel.granule / gcd(kernel.granule, sections);
  const quantum = Math.min((granule * blockRows) / gcd(granule, blockRows), roundUp(n, blockRows));
  const rowBytes = Math.max(...formats.map((format) => storedBytes([blockRows, kernel.k], format))) / blockRows;
  const panel = Math.min(Math.max(quantum, Math.floor(panelBytes / (rowBytes * sections) / quantum) * quantum), roundUp(n, quantum));
  const forms = new Set(formats.map(inputForm));
  const rounded = forms.has('bytes') || forms.has('words');
  const where = direct && !rounded;
  const fitting = Math.floor(chunkBytes / (4 * kernel.k) / 4) * 4;
  const most = kernel.group === 'expert' ? (where ? 4096 : 256) : 64;
  const chunk = Math.max(4, Math.min(most, where ? most : Math.max(16, fitting), roundUp(rowCapacity, 4)));
  let end = 0;
  const region = (used: boolean, stride: number, rows: number): Region => {
    const at = end;
    end += roundUp(stride * rows, 64);
    return { at, stride: rows > 1 ? stride : 0, used };
  };
  // Floats that nothing but a quantiser reads need the room of one row.
  const needed = forms.has('floats');
  const floats = region(needed, 4 * kernel.k, direct ? 0 : needed ? chunk : 1);
  const runs = (form: 'bytes' | 'words'): Region => region(forms.has(form), (runLayout(inputBits[form]).bytes * kernel.k) / 32, forms.has(form) ? chunk : 0);
  const [bytes, words] = [runs('bytes'), runs('words')];
  const scratchBytes = end + 4 * sections * sectionBytes(panel) + (kernel.group === 'expert' ? 8 * chunk : 0) + 64;
  return { quantum, panel, chunk, direct, rowCapacity, floats, bytes, words, sums: end, scratchBytes };
}

/** Interleaved weights are computed side by side, each into a section of its own; a column is then a row of each weight. */
export const sectionsOf = (kernel: LinearKernel): number => (kernel.order === 'interleaved' ? kernel.weights.length : 1);
export const columns = (kernel: LinearKernel): number =>
  kernel.order === 'interleaved' ? (kernel.weights[0]?.rows ?? 0) : kernel.weights.reduce((sum, w) => sum + w.rows, 0);
/** Bytes of a section of a row of sums: up to 7 more on either side where a panel begins or ends inside a block. */
export const sectionBytes = (panel: number): number => 4 * (panel + 2 * blockRows);
