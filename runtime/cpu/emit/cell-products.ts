/**
 * The inner loops of products with weights in cells (see compiler/cell-layout.ts), for one row of the input and for four. Three kinds:
 * - bytes: inputs of 8 bits, byte products of relaxed SIMD, for numbers of at most 7 bits in quads;
 * - words: inputs of 16 bits (that hold 8), products of 16-bit numbers, in pairs;
 * - floats: inputs as they are; numbers become f32 in registers.
 * The first two sum whole numbers within a cell, exactly, and scale the sums.
 *
 * All are loops of few words a turn, whose pointers only move forward. Written out, V8 11 moves registers in and out of memory: a loop
 * is half as fast again for four rows, and a fifth for one.
 */
import { cellColumns, cellLayout, chunkBytes, wordPlace, type CellFormat, type CellLayout } from '../../../compiler/cell-layout.ts';
import { madd, type Features } from '../simd.ts';
import type { FunctionBuilder, Local } from '../wasm/function.ts';
import { add, f32x4, i32, i32x4, load, mul, op, type I32, type V128 } from '../wasm/value.ts';
import { CellFactors, type Pair } from './cell-factors.ts';
import { runTail } from './quantise.ts';

export type CellKind = 'bytes' | 'words' | 'floats';

/** How a format is multiplied: by bytes where its numbers and the machine allow it. */
export function cellKind(format: CellFormat, int8Inputs: boolean, features: Features): CellKind {
  if (!int8Inputs) return 'floats';
  return features.relaxedSimd && cellLayout(format).bits < 8 ? 'bytes' : 'words';
}

/** The two orders of words: see compiler/cell-layout.ts. */
export type WordOrder = 'quads' | 'pairs';
export const orderOf = (kind: CellKind): WordOrder => (kind === 'words' ? 'pairs' : 'quads');

/** What a row's 8 results have come to: in registers, or in memory where registers are few. */
interface Sums {
  get(half: number): V128;
  set(half: number, value: V128): void;
}

/** The body of (x..., w, k, out, outStride, blocks): out[8 b + r] = sum over i of x[i] w[b][i][r], for each x. */
export function writeCellProduct(
  f: FunctionBuilder, features: Features, format: CellFormat, kind: CellKind, rows: readonly I32[],
  w: Local<'i32'>, k: I32, out: Local<'i32'>, outStride: I32, blocks: I32,
): void {
  const shape = cellLayout(format);
  const pointers = rows.map(() => f.local('i32'));
  const outs = rows.map(() => f.local('i32'));
  const inMemory = rows.length > 1 && kind !== 'floats';
  const sums = rows.map((_, m): Sums => {
    if (inMemory) return { get: (half) => load('v128.load', outs[m]!, 16 * half), set: (half, value) => f.store('v128.store', outs[m]!, value, 16 * half) };
    const both = [f.local('v128'), f.local('v128')];
    return { get: (half) => both[half]!, set: (half, value) => f.set(both[half]!, value) };
  });
  const factors = new CellFactors(f, shape, w);
  const writer = new CellWriter(f, features, shape, kind, w, factors, pointers, sums);
  const groups = f.let(op('i32.div_u', k, i32(cellColumns * shape.cells)));
  const block = f.local('i32');
  const group = f.local('i32');
  const cell = f.local('i32');
  f.countedLoop(block, i32(0), blocks, 1, () => {
    rows.forEach((x, m) => f.set(pointers[m]!, x));
    rows.forEach((_, m) => f.set(outs[m]!, add(out, mul(outStride, i32(m)))));
    for (const sum of sums) for (const half of [0, 1]) sum.set(half, f32x4(0));
    f.countedLoop(group, i32(0), groups, 1, () => {
      factors.begin();
      if (shape.cells === 1) writer.cell();
      else f.countedLoop(cell, i32(0), i32(shape.cells), 1, () => writer.cell());
    });
    if (!inMemory) sums.forEach((sum, m) => { for (const half of [0, 1]) f.store('v128.store', outs[m]!, sum.get(half), 16 * half); });
    f.set(out, add(out, i32(32)));
  });
}

class CellWriter {
  constructor(
    private readonly f: FunctionBuilder, private readonly features: Features, private readonly shape: CellLayout, private readonly kind: CellKind,
    private readonly w: Local<'i32'>, private readonly factors: CellFactors, private readonly pointers: readonly Local<'i32'>[], private readonly sums: readonly Sums[],
  ) {}

  /** One cell; the pointers move on to the next. */
  cell(): void {
    const { f, shape, w, kind, factors } = this;
    factors.cell();
    f.set(w, add(w, i32(shape.numbers)));
    const sections = Array.from({ length: shape.scales }, (_, s) => s);
    if (kind === 'floats') {
      for (const s of sections) this.floats(s);
      return;
    }
    for (const s of sections) this.section(s);
    if (shape.min) this.addMinima();
    for (const p of this.pointers) f.set(p, add(p, i32(runTail.bytes)));
  }

  /** A loop over the words of a section, `words` a turn; an input takes `inputBytes` of a word's four columns. `w` is at the turn's first chunk. */
  private turns(words: number, inputBytes: 4 | 8 | 16, body: () => void): void {
    const { f, shape, w, pointers } = this;
    const turn = f.local('i32');
    const turns = cellColumns / 4 / shape.scales / words;
    f.countedLoop(turn, i32(0), i32(turns), 1, () => {
      body();
      f.set(w, add(w, i32((words / shape.chunk) * chunkBytes(shape))));
      for (const p of pointers) f.set(p, add(p, i32(words * inputBytes)));
    });
  }

  /** Word e (from the turn's first) of both halves: 16 numbers, one a byte. `shared` keeps what words have in common. */
  private word(e: number, shared: Map<string, Local<'v128'>>): Pair {
    const { f, shape, w } = this;
    const start = Math.floor(e / shape.chunk) * chunkBytes(shape);
    const at = (offset: number): Local<'v128'> => {
      const known = shared.get(`${start + offset}`);
      if (known) return known;
      const value = f.let(load('v128.load', w, start + offset));
      shared.set(`${start + offset}`, value);
      return value;
    };
    const half = (h: number): Local<'v128'> => {
      const { low, shift, plane, bit } = wordPlace(shape, e % shape.chunk, h);
      if (shape.bits === 8) return at(low);
      // There is no shift of bytes: bits that come over from the neighbour are masked away.
      const lower = op('v128.and', shift === 0 ? at(low) : op('i16x8.shr_u', at(low), i32(shift)), byteMask(15));
      if (shape.bits === 4) return f.let(lower);
      const bits = at(plane);
      const moved = bit === 4 ? bits : bit > 4 ? op('i16x8.shr_u', bits, i32(bit - 4)) : op('i16x8.shl', bits, i32(4 - bit));
      return f.let(op('v128.or', lower, op('v128.and', moved, byteMask((2 ** (shape.bits - 4) - 1) << 4))));
    };
    return [half(0), half(1)];
  }

  /** Sums of whole numbers over section s (what has one scale), then scaled. */
  private section(s: number): void {
    const { f, shape, kind, pointers, sums, features, factors } = this;
    const accumulators = pointers.map((): Pair => [f.local('v128'), f.local('v128')]);
    // Whole scales multiply whole sums, where sums of 16-bit numbers are widened.
    const whole = kind === 'bytes' ? factors.wholeScales(s) : undefined;
    const begun = whole && shape.zero !== 0;
    if (begun) this.takeZero(s, whole, accumulators);
    else for (const pair of accumulators) for (const sum of pair) f.set(sum, i32x4(0));
    if (kind === 'bytes') this.byteProducts(whole ?? [i32x4(0x00010001), i32x4(0x00010001)], accumulators);
    else this.wordProducts(accumulators);
    const scales = whole ? factors.units() : factors.scales(s);
    pointers.forEach((x, m) => {
      const inputScale = f.let(load('v128.load32_splat', x, this.tail(s) + runTail.scale));
      const taken = shape.zero === 0 || begun ? undefined : this.zeroOf(x, s);
      accumulators[m]!.forEach((sum, h) => {
        const exact = taken ? op('i32x4.sub', sum, taken) : sum;
        sums[m]!.set(h, madd(features, op('f32x4.convert_i32x4_s', exact), op('f32x4.mul', scales[h]!, inputScale), sums[m]!.get(h)));
      });
    });
  }

  /** The tail of the run, from the pointers as they are after section s. */
  private tail(s: number): number {
    const { shape, kind } = this;
    return (shape.scales - 1 - s) * (cellColumns / shape.scales) * (kind === 'bytes' ? 1 : 2);
  }

  /** What `zero` takes from each sum of section s, where sums are not scaled yet. */
  private zeroOf(x: I32, s: number): V128 {
    const { f, shape } = this;
    const sum = shape.scales === 1 ? load('i32.load', x, this.tail(s) + runTail.sum) : load('i32.load16_s', x, this.tail(s) + runTail.halves + 2 * s);
    return f.let(op('i32x4.splat', mul(sum, i32(shape.zero))));
  }

  /** Sums of section s begin with what `zero` takes away: - zero times scale times the sum of 16 inputs, in two halves that fit 16 bits. */
  private takeZero(s: number, scales: readonly V128[], accumulators: readonly Pair[]): void {
    const { f, shape, pointers } = this;
    const half = -shape.zero / 2;
    pointers.forEach((x, m) => {
      const sum = load('v128.load16_splat', x, this.tail(s) + cellColumns / shape.scales + runTail.halves + 2 * s);
      const taken = f.let(op('i16x8.mul', sum, i32x4((half & 0xffff) | (half << 16))));
      accumulators[m]!.forEach((accumulator, h) => f.set(accumulator, op('i32x4.dot_i16x8_s', taken, scales[h]!)));
    });
  }

  /**
   * Products of bytes come as 16-bit sums of two, which are summed as long as they fit before they are widened: 32 products of 4 bits and 8,
   * 16 of 5 bits, 8 of 6. `scales`: pairs of 16-bit numbers that multiply them then.
   */
  private byteProducts(scales: readonly V128[], accumulators: readonly Pair[]): void {
    const { f, shape, pointers } = this;
    const most = Math.floor(32767 / (2 * 127 * (2 ** shape.bits - 1)));
    if (most >= cellColumns / 4 / shape.scales) {
      this.turns(shape.chunk, 4, () => this.byteWords(0, shape.chunk, false, accumulators));
      for (const pair of accumulators) pair.forEach((sum, h) => f.set(sum, op('i32x4.dot_i16x8_s', sum, scales[h]!)));
      return;
    }
    // Sums of more than two words take registers, of which four rows have none to spare.
    const words = pointers.length === 1 ? Math.min(most, shape.chunk) : 2;
    this.turns(shape.chunk, 4, () => {
      const shared = new Map<string, Local<'v128'>>();
      for (let from = 0; from < shape.chunk; from += words) {
        const narrow = pointers.map((): Pair => [f.local('v128'), f.local('v128')]);
        this.byteWords(from, words, true, narrow, shared);
        narrow.forEach((pair, m) => pair.forEach((sum, h) => {
          const wide = accumulators[m]![h]!;
          f.set(wide, op('i32x4.add', wide, op('i32x4.dot_i16x8_s', sum, scales[h]!)));
        }));
      }
    });
  }

  /** Adds the products of `count` words to 16-bit sums; `first`: the sums begin here. */
  private byteWords(from: number, count: number, first: boolean, accumulators: readonly Pair[], shared = new Map<string, Local<'v128'>>()): void {
    const { f, pointers } = this;
    for (let e = from; e < from + count; e++) {
      const numbers = this.word(e, shared);
      pointers.forEach((pointer, m) => {
        const x = f.let(load('v128.load32_splat', pointer, 4 * e));
        accumulators[m]!.forEach((sum, h) => {
          const product = op('i16x8.relaxed_dot_i8x16_i7x16_s', x, numbers[h]!);
          f.set(sum, first && e === from ? product : op('i16x8.add', sum, product));
        });
      });
    }
  }

  /** Columns 0 and 1 of a word's 4 rows are its lower half, 2 and 3 its upper. A single row of 8-bit weights takes two words a turn. */
  private wordProducts(accumulators: readonly Pair[]): void {
    const { f, shape, pointers } = this;
    const words = shape.bits === 8 && pointers.length === 1 ? 2 : shape.chunk;
    this.turns(words, 8, () => {
      const shared = new Map<string, Local<'v128'>>();
      for (let e = 0; e < words; e++) {
        const numbers = this.word(e, shared);
        for (const pair of [0, 1] as const) {
          const wide = numbers.map((n) => f.let(op(pair === 0 ? 'i16x8.extend_low_i8x16_s' : 'i16x8.extend_high_i8x16_s', n)));
          pointers.forEach((pointer, m) => {
            const x = f.let(load('v128.load32_splat', pointer, 8 * e + 4 * pair));
            accumulators[m]!.forEach((sum, h) => f.set(sum, op('i32x4.add', sum, op('i32x4.dot_i16x8_s', x, wide[h]!))));
          });
        }
      }
    });
  }

  /** Smallest values times the sums of the inputs. */
  private addMinima(): void {
    const { f, features, pointers, sums } = this;
    const minima = this.factors.minima();
    pointers.forEach((x, m) => {
      const total = f.let(load('v128.load32_splat', x, runTail.total));
      minima.forEach((min, h) => sums[m]!.set(h, madd(features, min, total, sums[m]!.get(h))));
    });
  }

  /** Numbers of section s become f32, column by column. */
  private floats(s: number): void {
    const { f, shape, features, pointers, sums, factors } = this;
    const scales = factors.scales(s);
    const offsets = shape.min ? factors.minima() : shape.zero === 0 ? undefined : scales.map((scale) => f.let(op('f32x4.mul', scale, f32x4(-shape.zero))));
    this.turns(shape.chunk, 16, () => {
      const shared = new Map<string, Local<'v128'>>();
      for (let e = 0; e < shape.chunk; e++) {
        const numbers = this.word(e, shared);
        for (let c = 0; c < 4; c++) {
          const column = numbers.map((n, h) => {
            const whole: V128 = shape.bits === 8
              ? op('i32x4.shr_s', c === 3 ? n : op('i32x4.shl', n, i32(24 - 8 * c)), i32(24))
              : c === 3 ? op('i32x4.shr_u', n, i32(24)) : op('v128.and', c === 0 ? n : op('i32x4.shr_u', n, i32(8 * c)), i32x4(255));
            const value = op('f32x4.convert_i32x4_s', whole);
            const offset = offsets?.[h];
            return f.let(offset ? madd(features, value, scales[h]!, offset) : op('f32x4.mul', value, scales[h]!));
          });
          pointers.forEach((pointer, m) => {
            const x = f.let(load('v128.load32_splat', pointer, 4 * (4 * e + c)));
            column.forEach((value, h) => sums[m]!.set(h, madd(features, value, x, sums[m]!.get(h))));
          });
        }
      }
    });
  }
}

const byteMask = (mask: number): V128 => i32x4(mask * 0x01010101);
