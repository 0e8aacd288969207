/** Stored weights back to f32, by the format in which a plan keeps them. */
import type { WeightFormat } from '../../compiler/formats.ts';
import { decode, halfValues } from './gguf/decode.ts';
import type { GgmlType } from './gguf/types.ts';

const types: Readonly<Record<WeightFormat, GgmlType>> = {
  f32: 'F32', f16: 'F16', bf16: 'BF16', q8_0: 'Q8_0', q4_0: 'Q4_0', q4_1: 'Q4_1', q4_K: 'Q4_K', q5_K: 'Q5_K', q6_K: 'Q6_K',
};

/** Whole blocks of `format` into `target`, which says how many numbers. */
export type Dequantise = (format: WeightFormat, bytes: Uint8Array, target: Float32Array) => void;

/** Makes a table first, so keep the result. */
export function dequantiser(): Dequantise {
  const halves = halfValues();
  return (format, bytes, target) => { decode(types[format], bytes, target, halves); };
}
