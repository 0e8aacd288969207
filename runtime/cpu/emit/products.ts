/**
 * The inner loops of products, by the form of the weights: functions shared by every linear kernel of a module, so that they are
 * compiled and optimised once. Those of f32 weights in block order (see layout.ts) are here.
 */
import { isCells, type Packed } from '../layout.ts';
import { madd, type Features } from '../simd.ts';
import type { FunctionBuilder, FunctionHandle, Local } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, f32x4, i32, load, mul, op, type I32, type V128 } from '../wasm/value.ts';
import { writeCellProduct } from './cell-products.ts';
import { writeHalfProduct } from './half-products.ts';
import { defineReadElement, type ReadElement } from './packed-element.ts';
import { defineQuantise, type InputBits, type Quantise } from './quantise.ts';

/** (x, w, k, out, blocks): out[8 b + r] = sum over i of x[i] w[b][i][r]. x: f32, or what a quantiser gives, as the form needs. */
export type VectorProduct = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32', 'i32'], undefined>;
/** (x0, x1, x2, x3, w, k, out, outStride, blocks): the same for four rows; row m's results are at out + m outStride (bytes). */
export type TileProduct = FunctionHandle<readonly ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined>;

/** What a weight's products are written for: f32 in blocks, or a packed form. */
export type ProductFormat = 'blocks' | Packed;

const keyOf = (format: ProductFormat): string => (format === 'blocks' ? 'f32' : isCells(format) ? `${format.packed} ${format.kind}` : format.packed);

export class ProductLibrary {
  private readonly vectors = new Map<string, VectorProduct>();
  private readonly tiles = new Map<string, TileProduct>();
  private readonly quantisers = new Map<InputBits, Quantise>();
  private readonly elements = new Map<string, ReadElement>();

  constructor(private readonly module: ModuleBuilder, private readonly features: Features) {}

  vector(format: ProductFormat): VectorProduct {
    return made(this.vectors, keyOf(format), () => {
      const f = this.module.function(`vectorProduct ${keyOf(format)}`, ['i32', 'i32', 'i32', 'i32', 'i32'], undefined);
      const [x, w, k, out, blocks] = f.params;
      this.write(f as unknown as FunctionBuilder, format, [x], w, k, out, i32(0), blocks);
      return f.handle;
    });
  }

  tile(format: ProductFormat): TileProduct {
    return made(this.tiles, keyOf(format), () => {
      const f = this.module.function(`tileProduct ${keyOf(format)}`, ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'], undefined);
      const [x0, x1, x2, x3, w, k, out, outStride, blocks] = f.params;
      this.write(f as unknown as FunctionBuilder, format, [x0, x1, x2, x3], w, k, out, outStride, blocks);
      return f.handle;
    });
  }

  quantise(bits: InputBits): Quantise {
    return made(this.quantisers, bits, () => defineQuantise(this.module, bits));
  }

  /** One element of a packed matrix. */
  element(format: Packed): ReadElement {
    return made(this.elements, keyOf(format), () => defineReadElement(this.module, format));
  }

  private write(f: FunctionBuilder, format: ProductFormat, rows: readonly I32[], w: Local<'i32'>, k: I32, out: Local<'i32'>, outStride: I32, blocks: I32): void {
    if (format === 'blocks') writeProduct(f, this.features, rows, w, k, out, outStride, blocks);
    else if (isCells(format)) writeCellProduct(f, this.features, format.packed, format.kind, rows, w, k, out, outStride, blocks);
    else writeHalfProduct(f, this.features, format.packed, rows, w, k, out, outStride, blocks);
  }
}

function made<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  const found = known.get(key);
  if (found !== undefined) return found;
  const value = make();
  known.set(key, value);
  return value;
}

function writeProduct(
  f: FunctionBuilder, features: Features, rows: readonly I32[], w: Local<'i32'>, k: I32, out: Local<'i32'>, outStride: I32, blocks: I32,
): void {
  // One row alone takes two steps of k a turn, with sums of their own, or each addition would wait for the one before. Four rows have
  // eight independent sums as it is. More steps a turn make V8 11 move registers: with four of them, 30 GB/s rather than 50 for one row,
  // 26 GFLOP/s rather than 48 for four.
  const unroll = rows.length === 1 ? 2 : 1;
  const chains = unroll;
  const pointers = rows.map(() => f.local('i32'));
  const sums = rows.map(() => Array.from({ length: chains }, () => [f.local('v128'), f.local('v128')] as const));
  const wide = f.let(op('i32.and', k, i32(-unroll)));
  const step = (count: number): void => {
    for (let u = 0; u < count; u++) {
      const low = f.let(load('v128.load', w, 32 * u));
      const high = f.let(load('v128.load', w, 32 * u + 16));
      rows.forEach((_, m) => {
        const x = f.let(load('v128.load32_splat', pointers[m]!, 4 * u));
        const [a, b] = sums[m]![u % chains]!;
        f.set(a, madd(features, low, x, a));
        f.set(b, madd(features, high, x, b));
      });
    }
    f.set(w, add(w, i32(32 * count)));
    for (const p of pointers) f.set(p, add(p, i32(4 * count)));
  };
  const block = f.local('i32');
  const i = f.local('i32');
  f.countedLoop(block, i32(0), blocks, 1, () => {
    rows.forEach((x, m) => f.set(pointers[m]!, x));
    for (const row of sums) for (const pair of row) for (const sum of pair) f.set(sum, f32x4(0));
    f.countedLoop(i, i32(0), wide, unroll, () => step(unroll));
    if (unroll > 1) f.countedLoop(i, wide, k, 1, () => step(1));
    rows.forEach((_, m) => {
      const at = f.let(add(out, mul(outStride, i32(m))));
      for (const half of [0, 1] as const) {
        const total = sums[m]!.slice(1).reduce<V128>((sum, pair) => op('f32x4.add', sum, pair[half]), sums[m]![0]![half]);
        f.store('v128.store', at, total, 16 * half);
      }
    });
    f.set(out, add(out, i32(32)));
  });
}
