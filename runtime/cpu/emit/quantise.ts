/**
 * Rounds a row of a product's input to 8 bits in runs of 32, each with a scale of its own: x = scale q, scale = max |x| / 127.
 * A run takes its 32 numbers, as 8 or as 16 bits each, then the scale (f32), and what products with weights q - zero or q + min need: the
 * sum of q (i32), that of x (f32: scale times it), and the sums of q over the run's two halves (i16 each).
 */
import { horizontal } from '../simd.ts';
import type { FunctionBuilder, FunctionHandle } from '../wasm/function.ts';
import type { ModuleBuilder } from '../wasm/module.ts';
import { add, f32, f32x4, i32, i32x4, lane, load, op, shuffle, type I32, type V128 } from '../wasm/value.ts';

export type InputBits = 8 | 16;

/** Bytes of a run, and of its numbers. */
export const runLayout = (bits: InputBits): { readonly bytes: number; readonly numbers: number } => ({ bytes: 4 * bits + 16, numbers: 4 * bits });
/** Where what follows a run's numbers is, from their end. */
export const runTail = { scale: 0, sum: 4, total: 8, halves: 12, bytes: 16 } as const;

/** (x, out, k): k is a multiple of 32. */
export type Quantise = FunctionHandle<readonly ['i32', 'i32', 'i32'], undefined>;

export function defineQuantise(module: ModuleBuilder, bits: InputBits): Quantise {
  const made = module.function(`quantise${bits}`, ['i32', 'i32', 'i32'], undefined);
  const f = made as unknown as FunctionBuilder;
  const [x, out, k] = made.params;
  const { bytes, numbers } = runLayout(bits);
  const i = f.local('i32');
  f.countedLoop(i, i32(0), k, 32, () => {
    const values = Array.from({ length: 8 }, (_, n) => f.let(load('v128.load', x, 16 * n)));
    const largest = values.map((v): V128 => op('f32x4.abs', v)).reduce((a, b) => op('f32x4.max', a, b));
    const max = f.let(horizontal(f, 'f32x4.max', largest));
    const scale = f.let(op('f32.div', max, f32(127)));
    f.store('f32.store', out, scale, numbers + runTail.scale);
    // Of a row of zeros there is no inverse.
    const nonzero = f.let(op('f32.gt', max, f32(0)));
    const inverse = f.let(f32x4(0));
    f.if(nonzero, () => f.set(inverse, op('f32x4.splat', op('f32.div', f32(127), max))));
    const whole = values.map((v) => f.let(op('i32x4.trunc_sat_f32x4_s', op('f32x4.nearest', op('f32x4.mul', v, inverse)))));
    const [first, second] = [f.let(sumOf(f, whole.slice(0, 4))), f.let(sumOf(f, whole.slice(4)))];
    const sum = f.let(add(first, second));
    f.store('i32.store', out, sum, numbers + runTail.sum);
    f.store('f32.store', out, op('f32.mul', op('f32.convert_i32_s', sum), scale), numbers + runTail.total);
    f.store('i32.store', out, op('i32.or', op('i32.and', first, i32(0xffff)), op('i32.shl', second, i32(16))), numbers + runTail.halves);
    for (const [n, from] of [0, 4].entries()) {
      const words = [0, 2].map((w) => f.let(op('i16x8.narrow_i32x4_s', whole[from + w] as V128, whole[from + w + 1] as V128)));
      if (bits === 8) f.store('v128.store', out, op('i8x16.narrow_i16x8_s', words[0] as V128, words[1] as V128), 16 * n);
      else words.forEach((word, w) => f.store('v128.store', out, word, 32 * n + 16 * w));
    }
    f.set(x, add(x, i32(128)));
    f.set(out, add(out, i32(bytes)));
  });
  return made.handle;
}

function sumOf(f: FunctionBuilder, vectors: readonly V128[]): I32 {
  const four = f.let(vectors.reduce((a, b) => op('i32x4.add', a, b), i32x4(0)));
  const two = f.let(op('i32x4.add', four, shuffle(four, four, [2, 3, 2, 3])));
  return lane('i32x4.extract_lane', 0, op('i32x4.add', two, shuffle(two, two, [1, 1, 1, 1])));
}
