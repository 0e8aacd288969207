/** Where blocks of quantised numbers, as files store them (see compiler/formats.ts), have what cells take: bytes are from a block's start. */
import type { CellFormat } from '../../../compiler/cell-layout.ts';
import { add, i32, mul, op, type I32 } from '../wasm/value.ts';

/** A byte has its bits of a number from bit `shift` on; `at`: the first of 16 such bytes. */
export interface StoredBits {
  readonly at: I32;
  readonly shift: I32;
}

/** Of the 32 numbers of cell c of the block, bits of numbers 16 h to 16 h + 15. */
type BitsOf = (c: I32, h: number) => StoredBits;

export interface StoredBlock {
  /** The f16 numbers: a scale, then perhaps a smallest value, of the block; or those that its whole numbers multiply. */
  readonly halves: readonly number[];
  /** The lower 4 bits of numbers, or all 8. */
  readonly low: BitsOf;
  /** The bits beyond 4. */
  readonly high?: BitsOf;
  /** The whole numbers of all cells: two bytes for each cell, or in 12 bytes a scale and a minimum of 6 bits for each. */
  readonly whole?: { readonly at: number; readonly bits: 6 | 8 };
}

const bit = (c: I32, n: number): I32 => op('i32.and', n === 0 ? c : op('i32.shr_u', c, i32(n)), i32(1));
const above = (c: I32, n: number): I32 => op('i32.shr_u', c, i32(n));

/** Byte j of 32 has number j of one cell in its lower half, of the next in its upper. */
const alternating = (from: number): BitsOf => (c, h) => ({ at: add(mul(above(c, 1), i32(32)), i32(from + 16 * h)), shift: mul(bit(c, 0), i32(4)) });

export const storedBlocks: Readonly<Record<CellFormat, StoredBlock>> = {
  q8_0: { halves: [0], low: (_, h) => ({ at: i32(2 + 16 * h), shift: i32(0) }) },
  q4_0: { halves: [0], low: (_, h) => ({ at: i32(2), shift: i32(4 * h) }) },
  q4_1: { halves: [0, 2], low: (_, h) => ({ at: i32(4), shift: i32(4 * h) }) },
  q4_K: { halves: [0, 2], whole: { at: 4, bits: 6 }, low: alternating(16) },
  q5_K: { halves: [0, 2], whole: { at: 4, bits: 6 }, low: alternating(48), high: (c, h) => ({ at: i32(16 + 16 * h), shift: c }) },
  q6_K: {
    halves: [208], whole: { at: 192, bits: 8 },
    low: (c, h) => ({ at: add(add(mul(above(c, 2), i32(64)), mul(bit(c, 0), i32(32))), i32(16 * h)), shift: mul(bit(c, 1), i32(4)) }),
    high: (c, h) => ({ at: add(mul(above(c, 2), i32(32)), i32(128 + 16 * h)), shift: mul(op('i32.and', c, i32(3)), i32(2)) }),
  },
};
