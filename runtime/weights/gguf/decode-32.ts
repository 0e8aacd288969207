/**
 * Blocks of 32 quantised numbers to f32, as ggml does (ggml-quants.c, dequantize_row_*): each product of scale and number is exact in
 * f32, so that only adding a minimum rounds. `halves` is the value of each binary16.
 */

/** IQ4_NL's numbers. */
export const nonlinearValues = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
/** MXFP4's numbers (e2m1), doubled. */
export const microscaledValues = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

const u16 = (raw: Uint8Array, at: number): number => (raw[at] as number) | ((raw[at + 1] as number) << 8);
const u32 = (raw: Uint8Array, at: number): number => u16(raw, at) | (u16(raw, at + 2) << 16);

/** 2^(exponent - 128): half of what an e8m0 exponent stands for, since the numbers are doubled. */
export const microscale = (exponent: number): number => 2 ** (exponent - 128);

/** d (q - 8). */
export function decodeQ4_0(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 18, out += 32) {
    const d = halves[u16(raw, at)] as number;
    for (let j = 0; j < 16; j++) {
      const byte = raw[at + 2 + j] as number;
      target[out + j] = d * ((byte & 15) - 8);
      target[out + 16 + j] = d * ((byte >> 4) - 8);
    }
  }
}

/** d q + m. */
export function decodeQ4_1(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 20, out += 32) {
    const d = halves[u16(raw, at)] as number;
    const m = halves[u16(raw, at + 2)] as number;
    for (let j = 0; j < 16; j++) {
      const byte = raw[at + 4 + j] as number;
      target[out + j] = d * (byte & 15) + m;
      target[out + 16 + j] = d * (byte >> 4) + m;
    }
  }
}

/** d (q - 16), the fifth bits apart. */
export function decodeQ5_0(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 22, out += 32) {
    const d = halves[u16(raw, at)] as number;
    const high = u32(raw, at + 2);
    for (let j = 0; j < 16; j++) {
      const byte = raw[at + 6 + j] as number;
      target[out + j] = d * (((byte & 15) | (((high >>> j) & 1) << 4)) - 16);
      target[out + 16 + j] = d * (((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** d q + m, the fifth bits apart. */
export function decodeQ5_1(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 24, out += 32) {
    const d = halves[u16(raw, at)] as number;
    const m = halves[u16(raw, at + 2)] as number;
    const high = u32(raw, at + 4);
    for (let j = 0; j < 16; j++) {
      const byte = raw[at + 8 + j] as number;
      target[out + j] = d * ((byte & 15) | (((high >>> j) & 1) << 4)) + m;
      target[out + 16 + j] = d * ((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** d q. */
export function decodeQ8_0(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 34, out += 32) {
    const d = halves[u16(raw, at)] as number;
    for (let j = 0; j < 32; j++) target[out + j] = d * (((raw[at + 2 + j] as number) << 24) >> 24);
  }
}

/** d times one of 16 numbers. */
export function decodeIQ4_NL(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 18, out += 32) decodeTable(raw, at + 2, target, out, halves[u16(raw, at)] as number, nonlinearValues);
}

/** A power of two times one of 16 numbers. */
export function decodeMXFP4(raw: Uint8Array, target: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 17, out += 32) decodeTable(raw, at + 1, target, out, microscale(raw[at] as number), microscaledValues);
}

function decodeTable(raw: Uint8Array, at: number, target: Float32Array, out: number, d: number, values: Int8Array): void {
  for (let j = 0; j < 16; j++) {
    const byte = raw[at + j] as number;
    target[out + j] = d * (values[byte & 15] as number);
    target[out + 16 + j] = d * (values[byte >> 4] as number);
  }
}
