/**
 * Blocks of 256 numbers that are -1, 0 or 1 times a scale, as ggml stores them (ggml-quants.c): to f32, and to q4_0, which holds exactly
 * the same numbers.
 */
import { formatBlock } from '../../../compiler/formats.ts';

/** The 256 whole numbers of the block at `at` of `raw`. */
type Unpack = (raw: Uint8Array, at: number, values: Int8Array) => void;

interface Ternary {
  readonly bytes: number;
  /** Where the f16 scale is. */
  readonly scale: number;
  readonly unpack: Unpack;
}

/** TQ2_0: two bits a number; byte m of 32 holds numbers m, m + 32, m + 64, m + 96 of its half. */
const pairsOfBits: Ternary = {
  bytes: 66, scale: 64,
  unpack: (raw, at, values) => {
    for (let i = 0; i < 256; i++) values[i] = (((raw[at + (i >> 7) * 32 + (i & 31)] as number) >> (((i >> 5) & 3) * 2)) & 3) - 1;
  },
};

/**
 * TQ1_0: five digits of base 3 in a byte, which is ceil(256 n / 243) for their number n: multiplied by a power of 3, modulo 256, the next
 * digit comes first. 32 bytes hold 160 numbers, 16 hold 80, and 4 hold the last 16, four in each.
 */
const digitsOfThree: Ternary = {
  bytes: 54, scale: 52,
  unpack: (raw, at, values) => {
    let out = 0;
    for (const [first, count, digits] of [[0, 32, 5], [32, 16, 5], [48, 4, 4]] as const) {
      for (let digit = 0, power = 1; digit < digits; digit++, power *= 3) {
        for (let m = 0; m < count; m++) values[out++] = (((((raw[at + first + m] as number) * power) & 255) * 3) >> 8) - 1;
      }
    }
  },
};

function decode({ bytes, scale, unpack }: Ternary, raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  const values = new Int8Array(256);
  for (let at = 0, out = 0; out < target.length; at += bytes, out += 256) {
    const d = halves[(raw[at + scale] as number) | ((raw[at + scale + 1] as number) << 8)] as number;
    unpack(raw, at, values);
    for (let i = 0; i < 256; i++) target[out + i] = d * (values[i] as number);
  }
}

function convert({ bytes, scale, unpack }: Ternary, raw: Uint8Array, target: Uint8Array): void {
  const values = new Int8Array(256);
  const block = formatBlock('q4_0').bytes;
  for (let at = 0, out = 0; at < raw.length; at += bytes) {
    unpack(raw, at, values);
    for (let run = 0; run < 256; run += 32, out += block) {
      target[out] = raw[at + scale] as number;
      target[out + 1] = raw[at + scale + 1] as number;
      for (let j = 0; j < 16; j++) target[out + 2 + j] = ((values[run + j] as number) + 8) | (((values[run + 16 + j] as number) + 8) << 4);
    }
  }
}

export const decodeTQ1_0 = (raw: Uint8Array, target: Float32Array, halves: Float32Array): void => decode(digitsOfThree, raw, target, halves);
export const decodeTQ2_0 = (raw: Uint8Array, target: Float32Array, halves: Float32Array): void => decode(pairsOfBits, raw, target, halves);
export const convertTQ1_0 = (raw: Uint8Array, target: Uint8Array): void => convert(digitsOfThree, raw, target);
export const convertTQ2_0 = (raw: Uint8Array, target: Uint8Array): void => convert(pairsOfBits, raw, target);
