/**
 * How quantised weights lie in the CPU's memory: planning needs their size, the CPU backend packs and multiplies them so.
 *
 * A matrix's rows stand in blocks of 8; a block is a run of cells of 8 rows by 32 columns, so that a thread reads one sequential stream.
 * A cell holds the factors of its 8 rows, then their numbers, unsigned where they have less than 8 bits. Factors are nearly as short as
 * in files, and take few operations to become f32:
 * - float: the scale of each row;
 * - split: of an f16 in a file, the upper half of its f32 value for each row (the scales, then the smallest values if there are some), then
 *   a byte for each row that has the 3 further bits of its scale in bits 5 to 7, of its smallest value in bits 2 to 4;
 * - whole: a byte for each row, the scale, then another, the minimum, or the scale of the second 16 columns; 8 such cells follow a head
 *   that holds, in f32, what these bytes are multiples of: d of each row, then -dmin of each row if there are minima.
 *
 * Numbers come in words of 4 columns of 4 rows, 16 bytes in one of two orders. quads: row by row its 4 columns, so that one byte product
 * sums a row's columns in the row's 32-bit lane. pairs: of all rows columns 0 and 1, then of all rows columns 2 and 3, for products of
 * 16-bit numbers. Word g has columns 4 g ..; one is of rows 0 to 3 (half 0), one of rows 4 to 7 (half 1). Numbers of 8 bits lie word by
 * word, half 0 before half 1. Others lie in chunks of the words that one turn of a product's loop takes: in a chunk two words of a half
 * share 16 bytes, the lower four bits of the first in the lower half of each byte; then a plane of 16 bytes has the higher bits of all
 * words of the chunk, those of half 0 first.
 */
import type { WeightFormat } from './formats.ts';

export const cellColumns = 32;
export const cellRows = 8;

export type CellFormat = 'q8_0' | 'q4_0' | 'q4_1' | 'q4_K' | 'q5_K' | 'q6_K';

export interface CellLayout {
  readonly bits: 4 | 5 | 6 | 8;
  /** Scales of a row in a cell. */
  readonly scales: 1 | 2;
  readonly min: boolean;
  /** Taken from each number before it is scaled. */
  readonly zero: number;
  readonly factors: 'float' | 'split' | 'whole';
  /** Cells that share a head. */
  readonly cells: 1 | 8;
  /** Bytes of the head. */
  readonly head: number;
  /** Byte of the numbers in a cell. */
  readonly numbers: number;
  /** Words of a half in a chunk. */
  readonly chunk: 1 | 2 | 4;
  /** Bytes of a cell. */
  readonly bytes: number;
}

function layout(bits: CellLayout['bits'], factors: CellLayout['factors'], scales: 1 | 2, min: boolean, zero: number): CellLayout {
  const each = min ? 2 : 1;
  const numbers = cellRows * (factors === 'float' ? 4 * each : factors === 'split' ? 2 * each + 1 : 2);
  const [cells, head] = factors === 'whole' ? ([8, 4 * cellRows * each] as const) : ([1, 0] as const);
  // A plane holds 8 bits of each place: one of 8 words, or two of 4 words.
  const chunk = bits === 8 ? 1 : bits === 5 ? 4 : 2;
  return { bits, scales, min, zero, factors, cells, head, numbers, chunk, bytes: numbers + (cellRows * cellColumns * bits) / 8 };
}

const layouts: Readonly<Record<CellFormat, CellLayout>> = {
  q8_0: layout(8, 'float', 1, false, 0),
  q4_0: layout(4, 'split', 1, false, 8),
  q4_1: layout(4, 'split', 1, true, 0),
  q4_K: layout(4, 'whole', 1, true, 0),
  q5_K: layout(5, 'whole', 1, true, 0),
  q6_K: layout(6, 'whole', 2, false, 32),
};

export const cellLayout = (format: CellFormat): CellLayout => layouts[format];
export const isCellFormat = (format: WeightFormat): format is CellFormat => Object.hasOwn(layouts, format);

/** Bytes of a chunk, both halves. */
export const chunkBytes = ({ chunk, bits }: CellLayout): number => 4 * cellRows * chunk * bits / 8;

/** Bytes of 8 rows of k columns. */
export function cellBlockBytes(format: CellFormat, k: number): number {
  const { cells, head, bytes } = layouts[format];
  return (k / (cellColumns * cells)) * (head + cells * bytes);
}

/** Bytes of a matrix, or of a stack of them, rows filled up to whole blocks. */
export function cellBytes(format: CellFormat, shape: readonly number[]): number {
  const rows = shape[shape.length - 2] ?? 1;
  const matrices = shape.slice(0, -2).reduce((n, d) => n * d, 1);
  return matrices * Math.ceil(rows / cellRows) * cellBlockBytes(format, shape[shape.length - 1] ?? 1);
}

/** Where a word's numbers are in its cell: the byte and the shift of their lower bits, and of the higher ones in the plane. */
export interface WordPlace {
  readonly low: number;
  readonly shift: number;
  readonly plane: number;
  readonly bit: number;
}

/** Word `e` of half `half` of a chunk, bytes from the chunk's start. */
export function wordPlace({ bits, chunk }: CellLayout, e: number, half: number): WordPlace {
  if (bits === 8) return { low: 16 * half, shift: 0, plane: 0, bit: 0 };
  return { low: 32 * (e >> 1) + 16 * half, shift: 4 * (e & 1), plane: 16 * chunk, bit: (bits - 4) * (chunk * half + e) };
}
