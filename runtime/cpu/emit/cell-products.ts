/**
 * The inner loops of products with weights in cells (see cells.ts), for one row of the input and for four. Three kinds:
 * - bytes: inputs of 8 bits, byte products of relaxed SIMD, for numbers of at most 7 bits in quads;
 * - words: inputs of 16 bits (that hold 8), products of 16-bit numbers, in pairs;
 * - floats: inputs as they are; numbers become f32 in registers.
 * The first two sum whole numbers within a cell, exactly, and scale the sums.
 */
import { cellLayout, type CellFormat, type CellLayout, type WordOrder } from '../cells.ts';
import { madd, type Features } from '../simd.ts';
import type { FunctionBuilder, Local } from '../wasm/function.ts';
import { add, f32x4, i32, i32x4, load, mul, op, type I32, type V128 } from '../wasm/value.ts';
import { runLayout } from './quantise.ts';

export type CellKind = 'bytes' | 'words' | 'floats';

/** How a format is multiplied: by bytes where its numbers and the machine allow it. */
export function cellKind(format: CellFormat, int8Inputs: boolean, features: Features): CellKind {
  if (!int8Inputs) return 'floats';
  return features.relaxedSimd && cellLayout(format).bits < 8 ? 'bytes' : 'words';
}

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
  const writer = new CellWriter(f, features, shape, kind, w);
  const pointers = rows.map(() => f.local('i32'));
  const outs = rows.map(() => f.local('i32'));
  const inMemory = rows.length > 1 && kind !== 'floats';
  const sums = rows.map((_, m): Sums => {
    if (inMemory) return { get: (half) => load('v128.load', outs[m]!, 16 * half), set: (half, value) => f.store('v128.store', outs[m]!, value, 16 * half) };
    const both = [f.local('v128'), f.local('v128')];
    return { get: (half) => both[half]!, set: (half, value) => f.set(both[half]!, value) };
  });
  const cells = f.let(op('i32.shr_u', k, i32(5)));
  const block = f.local('i32');
  const cell = f.local('i32');
  const inputBytes = kind === 'floats' ? 128 : runLayout(kind === 'bytes' ? 8 : 16).bytes;
  f.countedLoop(block, i32(0), blocks, 1, () => {
    rows.forEach((x, m) => f.set(pointers[m]!, x));
    rows.forEach((_, m) => f.set(outs[m]!, add(out, mul(outStride, i32(m)))));
    for (const sum of sums) for (const half of [0, 1]) sum.set(half, f32x4(0));
    f.countedLoop(cell, i32(0), cells, 1, () => {
      if (kind === 'floats') writer.floats(pointers, sums);
      else writer.whole(pointers, sums);
      f.set(w, add(w, i32(shape.bytes)));
      for (const p of pointers) f.set(p, add(p, i32(inputBytes)));
    });
    if (!inMemory) sums.forEach((sum, m) => { for (const half of [0, 1]) f.store('v128.store', outs[m]!, sum.get(half), 16 * half); });
    f.set(out, add(out, i32(32)));
  });
}

class CellWriter {
  constructor(
    private readonly f: FunctionBuilder, private readonly features: Features, private readonly shape: CellLayout,
    private readonly kind: CellKind, private readonly w: Local<'i32'>,
  ) {}

  /** Words of the cell that have one scale, in the order in which they share loads. */
  private sections(): readonly (readonly number[])[] {
    if (this.shape.scales === 2) return [[0, 1, 2, 3], [4, 5, 6, 7]];
    return this.shape.bits === 8 ? [[0, 1, 2, 3, 4, 5, 6, 7]] : [[0, 4, 1, 5, 2, 6, 3, 7]];
  }

  /** The factors of 4 rows: `n` counts scales, then the smallest value. */
  private factor(n: number, half: 0 | 1): V128 {
    return load('v128.load', this.w, 32 * n + 16 * half);
  }

  /** Word g of a half: 16 numbers, one a byte. `shared` keeps what words g and g + 4 have in common. */
  private word(g: number, half: 0 | 1, shared: Map<string, Local<'v128'>>): Local<'v128'> {
    const { f, shape, w } = this;
    const at = (offset: number): V128 => load('v128.load', w, shape.numbers + offset);
    if (shape.bits === 8) return f.let(at(16 * (2 * g + half)));
    const key = `${g & 3} ${half}`;
    let both = shared.get(key);
    if (!both) {
      both = f.let(at(16 * (2 * (g & 3) + half)));
      shared.set(key, both);
    }
    // There is no shift of bytes: bits that come over from the neighbour are masked away.
    const bytesShifted = (value: V128, by: number): V128 => (by === 0 ? value : op('i16x8.shr_u', value, i32(by)));
    const low = op('v128.and', bytesShifted(both, g < 4 ? 0 : 4), byteMask(15));
    if (shape.bits === 4) return f.let(low);
    const [plane, bit, mask] = shape.bits === 5 ? [16 * half, g, 1] : [32 * half + 16 * (g >> 2), 2 * (g & 3), 3];
    const planeKey = `plane ${plane}`;
    let bits = shared.get(planeKey);
    if (!bits) {
      bits = f.let(at(128 + plane));
      shared.set(planeKey, bits);
    }
    const place = bit - 4;
    const moved = place >= 0 ? bytesShifted(bits, place) : op('i16x8.shl', bits, i32(-place));
    return f.let(op('v128.or', low, op('v128.and', moved, byteMask(mask << 4))));
  }

  /** Sums of whole numbers over a section, then scaled. */
  whole(pointers: readonly Local<'i32'>[], sums: readonly Sums[]): void {
    const { f, shape, features } = this;
    const run = runLayout(this.kind === 'bytes' ? 8 : 16);
    this.sections().forEach((words, section) => {
      const shared = new Map<string, Local<'v128'>>();
      const both = shape.scales === 1;
      const inputSum = (m: number): I32 => both
        ? add(load('i32.load', pointers[m]!, run.sums), load('i32.load', pointers[m]!, run.sums + 4))
        : load('i32.load', pointers[m]!, run.sums + 4 * section);
      const accumulators = pointers.map(() => [f.local('v128'), f.local('v128')] as const);
      if (shape.bits === 4 || shape.bits === 8) this.turns(pointers, accumulators);
      else if (this.kind === 'bytes') this.byteProducts(words, shared, pointers, accumulators);
      else words.forEach((g, n) => this.wordProducts(g, n === 0, shared, pointers, accumulators));
      const scales = [f.let(this.factor(section, 0)), f.let(this.factor(section, 1))] as const;
      pointers.forEach((x, m) => {
        const inputScale = f.let(load('v128.load32_splat', x, run.scale));
        // What `zero` takes away comes last: until then it would need registers that the products have use for.
        const taken = shape.zero === 0 ? undefined : f.let(op('i32x4.splat', mul(inputSum(m), i32(-shape.zero))));
        accumulators[m]!.forEach((sum, h) => {
          const whole = taken ? op('i32x4.add', sum, taken) : sum;
          sums[m]!.set(h, madd(features, op('f32x4.convert_i32x4_s', whole), op('f32x4.mul', scales[h]!, inputScale), sums[m]!.get(h)));
        });
      });
    });
    if (!shape.min) return;
    const mins = [f.let(this.factor(shape.scales, 0)), f.let(this.factor(shape.scales, 1))] as const;
    pointers.forEach((x, m) => {
      const total = add(load('i32.load', x, run.sums), load('i32.load', x, run.sums + 4));
      const scaled = f.let(op('f32x4.mul', op('f32x4.convert_i32x4_s', op('i32x4.splat', total)), load('v128.load32_splat', x, run.scale)));
      mins.forEach((min, h) => sums[m]!.set(h, madd(features, min, scaled, sums[m]!.get(h))));
    });
  }

  /**
   * The whole cell in a loop of few words a turn, its pointers moved on and back again. Written out, V8 11 moves registers in and out of
   * memory: a loop is half as fast again for four rows, and a fifth for one. A single row of 8-bit weights takes two words a turn.
   */
  private turns(pointers: readonly Local<'i32'>[], accumulators: readonly (readonly Local<'v128'>[])[]): void {
    const { f, shape, w, kind } = this;
    const words = shape.bits === 4 ? [0, 4] : pointers.length === 1 ? [0, 1] : [0];
    const turns = 8 / words.length;
    const inputBytes = (kind === 'bytes' ? 4 : 8) * (shape.bits === 4 ? 1 : words.length);
    const weightBytes = (32 * shape.bits) / turns;
    const move = (times: number): void => {
      f.set(w, add(w, i32(weightBytes * times)));
      for (const p of pointers) f.set(p, add(p, i32(inputBytes * times)));
    };
    for (const pair of accumulators) for (const sum of pair) f.set(sum, i32x4(0));
    const turn = f.local('i32');
    f.countedLoop(turn, i32(0), i32(turns), 1, () => {
      const shared = new Map<string, Local<'v128'>>();
      for (const g of words) {
        if (kind === 'words') this.wordProducts(g, false, shared, pointers, accumulators);
        else this.byteProduct(g, false, shared, pointers, accumulators);
      }
      move(1);
    });
    move(-turns);
    if (kind === 'words') return;
    // 32 products of 4 bits and 8 stay within 16 bits.
    for (const pair of accumulators) for (const sum of pair) f.set(sum, widened(sum));
  }

  /** Adds the products of word g to 16-bit sums, or begins them. */
  private byteProduct(g: number, first: boolean, shared: Map<string, Local<'v128'>>, pointers: readonly I32[], accumulators: readonly (readonly Local<'v128'>[])[]): void {
    const { f } = this;
    const numbers = [this.word(g, 0, shared), this.word(g, 1, shared)] as const;
    pointers.forEach((pointer, m) => {
      const x = f.let(load('v128.load32_splat', pointer, 4 * g));
      accumulators[m]!.forEach((sum, h) => {
        const product = op('i16x8.relaxed_dot_i8x16_i7x16_s', x, numbers[h]!);
        f.set(sum, first ? product : op('i16x8.add', sum, product));
      });
    });
  }

  /** Products of bytes come as 16-bit sums of two; of numbers with few bits, those of several words are summed before they are widened. */
  private byteProducts(words: readonly number[], shared: Map<string, Local<'v128'>>, pointers: readonly I32[], accumulators: readonly (readonly Local<'v128'>[])[]): void {
    const { f, shape } = this;
    const most = Math.floor(32767 / (2 * 127 * (2 ** shape.bits - 1)));
    for (let from = 0; from < words.length; from += most) {
      const narrow = pointers.map(() => [f.local('v128'), f.local('v128')] as const);
      words.slice(from, from + most).forEach((g, n) => this.byteProduct(g, n === 0, shared, pointers, narrow));
      narrow.forEach((pair, m) => pair.forEach((sum, h) => {
        const wide = accumulators[m]![h]!;
        f.set(wide, from === 0 ? widened(sum) : op('i32x4.add', wide, widened(sum)));
      }));
    }
  }

  /** Columns 0 and 1 of the word's 4 rows are its lower half, 2 and 3 its upper. `first`: the sums begin here. */
  private wordProducts(g: number, first: boolean, shared: Map<string, Local<'v128'>>, pointers: readonly I32[], accumulators: readonly (readonly Local<'v128'>[])[]): void {
    const { f } = this;
    const numbers = [this.word(g, 0, shared), this.word(g, 1, shared)];
    for (const pair of [0, 1] as const) {
      const wide = numbers.map((n) => f.let(op(pair === 0 ? 'i16x8.extend_low_i8x16_s' : 'i16x8.extend_high_i8x16_s', n)));
      pointers.forEach((pointer, m) => {
        const x = f.let(load('v128.load32_splat', pointer, 8 * g + 4 * pair));
        accumulators[m]!.forEach((sum, h) => {
          const product = op('i32x4.dot_i16x8_s', x, wide[h]!);
          f.set(sum, first && pair === 0 ? product : op('i32x4.add', sum, product));
        });
      });
    }
  }

  /** Numbers become f32, column by column. */
  floats(pointers: readonly I32[], sums: readonly Sums[]): void {
    const { f, shape, features } = this;
    this.sections().forEach((words, section) => {
      const shared = new Map<string, Local<'v128'>>();
      const scales = [f.let(this.factor(section, 0)), f.let(this.factor(section, 1))] as const;
      const offsets = scales.map((scale, h) => {
        if (shape.min) return f.let(this.factor(shape.scales, h as 0 | 1));
        return shape.zero === 0 ? undefined : f.let(op('f32x4.mul', scale, f32x4(-shape.zero)));
      });
      for (const g of words) {
        const numbers = [this.word(g, 0, shared), this.word(g, 1, shared)] as const;
        for (let c = 0; c < 4; c++) {
          const column = numbers.map((n, h) => {
            const whole: V128 = shape.bits === 8
              ? op('i32x4.shr_s', c === 3 ? n : op('i32x4.shl', n, i32(24 - 8 * c)), i32(24))
              : c === 3 ? op('i32x4.shr_u', n, i32(24)) : op('v128.and', c === 0 ? n : op('i32x4.shr_u', n, i32(8 * c)), i32x4(255));
            const value = op('f32x4.convert_i32x4_s', whole);
            const offset = offsets[h];
            return f.let(offset ? madd(features, value, scales[h]!, offset) : op('f32x4.mul', value, scales[h]!));
          });
          pointers.forEach((pointer, m) => {
            const x = f.let(load('v128.load32_splat', pointer, 4 * (4 * g + c)));
            column.forEach((value, h) => sums[m]!.set(h, madd(features, value, x, sums[m]!.get(h))));
          });
        }
      }
    });
  }
}

/** Neighbouring 16-bit numbers added, as 32-bit ones. */
const widened = (sums: V128): V128 => op('i32x4.dot_i16x8_s', sums, i32x4(0x00010001));
const byteMask = (mask: number): V128 => i32x4(mask * 0x01010101);
