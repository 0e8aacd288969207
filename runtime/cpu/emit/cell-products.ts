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

interface Sums { readonly low: Local<'v128'>; readonly high: Local<'v128'> }

/** The body of (x..., w, k, out, outStride, blocks): out[8 b + r] = sum over i of x[i] w[b][i][r], for each x. */
export function writeCellProduct(
  f: FunctionBuilder, features: Features, format: CellFormat, kind: CellKind, rows: readonly I32[],
  w: Local<'i32'>, k: I32, out: Local<'i32'>, outStride: I32, blocks: I32,
): void {
  const shape = cellLayout(format);
  const writer = new CellWriter(f, features, shape, kind, w);
  const pointers = rows.map(() => f.local('i32'));
  const sums = rows.map((): Sums => ({ low: f.local('v128'), high: f.local('v128') }));
  const cells = f.let(op('i32.shr_u', k, i32(5)));
  const block = f.local('i32');
  const cell = f.local('i32');
  const inputBytes = kind === 'floats' ? 128 : runLayout(kind === 'bytes' ? 8 : 16).bytes;
  f.countedLoop(block, i32(0), blocks, 1, () => {
    rows.forEach((x, m) => f.set(pointers[m]!, x));
    for (const { low, high } of sums) for (const sum of [low, high]) f.set(sum, f32x4(0));
    f.countedLoop(cell, i32(0), cells, 1, () => {
      if (kind === 'floats') writer.floats(pointers, sums);
      else writer.whole(pointers, sums);
      f.set(w, add(w, i32(shape.bytes)));
      for (const p of pointers) f.set(p, add(p, i32(inputBytes)));
    });
    sums.forEach(({ low, high }, m) => {
      const at = f.let(add(out, mul(outStride, i32(m))));
      f.store('v128.store', at, low, 0);
      f.store('v128.store', at, high, 16);
    });
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
  whole(pointers: readonly I32[], sums: readonly Sums[]): void {
    const { f, shape, features } = this;
    const run = runLayout(this.kind === 'bytes' ? 8 : 16);
    this.sections().forEach((words, section) => {
      const shared = new Map<string, Local<'v128'>>();
      const both = shape.scales === 1;
      const inputSum = (m: number): I32 => both
        ? add(load('i32.load', pointers[m]!, run.sums), load('i32.load', pointers[m]!, run.sums + 4))
        : load('i32.load', pointers[m]!, run.sums + 4 * section);
      // What `zero` takes away is where the sums begin.
      const accumulators = pointers.map((_, m) => {
        const start: V128 = shape.zero === 0 ? i32x4(0) : op('i32x4.splat', mul(inputSum(m), i32(-shape.zero)));
        const first = f.let(start);
        return [first, f.let<'v128'>(first)] as const;
      });
      if (this.kind === 'bytes') this.byteProducts(words, shared, pointers, accumulators);
      else for (const g of words) this.wordProducts(g, [this.word(g, 0, shared), this.word(g, 1, shared)], pointers, accumulators);
      const scales = [f.let(this.factor(section, 0)), f.let(this.factor(section, 1))] as const;
      pointers.forEach((x, m) => {
        const inputScale = f.let(load('v128.load32_splat', x, run.scale));
        ([sums[m]!.low, sums[m]!.high] as const).forEach((sum, h) => {
          f.set(sum, madd(features, op('f32x4.convert_i32x4_s', accumulators[m]![h]!), op('f32x4.mul', scales[h]!, inputScale), sum));
        });
      });
    });
    if (!shape.min) return;
    const mins = [f.let(this.factor(shape.scales, 0)), f.let(this.factor(shape.scales, 1))] as const;
    pointers.forEach((x, m) => {
      const total = add(load('i32.load', x, run.sums), load('i32.load', x, run.sums + 4));
      const scaled = f.let(op('f32x4.mul', op('f32x4.convert_i32x4_s', op('i32x4.splat', total)), load('v128.load32_splat', x, run.scale)));
      ([sums[m]!.low, sums[m]!.high] as const).forEach((sum, h) => f.set(sum, madd(features, mins[h]!, scaled, sum)));
    });
  }

  /** Products of bytes come as 16-bit sums of two; of numbers with few bits, those of several words are summed before they are widened. */
  private byteProducts(words: readonly number[], shared: Map<string, Local<'v128'>>, pointers: readonly I32[], accumulators: readonly (readonly Local<'v128'>[])[]): void {
    const { f, shape } = this;
    const most = Math.floor(32767 / (2 * 127 * (2 ** shape.bits - 1)));
    for (let from = 0; from < words.length; from += most) {
      const narrow = pointers.map(() => [f.local('v128'), f.local('v128')] as const);
      words.slice(from, from + most).forEach((g, n) => {
        const numbers = [this.word(g, 0, shared), this.word(g, 1, shared)] as const;
        pointers.forEach((pointer, m) => {
          const x = f.let(load('v128.load32_splat', pointer, 4 * g));
          narrow[m]!.forEach((sum, h) => {
            const dot = op('i16x8.relaxed_dot_i8x16_i7x16_s', x, numbers[h]!);
            f.set(sum, n === 0 ? dot : op('i16x8.add', sum, dot));
          });
        });
      });
      narrow.forEach((pair, m) => pair.forEach((sum, h) => {
        const wide = accumulators[m]![h]!;
        f.set(wide, op('i32x4.add', wide, op('i32x4.dot_i16x8_s', sum, i32x4(0x00010001))));
      }));
    }
  }

  /** Columns 0 and 1 of the word's 4 rows are its lower half, 2 and 3 its upper. */
  private wordProducts(g: number, numbers: readonly V128[], pointers: readonly I32[], accumulators: readonly (readonly Local<'v128'>[])[]): void {
    const { f } = this;
    for (const pair of [0, 1] as const) {
      const wide = numbers.map((n) => f.let(op(pair === 0 ? 'i16x8.extend_low_i8x16_s' : 'i16x8.extend_high_i8x16_s', n)));
      pointers.forEach((pointer, m) => {
        const x = f.let(load('v128.load32_splat', pointer, 8 * g + 4 * pair));
        accumulators[m]!.forEach((sum, h) => f.set(sum, op('i32x4.add', sum, op('i32x4.dot_i16x8_s', x, wide[h]!))));
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
            ([sums[m]!.low, sums[m]!.high] as const).forEach((sum, h) => f.set(sum, madd(features, column[h]!, x, sum)));
          });
        }
      }
    });
  }
}

const byteMask = (mask: number): V128 => i32x4(mask * 0x01010101);
