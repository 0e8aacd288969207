/**
 * How quantised weights lie in memory. A matrix's rows stand in blocks of 8; a block is a run of cells of 8 rows by 32 columns, so that a
 * thread reads one sequential stream. A cell holds what its 8 rows have side by side, one f32 each: a scale for its 32 columns, or one for
 * each 16, then the smallest value if the format has one; then the numbers, unsigned where they have less than 8 bits.
 *
 * Numbers come in words of 4 columns of 4 rows, 16 bytes in one of two orders. quads: row by row its 4 columns, so that one byte product
 * sums a row's columns in the row's 32-bit lane. pairs: of all rows columns 0 and 1, then of all rows columns 2 and 3, for products of
 * 16-bit numbers. Word g (columns 4 g ..) of half h (rows 4 h ..) is number 2 g + h of a cell; of numbers of less than 8 bits, the lower four
 * of words g and g + 4 share bytes, and further bits follow in planes: of 5-bit numbers one byte for each of the 8 g, of 6-bit numbers 2 bits.
 */
import { formatBlock, type WeightFormat } from '../../compiler/formats.ts';
import { InternalError } from '../../compiler/diagnostics.ts';
import { scaleAndMin } from '../weights/gguf/decode-256.ts';

export const cellColumns = 32;
export const cellRows = 8;

export type CellFormat = 'q8_0' | 'q4_0' | 'q4_1' | 'q4_K' | 'q5_K' | 'q6_K';
export type WordOrder = 'quads' | 'pairs';

export interface CellLayout {
  readonly bits: 4 | 5 | 6 | 8;
  /** Scales of a row in a cell. */
  readonly scales: 1 | 2;
  readonly min: boolean;
  /** Taken from each number before it is scaled. */
  readonly zero: number;
  /** Byte of the numbers in a cell. */
  readonly numbers: number;
  readonly bytes: number;
}

function layout(bits: CellLayout['bits'], scales: 1 | 2, min: boolean, zero: number): CellLayout {
  const numbers = 4 * cellRows * (scales + (min ? 1 : 0));
  return { bits, scales, min, zero, numbers, bytes: numbers + (cellRows * cellColumns * bits) / 8 };
}

const layouts: Readonly<Record<CellFormat, CellLayout>> = {
  q8_0: layout(8, 1, false, 0),
  q4_0: layout(4, 1, false, 8),
  q4_1: layout(4, 1, true, 0),
  q4_K: layout(4, 1, true, 0),
  q5_K: layout(5, 1, true, 0),
  q6_K: layout(6, 2, false, 32),
};

export const cellLayout = (format: CellFormat): CellLayout => layouts[format];
export const isCellFormat = (format: WeightFormat): format is CellFormat => Object.hasOwn(layouts, format);

/** Bytes of a matrix, or of a stack of them, rows filled up to whole blocks. */
export function cellBytes(format: CellFormat, shape: readonly number[]): number {
  const rows = shape[shape.length - 2] ?? 1;
  const k = shape[shape.length - 1] ?? 1;
  const matrices = shape.slice(0, -2).reduce((n, d) => n * d, 1);
  return matrices * Math.ceil(rows / cellRows) * (k / cellColumns) * layouts[format].bytes;
}

/** The byte of row r (0..3) and column c (0..3) in a word. */
const placeOf = (order: WordOrder, r: number, c: number): number => (order === 'quads' ? 4 * r + c : 8 * (c >> 1) + 2 * r + (c & 1));

const nibbles = 0x0f0f0f0f;

/**
 * Brings rows as ggml stores them into cells. `target` is zero at first: rows that are missing in the last block stay so. `halves`: the
 * value of every binary16 number. Four columns of a row are handled at once, as the bytes of a 32-bit number.
 */
export function packCells(format: CellFormat, order: WordOrder, source: Uint8Array, k: number, target: Uint8Array, halves: Float32Array): void {
  const shape = layouts[format];
  const block = formatBlock(format);
  const rowBytes = (k / block.elements) * block.bytes;
  const rows = source.length / rowBytes;
  const cells = k / cellColumns;
  const stored: Source = { bytes: source, view: new DataView(source.buffer, source.byteOffset, source.byteLength) };
  const floats = new Float32Array(target.buffer, target.byteOffset, target.byteLength / 4);
  const whole = new Uint32Array(target.buffer, target.byteOffset, target.byteLength / 4);
  const parts = new Uint16Array(target.buffer, target.byteOffset, target.byteLength / 2);
  const columns = new Uint32Array(8);
  const factors = new Float32Array(3);
  const read = readers[format];
  const quads = order === 'quads';
  for (let row = 0; row < rows; row++) {
    const [half, r] = [(row >> 2) & 1, row & 3];
    /** Columns `bytes` of this row into the word at byte `at`. */
    const put = (at: number, bytes: number): void => {
      if (quads) whole[(at >> 2) + r] = bytes;
      else {
        parts[(at >> 1) + r] = bytes & 0xffff;
        parts[(at >> 1) + 4 + r] = bytes >>> 16;
      }
    };
    for (let c = 0; c < cells; c++) {
      read(stored, row * rowBytes, c, columns, factors, halves);
      const cell = ((row >> 3) * cells + c) * shape.bytes;
      let at = (cell >> 2) + (row & 7);
      for (let s = 0; s < shape.scales; s++, at += cellRows) floats[at] = factors[s] as number;
      if (shape.min) floats[at] = factors[2] as number;
      const numbers = cell + shape.numbers + 16 * half;
      if (shape.bits === 8) {
        for (let g = 0; g < 8; g++) put(numbers + 32 * g, columns[g] as number);
        continue;
      }
      for (let g = 0; g < 4; g++) put(numbers + 32 * g, ((columns[g] as number) & nibbles) | (((columns[g + 4] as number) & nibbles) << 4));
      if (shape.bits === 5) {
        let plane = 0;
        for (let g = 0; g < 8; g++) plane |= (((columns[g] as number) >>> 4) & 0x01010101) << g;
        put(numbers + 128, plane);
      } else if (shape.bits === 6) {
        for (let p = 0; p < 2; p++) {
          let plane = 0;
          for (let g = 0; g < 4; g++) plane |= (((columns[4 * p + g] as number) >>> 4) & 0x03030303) << (2 * g);
          put(cell + shape.numbers + 128 + 32 * half + 16 * p, plane);
        }
      }
    }
  }
}

/** Rows as ggml stores them, by bytes and by numbers. */
interface Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Reads cell `cell` of the row at `row`: 32 numbers, a byte each, and [scale of the first half, of the second, smallest value]. */
type Reader = (source: Source, row: number, cell: number, columns: Uint32Array, factors: Float32Array, halves: Float32Array) => void;

const half = (source: Source, at: number, halves: Float32Array): number => halves[source.view.getUint16(at, true)] as number;

/** Number j in the lower 4 bits of byte j, number j + 16 in the upper. */
function split(source: Source, at: number, columns: Uint32Array): void {
  for (let g = 0; g < 4; g++) {
    const bytes = source.view.getUint32(at + 4 * g, true);
    columns[g] = bytes & nibbles;
    columns[g + 4] = (bytes >>> 4) & nibbles;
  }
}

/** Scale and smallest value of run j of a block of 256, 6 bits each, in the 12 bytes at `at`. */
function sixBits(source: Source, at: number, j: number, factors: Float32Array, d: number, dmin: number): void {
  const both = scaleAndMin(source.bytes, at, j);
  factors[0] = d * (both & 63);
  factors[2] = -dmin * (both >> 8);
}

const readers: Readonly<Record<CellFormat, Reader>> = {
  q8_0(source, row, cell, columns, factors, halves) {
    const at = row + 34 * cell;
    factors[0] = half(source, at, halves);
    for (let g = 0; g < 8; g++) columns[g] = source.view.getUint32(at + 2 + 4 * g, true);
  },
  q4_0(source, row, cell, columns, factors, halves) {
    const at = row + 18 * cell;
    factors[0] = half(source, at, halves);
    split(source, at + 2, columns);
  },
  q4_1(source, row, cell, columns, factors, halves) {
    const at = row + 20 * cell;
    factors[0] = half(source, at, halves);
    factors[2] = half(source, at + 2, halves);
    split(source, at + 4, columns);
  },
  q4_K(source, row, cell, columns, factors, halves) {
    const [at, j] = [row + 144 * (cell >> 3), cell & 7];
    sixBits(source, at + 4, j, factors, half(source, at, halves), half(source, at + 2, halves));
    const from = at + 16 + 32 * (j >> 1);
    for (let g = 0; g < 8; g++) columns[g] = (source.view.getUint32(from + 4 * g, true) >>> (4 * (j & 1))) & nibbles;
  },
  q5_K(source, row, cell, columns, factors, halves) {
    const [at, j] = [row + 176 * (cell >> 3), cell & 7];
    sixBits(source, at + 4, j, factors, half(source, at, halves), half(source, at + 2, halves));
    const from = at + 48 + 32 * (j >> 1);
    for (let g = 0; g < 8; g++) {
      const high = (source.view.getUint32(at + 16 + 4 * g, true) >>> j) & 0x01010101;
      columns[g] = ((source.view.getUint32(from + 4 * g, true) >>> (4 * (j & 1))) & nibbles) | (high << 4);
    }
  },
  q6_K(source, row, cell, columns, factors, halves) {
    const [at, part, quarter] = [row + 210 * (cell >> 3), (cell >> 2) & 1, cell & 3];
    const d = half(source, at + 208, halves);
    for (let s = 0; s < 2; s++) factors[s] = d * source.view.getInt8(at + 192 + 8 * part + 2 * quarter + s);
    const [low, high] = [at + 64 * part + 32 * (quarter & 1), at + 128 + 32 * part];
    for (let g = 0; g < 8; g++) {
      const upper = (source.view.getUint32(high + 4 * g, true) >>> (2 * quarter)) & 0x03030303;
      columns[g] = ((source.view.getUint32(low + 4 * g, true) >>> (4 * (quarter >> 1))) & nibbles) | (upper << 4);
    }
  },
};

/** Element (row, column) of a packed matrix: what kernels read one by one, and tests. */
export function cellElement(format: CellFormat, order: WordOrder, bytes: Uint8Array, k: number, row: number, column: number): number {
  const shape = layouts[format];
  const cell = ((row >> 3) * (k / cellColumns) + (column >> 5)) * shape.bytes;
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset + cell, shape.numbers / 4);
  const [lane, h, g, place] = [row & 7, (row >> 2) & 1, (column & 31) >> 2, placeOf(order, row & 3, column & 3)];
  const byte = (at: number): number => {
    const value = bytes[cell + shape.numbers + at];
    if (value === undefined) throw new InternalError('cpu', `element (${row}, ${column}) is outside of its matrix`);
    return value;
  };
  let q: number;
  if (shape.bits === 8) q = (byte(16 * (2 * g + h) + place) << 24) >> 24;
  else {
    q = (byte(16 * (2 * (g & 3) + h) + place) >> (g < 4 ? 0 : 4)) & 15;
    if (shape.bits === 5) q |= ((byte(128 + 16 * h + place) >> g) & 1) << 4;
    if (shape.bits === 6) q |= ((byte(128 + 32 * h + 16 * (g >> 2) + place) >> (2 * (g & 3))) & 3) << 4;
  }
  const scale = floats[lane + (shape.scales === 2 && g >= 4 ? cellRows : 0)] ?? NaN;
  const min = shape.min ? (floats[lane + cellRows * shape.scales] ?? NaN) : 0;
  return scale * (q - shape.zero) + min;
}
