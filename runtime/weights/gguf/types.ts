/** ggml's tensor types: number in a GGUF file, elements and bytes of a block (ggml.h, ggml-common.h). */
import type { WeightFormat } from '../../../compiler/formats.ts';

interface TypeFacts {
  readonly elements: number;
  readonly bytes: number;
  /** How `readStored` gives it: as it is, or converted to a form that holds the same numbers. f32 where there is no other. */
  readonly kept: WeightFormat;
}

/** Types whose elements are read. */
const facts = {
  F32: { elements: 1, bytes: 4, kept: 'f32' },
  F16: { elements: 1, bytes: 2, kept: 'f16' },
  BF16: { elements: 1, bytes: 2, kept: 'bf16' },
  F64: { elements: 1, bytes: 8, kept: 'f32' },
  I8: { elements: 1, bytes: 1, kept: 'f32' },
  I16: { elements: 1, bytes: 2, kept: 'f32' },
  I32: { elements: 1, bytes: 4, kept: 'f32' },
  I64: { elements: 1, bytes: 8, kept: 'f32' },
  Q4_0: { elements: 32, bytes: 18, kept: 'q4_0' },
  Q4_1: { elements: 32, bytes: 20, kept: 'q4_1' },
  Q5_0: { elements: 32, bytes: 22, kept: 'q8_0' },
  Q5_1: { elements: 32, bytes: 24, kept: 'f32' },
  Q8_0: { elements: 32, bytes: 34, kept: 'q8_0' },
  Q2_K: { elements: 256, bytes: 84, kept: 'f32' },
  Q3_K: { elements: 256, bytes: 110, kept: 'q6_K' },
  Q4_K: { elements: 256, bytes: 144, kept: 'q4_K' },
  Q5_K: { elements: 256, bytes: 176, kept: 'q5_K' },
  Q6_K: { elements: 256, bytes: 210, kept: 'q6_K' },
  IQ4_NL: { elements: 32, bytes: 18, kept: 'q8_0' },
  IQ4_XS: { elements: 256, bytes: 136, kept: 'f32' },
  TQ1_0: { elements: 256, bytes: 54, kept: 'q4_0' },
  TQ2_0: { elements: 256, bytes: 66, kept: 'q4_0' },
  MXFP4: { elements: 32, bytes: 17, kept: 'q8_0' },
} as const satisfies Record<string, TypeFacts>;

export type GgmlType = keyof typeof facts;

export const ggmlTypes = Object.keys(facts) as readonly GgmlType[];

export const ggmlBlock = (type: GgmlType): TypeFacts => facts[type];

const numbers: Readonly<Record<number, GgmlType>> = {
  0: 'F32', 1: 'F16', 2: 'Q4_0', 3: 'Q4_1', 6: 'Q5_0', 7: 'Q5_1', 8: 'Q8_0', 10: 'Q2_K', 11: 'Q3_K', 12: 'Q4_K', 13: 'Q5_K', 14: 'Q6_K',
  20: 'IQ4_NL', 23: 'IQ4_XS', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64', 30: 'BF16', 34: 'TQ1_0', 35: 'TQ2_0', 39: 'MXFP4',
};

/** Types that exist but are not read, and those that existed once. */
const unread: Readonly<Record<number, string>> = {
  4: 'Q4_2', 5: 'Q4_3', 9: 'Q8_1', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS', 18: 'IQ3_XXS', 19: 'IQ1_S', 21: 'IQ3_S', 22: 'IQ2_S', 29: 'IQ1_M',
  31: 'Q4_0_4_4', 32: 'Q4_0_4_8', 33: 'Q4_0_8_8', 36: 'IQ4_NL_4_4', 37: 'IQ4_NL_4_8', 38: 'IQ4_NL_8_8', 40: 'NVFP4', 41: 'Q1_0',
};

/** The type that a number stands for, if its elements are read. */
export const ggmlType = (number: number): GgmlType | undefined => numbers[number];

/** Name of a type that is not read, where the number has one. */
export const unreadType = (number: number): string | undefined => unread[number];
