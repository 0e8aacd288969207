/** Packs rows of quantised numbers, as files store them (see stored-blocks.ts), into cells (see compiler/cell-layout.ts). */
import { cellColumns, cellLayout, cellRows, chunkBytes, wordPlace, type CellFormat, type CellLayout } from '../../../compiler/cell-layout.ts';
import { formatBlock } from '../../../compiler/formats.ts';
import type { FunctionBuilder, Local } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, f32x4, i32, i32x4, lane, load, mul, op, shuffleBytes, type I32, type V128 } from '../wasm/value.ts';
import type { WordOrder } from './cell-products.ts';
import { widen } from './half-products.ts';
import type { PackBlocks } from './pack.ts';
import { storedBlocks, type StoredBits, type StoredBlock } from './stored-blocks.ts';
import { transpose } from './transpose.ts';

/** Rows of half of a cell. */
const halfRows = cellRows / 2;
const halves = [0, 1] as const;
const lanes = [0, 1, 2, 3] as const;

export function definePackCells(module: ModuleBuilder, format: CellFormat, order: WordOrder): PackBlocks {
  const made = module.function(`pack ${format} ${order}`, ['i32', 'i32', 'i32', 'i32'], undefined);
  const f = made as unknown as FunctionBuilder;
  const [source, target, blocks, k] = made.params;
  const shape = cellLayout(format);
  const { elements, bytes } = formatBlock(format);
  const groups = f.let(op('i32.div_u', k, i32(elements)));
  const rowBytes = f.let(mul(groups, i32(bytes)));
  const rows = Array.from({ length: cellRows }, () => f.local('i32'));
  const writer = new CellPacker(f, shape, storedBlocks[format], order, rows, target);
  const [block, group, cell] = [f.local('i32'), f.local('i32'), f.local('i32')];
  f.countedLoop(block, i32(0), blocks, 1, () => {
    for (const row of rows) {
      f.set(row, source);
      f.set(source, add(source, rowBytes));
    }
    f.countedLoop(group, i32(0), groups, 1, () => {
      writer.factors();
      f.set(target, add(target, i32(shape.head)));
      f.countedLoop(cell, i32(0), i32(shape.cells), 1, () => {
        writer.numbers(cell);
        f.set(target, add(target, i32(shape.bytes)));
      });
      for (const row of rows) f.set(row, add(row, i32(bytes)));
    });
  });
  return made.handle;
}

class CellPacker {
  /** `rows`: where the present block of each row begins. `target`: where the present group of cells begins, then a cell. */
  constructor(
    private readonly f: FunctionBuilder, private readonly shape: CellLayout, private readonly stored: StoredBlock, private readonly order: WordOrder,
    private readonly rows: readonly I32[], private readonly target: I32,
  ) {}

  /** The head of a group, and the factors of its cells. Up to 8 bytes where numbers come are overwritten. */
  factors(): void {
    const { f, shape, stored, target } = this;
    const floats = stored.halves.map((at) => halves.map((half) => this.halfFloats(at, half)));
    if (shape.factors === 'split') {
      this.split(floats);
      return;
    }
    floats.forEach((both, n) => both.forEach((values, half) => {
      // What a whole minimum multiplies is taken away. From 0, so that rows that fill up the last block are zeros.
      f.store('v128.store', target, n === 0 ? values : op('f32x4.sub', f32x4(0), values), 4 * (cellRows * n + halfRows * half));
    }));
    if (stored.whole) for (const half of halves) this.whole(stored.whole, half);
  }

  private halfRows(half: number): readonly I32[] {
    return this.rows.slice(halfRows * half, halfRows * (half + 1));
  }

  /** The f16 number at byte `at` of four rows. */
  private halfFloats(at: number, half: number): Local<'v128'> {
    const { f } = this;
    const bits = this.halfRows(half).map((row) => load('i32.load16_u', row, at));
    return f.let(widen(f, 'f16', bits.slice(1).reduce<V128>((v, x, n) => lane('i32x4.replace_lane', n + 1, v, x), op('i32x4.splat', bits[0]!))));
  }

  /** The upper halves of the f32 bits of scales, then of smallest values, then the three bits below of both. */
  private split(floats: readonly (readonly Local<'v128'>[])[]): void {
    const { f, shape, target } = this;
    const bytesOf = ([a, b]: readonly V128[], bytes: readonly number[]): V128 => {
      const some = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => bytes.map((byte) => 4 * n + byte));
      return shuffleBytes(a!, b!, [...some, ...some].slice(0, 16));
    };
    floats.forEach((both, n) => f.store('v128.store', target, bytesOf(both, [2, 3]), 2 * cellRows * n));
    const [scales, smallest] = floats;
    const further = halves.map((half) => {
      const bits = op('v128.and', scales![half]!, i32x4(0xe000));
      return smallest ? op('v128.or', bits, op('v128.and', op('i32x4.shr_u', smallest[half]!, i32(3)), i32x4(0x1c00))) : bits;
    });
    f.store('v128.store', target, bytesOf(further, [1]), shape.numbers - cellRows);
  }

  /** Two bytes of each cell for each of four rows. */
  private whole({ at, bits }: NonNullable<StoredBlock['whole']>, half: number): void {
    const { f, shape, target } = this;
    const words = transpose(f, this.halfRows(half).map((row) => load('v128.load', row, at)));
    // Of four rows, words of four bytes: those of 8 bits cell by cell, those of 6 by cells 0 to 3 and 4 to 7.
    const unpacked = (bits === 8 ? words : this.sixBits(words)).map((word) => f.let(shuffleBytes(word, word, lanes.flatMap((n) => lanes.map((r) => 4 * r + n)))));
    unpacked.forEach((word, w) => lanes.forEach((n) => {
      const [cell, which] = bits === 8 ? [2 * w + (n >> 1), n & 1] : [4 * (w >> 1) + n, w & 1];
      f.store('i32.store', target, lane('i32x4.extract_lane', n, word), shape.head + cell * shape.bytes + which * cellRows + half * halfRows);
    }));
  }

  /** 8 scales and 8 minima, in words of 4: the lower 6 bits of the first two words, then 4 bits of the third and the 2 upper ones of the first two. */
  private sixBits([scales, minima, rest]: readonly V128[]): readonly V128[] {
    const upper = (word: V128): V128 => op('v128.and', op('i32x4.shr_u', word, i32(2)), byteMask(0x30));
    const lower = (shift: number): V128 => op('v128.and', op('i32x4.shr_u', rest!, i32(shift)), byteMask(0x0f));
    return [
      op('v128.and', scales!, byteMask(0x3f)), op('v128.and', minima!, byteMask(0x3f)),
      op('v128.or', lower(0), upper(scales!)), op('v128.or', lower(4), upper(minima!)),
    ].map((word) => this.f.let(word));
  }

  /** The numbers of cell `cell` of the group, at `target`. */
  numbers(cell: I32): void {
    const { f, shape, stored, target } = this;
    for (let first = 0; first < cellColumns / 4; first += 4) {
      /** What comes together in 16 bytes, by their place. */
      const places = new Map<number, V128[]>();
      const put = (place: number, word: V128, shift: number): void => { places.set(place, [...(places.get(place) ?? []), shift === 0 ? word : op('i32x4.shl', word, i32(shift))]); };
      const low = this.fixed(stored.low(cell, first / 4));
      const high = stored.high && this.fixed(stored.high(cell, first / 4));
      for (const half of halves) {
        const upper = high && this.words(high, shape.bits - 4, half);
        this.words(low, shape.bits === 8 ? 8 : 4, half).forEach((word, n) => {
          const place = wordPlace(shape, (first + n) % shape.chunk, half);
          const chunk = shape.numbers + Math.floor((first + n) / shape.chunk) * chunkBytes(shape);
          put(chunk + place.low, word, place.shift);
          if (upper) put(chunk + place.plane, upper[n]!, place.bit);
        });
      }
      for (const [place, parts] of places) f.store('v128.store', target, this.ordered(parts.reduce((a, b) => op('v128.or', a, b))), place);
    }
  }

  private fixed({ at, shift }: StoredBits): StoredBits {
    const [from, by] = [at, shift].map((x) => (x.constant === undefined ? this.f.let(x) : x));
    return { at: from!, shift: by! };
  }

  /** Four words, each of four columns of four rows: row by row, a byte for each number with `count` bits of it. */
  private words({ at, shift }: StoredBits, count: number, half: number): readonly V128[] {
    return transpose(this.f, this.halfRows(half).map((row) => {
      const bytes = load('v128.load', add(row, at));
      return count === 8 ? bytes : op('v128.and', shift.constant === 0 ? bytes : op('i32x4.shr_u', bytes, shift), byteMask(2 ** count - 1));
    }));
  }

  private ordered(word: V128): V128 {
    if (this.order === 'quads') return word;
    const whole = this.f.let(word);
    return shuffleBytes(whole, whole, [0, 2].flatMap((column) => lanes.flatMap((row) => [4 * row + column, 4 * row + column + 1])));
  }
}

const byteMask = (mask: number): V128 => i32x4(mask * 0x01010101);
