/** The factors of a cell (see compiler/cell-layout.ts) in the forms that products want them: of rows 0 to 3, and of rows 4 to 7. */
import { cellRows, type CellLayout } from '../../../compiler/cell-layout.ts';
import { InternalError } from '../../../compiler/diagnostics.ts';
import type { FunctionBuilder, Local } from '../wasm/function.ts';
import { add, i32, i32x4, load, op, shuffleBytes, type V128 } from '../wasm/value.ts';

export type Pair = readonly [Local<'v128'>, Local<'v128'>];

export class CellFactors {
  /** Where the cell begins. */
  private readonly start: Local<'i32'>;
  /** d of the group's rows, then -dmin. */
  private readonly heads: readonly Pair[];

  constructor(private readonly f: FunctionBuilder, private readonly shape: CellLayout, private readonly w: Local<'i32'>) {
    this.start = f.local('i32');
    this.heads = Array.from({ length: shape.head / (4 * cellRows) }, () => [f.local('v128'), f.local('v128')] as const);
  }

  /** At the start of a group of cells: reads its head. */
  begin(): void {
    const { f, w, shape } = this;
    this.heads.forEach((pair, n) => pair.forEach((half, h) => f.set(half, load('v128.load', w, 32 * n + 16 * h))));
    if (shape.head > 0) f.set(w, add(w, i32(shape.head)));
  }

  /** At the start of a cell. */
  cell(): void {
    this.f.set(this.start, this.w);
  }

  /** f32 scales of section s, what `zero` leaves of a number is to be multiplied with. */
  scales(s: number): Pair {
    return this.shape.factors === 'whole' ? this.multiples(this.bytes(s, this.shape.scales === 2), this.units()) : this.stored(0);
  }

  /** f32 smallest values. */
  minima(): Pair {
    return this.shape.factors === 'whole' ? this.multiples(this.bytes(1, false), this.heads[1]) : this.stored(1);
  }

  /** What whole scales are multiples of. */
  units(): Pair {
    const [d] = this.heads;
    if (!d) throw new InternalError('cpu', 'a cell without a head');
    return d;
  }

  /** Whole scales of section s as 16-bit numbers, each twice; undefined where scales are no whole numbers. */
  wholeScales(s: number): Pair | undefined {
    if (this.shape.factors !== 'whole') return undefined;
    const { f } = this;
    const words = f.let(this.bytes(s, this.shape.scales === 2));
    const twice = (h: number): Local<'v128'> => f.let(shuffleBytes(words, words, [0, 1, 2, 3].flatMap((r) => [0, 1, 0, 1].map((b) => 8 * h + 2 * r + b))));
    return [twice(0), twice(1)];
  }

  /** Bytes 8 n .. of the cell as 16-bit numbers. */
  private bytes(n: number, signed: boolean): V128 {
    const all = load('v128.load', this.start);
    if (signed) return op(n === 0 ? 'i16x8.extend_low_i8x16_s' : 'i16x8.extend_high_i8x16_s', all);
    return op(n === 0 ? 'i16x8.extend_low_i8x16_u' : 'i16x8.extend_high_i8x16_u', all);
  }

  private multiples(words: V128, of: Pair | undefined): Pair {
    if (!of) throw new InternalError('cpu', 'a cell without its head');
    const { f } = this;
    const both = f.let(words);
    return [
      f.let(op('f32x4.mul', op('f32x4.convert_i32x4_s', op('i32x4.extend_low_i16x8_s', both)), of[0])),
      f.let(op('f32x4.mul', op('f32x4.convert_i32x4_s', op('i32x4.extend_high_i16x8_s', both)), of[1])),
    ];
  }

  /** The n-th factor of each row. */
  private stored(n: number): Pair {
    const { f, shape, start } = this;
    if (shape.factors === 'float') return [f.let(load('v128.load', start, 32 * n)), f.let(load('v128.load', start, 32 * n + 16))];
    const upper = f.let(load('v128.load', start, 16 * n));
    const further = op('i16x8.shl', load('i16x8.load8x8_u', start, shape.numbers - cellRows), i32(n === 0 ? 8 : 11));
    const lower = f.let(shape.min ? op('v128.and', further, i32x4(0xe000e000 | 0)) : further);
    return [f.let(shuffleBytes(lower, upper, interleaved(0))), f.let(shuffleBytes(lower, upper, interleaved(4)))];
  }
}

/** The 16-bit lanes from `first` on of one vector and another by turns. */
const interleaved = (first: number): readonly number[] => [0, 1, 2, 3].flatMap((n) => [0, 1, 16, 17].map((b) => 2 * (first + n) + b));
