/** Blocks of types without kernels of their own, rewritten in a form that holds exactly the same numbers. */
import { floatToHalf } from '../element.ts';
import { microscale, microscaledValues, nonlinearValues } from './decode-32.ts';
import { numberQ3_K, place6, scaleQ3_K } from './decode-256.ts';

/** Q5_0 to q8_0: d (q - 16) has the same d, and q - 16 fits 8 bits. */
export function convertQ5_0(raw: Uint8Array, target: Uint8Array): void {
  for (let at = 0, out = 0; at < raw.length; at += 22, out += 34) {
    target[out] = raw[at] as number;
    target[out + 1] = raw[at + 1] as number;
    for (let j = 0; j < 16; j++) {
      const byte = raw[at + 6 + j] as number;
      const low = ((raw[at + 2 + (j >> 3)] as number) >> (j & 7)) & 1;
      const high = ((raw[at + 4 + (j >> 3)] as number) >> (j & 7)) & 1;
      target[out + 2 + j] = ((byte & 15) | (low << 4)) - 16;
      target[out + 18 + j] = ((byte >> 4) | (high << 4)) - 16;
    }
  }
}

/** IQ4_NL to q8_0: the same d, and its 16 numbers fit 8 bits. */
export function convertIQ4_NL(raw: Uint8Array, target: Uint8Array): void {
  for (let at = 0, out = 0; at < raw.length; at += 18, out += 34) {
    target[out] = raw[at] as number;
    target[out + 1] = raw[at + 1] as number;
    for (let j = 0; j < 16; j++) {
      const byte = raw[at + 2 + j] as number;
      target[out + 2 + j] = nonlinearValues[byte & 15] as number;
      target[out + 18 + j] = nonlinearValues[byte >> 4] as number;
    }
  }
}

/**
 * By how many bits the numbers of an MXFP4 block are shifted to make its scale an f16, or undefined where that cannot be. f16 holds 2^-24
 * to 2^15; the numbers, up to 12, may be up to 8 times as large. Numbers that are all zero take any scale.
 */
function shiftOf(raw: Uint8Array, at: number): number | undefined {
  const power = (raw[at] as number) - 128;
  if (power >= -24 && power <= 15) return 0;
  if (power > 15 && power <= 18) return power - 15;
  for (let j = 1; j < 17; j++) if (((raw[at + j] as number) & 0x77) !== 0) return undefined;
  return 0;
}

/** Whether all blocks can be q8_0. */
export function fitsQ8_0(raw: Uint8Array): boolean {
  for (let at = 0; at < raw.length; at += 17) {
    // Scales that f16 holds are the rule; only others are looked at twice.
    const exponent = raw[at] as number;
    if ((exponent < 104 || exponent > 143) && shiftOf(raw, at) === undefined) return false;
  }
  return true;
}

/** MXFP4 to q8_0, for blocks that `fitsQ8_0`. */
export function convertMXFP4(raw: Uint8Array, target: Uint8Array): void {
  for (let at = 0, out = 0; at < raw.length; at += 17, out += 34) {
    const shift = shiftOf(raw, at) ?? 0;
    const half = floatToHalf(microscale(Math.min(143, Math.max(104, raw[at] as number))));
    target[out] = half & 255;
    target[out + 1] = half >> 8;
    for (let j = 0; j < 16; j++) {
      const byte = raw[at + 1 + j] as number;
      target[out + 2 + j] = (microscaledValues[byte & 15] as number) << shift;
      target[out + 18 + j] = (microscaledValues[byte >> 4] as number) << shift;
    }
  }
}

/** Q3_K to q6_K: the same d and runs of 16; scales from -32 to 31 fit 8 bits, and numbers from -4 to 3 fit 6. */
export function convertQ3_K(raw: Uint8Array, target: Uint8Array): void {
  for (let at = 0, out = 0; at < raw.length; at += 110, out += 210) {
    target.fill(0, out, out + 192);
    for (let run = 0; run < 16; run++) {
      target[out + 192 + run] = scaleQ3_K(raw, at + 96, run);
      const { low, lowShift, high, highShift } = place6(run);
      for (let j = 0; j < 16; j++) {
        const q = numberQ3_K(raw, at, run, j) + 32;
        target[out + low + j] = (target[out + low + j] as number) | ((q & 15) << lowShift);
        target[out + high + j] = (target[out + high + j] as number) | ((q >> 4) << highShift);
      }
    }
    target[out + 208] = raw[at + 108] as number;
    target[out + 209] = raw[at + 109] as number;
  }
}
