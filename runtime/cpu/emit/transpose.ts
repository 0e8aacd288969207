/** Transposes 4 rows of 4 numbers of 32 bits, or 8 rows of 8 numbers of 16 bits. */
import type { FunctionBuilder } from '../wasm/function.ts';
import { shuffleBytes, type V128 } from '../wasm/value.ts';

/** Column n of `rows` as the n-th result: numbers of two vectors that are half of all apart take turns, as often as halves can be made. */
export function transpose(f: FunctionBuilder, rows: readonly V128[]): readonly V128[] {
  const half = rows.length / 2;
  const bytes = 8 / half;
  const turns = (first: number): number[] => Array.from({ length: 16 }, (_, i) => (i % (2 * bytes) < bytes ? 0 : 16) + (first + Math.floor(i / (2 * bytes))) * bytes + (i % bytes));
  let vectors = rows.map((row) => f.let(row));
  for (let round = 1; round < rows.length; round *= 2) {
    const before = vectors;
    vectors = before.map((_, n) => f.let(shuffleBytes(before[n >> 1]!, before[(n >> 1) + half]!, turns(n % 2 === 0 ? 0 : half))));
  }
  return vectors;
}
