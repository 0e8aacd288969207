/** The inner loops of products with 16-bit weights (f16, bf16) in blocks of 8 rows, for one row of f32 inputs and for four. */
import { madd, type Features } from '../simd.ts';
import type { FunctionBuilder, Local } from '../wasm/function.ts';
import { add, f32x4, i32, i32x4, load, mul, op, type I32, type V128 } from '../wasm/value.ts';

export type HalfFormat = 'f16' | 'bf16';

/** Four numbers in the lower 16 bits of 32-bit lanes to f32, exactly. */
export function widen(f: FunctionBuilder, format: HalfFormat, bits: V128): V128 {
  if (format === 'bf16') return op('i32x4.shl', bits, i32(16));
  // Exponent and fraction in their places of an f32 lack 112 in the exponent, which the product adds, for subnormals too.
  const half = f.let(bits);
  const size = f.let(op('v128.and', half, i32x4(0x7fff)));
  const value = op('f32x4.mul', op('i32x4.shl', size, i32(13)), f32x4(2 ** 112));
  const special = op('v128.and', op('i32x4.gt_s', size, i32x4(0x7bff)), i32x4(0x7f800000));
  const sign = op('i32x4.shl', op('v128.and', half, i32x4(0x8000)), i32(16));
  return op('v128.or', op('v128.or', value, special), sign);
}

/** The body of (x..., w, k, out, outStride, blocks), as in cell-products.ts. */
export function writeHalfProduct(
  f: FunctionBuilder, features: Features, format: HalfFormat, rows: readonly I32[], w: Local<'i32'>, k: I32, out: Local<'i32'>, outStride: I32, blocks: I32,
): void {
  const pointers = rows.map(() => f.local('i32'));
  const sums = rows.map(() => [f.local('v128'), f.local('v128')] as const);
  const block = f.local('i32');
  const i = f.local('i32');
  f.countedLoop(block, i32(0), blocks, 1, () => {
    rows.forEach((x, m) => f.set(pointers[m]!, x));
    for (const pair of sums) for (const sum of pair) f.set(sum, f32x4(0));
    f.countedLoop(i, i32(0), k, 1, () => {
      const eight = f.let(load('v128.load', w));
      const low = f.let(widen(f, format, op('i32x4.extend_low_i16x8_u', eight)));
      const high = f.let(widen(f, format, op('i32x4.extend_high_i16x8_u', eight)));
      rows.forEach((_, m) => {
        const x = f.let(load('v128.load32_splat', pointers[m]!));
        const [a, b] = sums[m]!;
        f.set(a, madd(features, low, x, a));
        f.set(b, madd(features, high, x, b));
        f.set(pointers[m]!, add(pointers[m]!, i32(4)));
      });
      f.set(w, add(w, i32(16)));
    });
    sums.forEach(([low, high], m) => {
      const at = f.let(add(out, mul(outStride, i32(m))));
      f.store('v128.store', at, low, 0);
      f.store('v128.store', at, high, 16);
    });
    f.set(out, add(out, i32(32)));
  });
}
