import { call } from '../wasm/function.ts';
import { f32x4, op } from '../wasm/value.ts';
import type { MathLibrary, VectorFunction1 } from './library.ts';

/** 1 / (1 + e^-x). */
export function writeSigmoid(f: VectorFunction1, library: MathLibrary): void {
  const [x] = f.params;
  f.result(op('f32x4.div', f32x4(1), op('f32x4.add', f32x4(1), call(library.unary('exp'), op('f32x4.neg', x)))));
}
