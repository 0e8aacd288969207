/**
 * Blocks of 256 quantised numbers ("K-quants") to f32, as ggml does (ggml-quants.c, dequantize_row_*): runs of 16 or 32 numbers have
 * scales that are whole numbers times the block's. All products are exact in f32, so that only subtracting a minimum rounds.
 */
import { nonlinearValues } from './decode-32.ts';

const u16 = (raw: Uint8Array, at: number): number => (raw[at] as number) | ((raw[at + 1] as number) << 8);
const i8 = (byte: number): number => (byte << 24) >> 24;

/** d s q - dmin m: 16 runs of 16, s and m of 4 bits, q of 2. */
export function decodeQ2_K(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 84, out += 256) {
    const d = halves[u16(raw, at + 80)] as number;
    const dmin = halves[u16(raw, at + 82)] as number;
    for (let run = 0; run < 16; run++) {
      const scales = raw[at + run] as number;
      const scale = d * (scales & 15);
      const min = dmin * (scales >> 4);
      const { first, shift } = place2(run);
      for (let j = 0; j < 16; j++) target[out + run * 16 + j] = scale * (((raw[at + 16 + first + j] as number) >> shift) & 3) - min;
    }
  }
}

/** Where the 2 low bits of a run of 16 are: in 16 bytes from `first`, `shift` bits up. */
function place2(run: number): { first: number; shift: number } {
  return { first: (run >> 3) * 32 + (run & 1) * 16, shift: (run & 6) };
}

/** Scale of run `run` of a Q3_K block whose 12 bytes of scales begin at `at`: from -32 to 31. */
export function scaleQ3_K(raw: Uint8Array, at: number, run: number): number {
  const low = run < 8 ? (raw[at + run] as number) & 15 : (raw[at + run - 8] as number) >> 4;
  const high = ((raw[at + 8 + (run & 3)] as number) >> (2 * (run >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

/** Number `j` of run `run` of the Q3_K block at `at`: from -4 to 3. */
export function numberQ3_K(raw: Uint8Array, at: number, run: number, j: number): number {
  const first = (run >> 3) * 32 + (run & 1) * 16;
  const low = ((raw[at + 32 + first + j] as number) >> (run & 6)) & 3;
  const high = ((raw[at + (run & 1) * 16 + j] as number) >> (run >> 1)) & 1;
  return low - 4 + 4 * high;
}

/** d s q: 16 runs of 16, s of 6 bits, q of 3: the high bits come first, then the low ones, the scales and d. */
export function decodeQ3_K(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 110, out += 256) {
    const d = halves[u16(raw, at + 108)] as number;
    for (let run = 0; run < 16; run++) {
      const scale = d * scaleQ3_K(raw, at + 96, run);
      for (let j = 0; j < 16; j++) target[out + run * 16 + j] = scale * numberQ3_K(raw, at, run, j);
    }
  }
}

/** Of 12 bytes from `at`, 8 scales and 8 minima of 6 bits each: the scale of run `run`, and 256 times its minimum. */
export function scaleAndMin(raw: Uint8Array, at: number, run: number): number {
  if (run < 4) return ((raw[at + run] as number) & 63) | (((raw[at + run + 4] as number) & 63) << 8);
  const low = raw[at + run + 4] as number;
  return (low & 15) | (((raw[at + run - 4] as number) >> 6) << 4) | (((low >> 4) | (((raw[at + run] as number) >> 6) << 4)) << 8);
}

/** d s q - dmin m: 8 runs of 32, s and m of 6 bits, q of 4. */
export function decodeQ4_K(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 144, out += 256) {
    const d = halves[u16(raw, at)] as number;
    const dmin = halves[u16(raw, at + 2)] as number;
    for (let run = 0; run < 8; run++) {
      const both = scaleAndMin(raw, at + 4, run);
      const scale = d * (both & 63);
      const min = dmin * (both >> 8);
      const first = at + 16 + (run >> 1) * 32;
      const shift = (run & 1) * 4;
      for (let j = 0; j < 32; j++) target[out + run * 32 + j] = scale * (((raw[first + j] as number) >> shift) & 15) - min;
    }
  }
}

/** d s q - dmin m: 8 runs of 32, s and m of 6 bits, q of 5, whose high bits stand apart. */
export function decodeQ5_K(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 176, out += 256) {
    const d = halves[u16(raw, at)] as number;
    const dmin = halves[u16(raw, at + 2)] as number;
    for (let run = 0; run < 8; run++) {
      const both = scaleAndMin(raw, at + 4, run);
      const scale = d * (both & 63);
      const min = dmin * (both >> 8);
      const first = at + 48 + (run >> 1) * 32;
      const shift = (run & 1) * 4;
      for (let j = 0; j < 32; j++) {
        const high = ((raw[at + 16 + j] as number) >> run) & 1;
        target[out + run * 32 + j] = scale * ((((raw[first + j] as number) >> shift) & 15) | (high << 4)) - min;
      }
    }
  }
}

/** d s (q - 32): 16 runs of 16, s of 8 bits, q of 6: four low bits, then two high ones. */
export function decodeQ6_K(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 210, out += 256) {
    const d = halves[u16(raw, at + 208)] as number;
    for (let run = 0; run < 16; run++) {
      const scale = d * i8(raw[at + 192 + run] as number);
      const { low, lowShift, high, highShift } = place6(run);
      for (let j = 0; j < 16; j++) {
        const q = (((raw[at + low + j] as number) >> lowShift) & 15) | ((((raw[at + high + j] as number) >> highShift) & 3) << 4);
        target[out + run * 16 + j] = scale * (q - 32);
      }
    }
  }
}

/** Where the bits of a run of 16 numbers are in a Q6_K block: first bytes and shifts of the low four and the high two. */
export function place6(run: number): { low: number; lowShift: number; high: number; highShift: number } {
  const half = run >> 3;
  const column = run & 7;
  return {
    low: half * 64 + (column & 3) * 16, lowShift: (column >> 2) * 4,
    high: 128 + half * 32 + (column & 1) * 16, highShift: column & 6,
  };
}

/** d s times one of 16 numbers: 8 runs of 32, s of 6 bits, of which the high two stand apart. */
export function decodeIQ4_XS(raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  for (let at = 0, out = 0; out < target.length; at += 136, out += 256) {
    const d = halves[u16(raw, at)] as number;
    const high = u16(raw, at + 2);
    for (let run = 0; run < 8; run++) {
      const low = ((raw[at + 4 + (run >> 1)] as number) >> ((run & 1) * 4)) & 15;
      const scale = d * ((low | (((high >> (2 * run)) & 3) << 4)) - 32);
      for (let j = 0; j < 16; j++) {
        const byte = raw[at + 8 + run * 16 + j] as number;
        target[out + run * 32 + j] = scale * (nonlinearValues[byte & 15] as number);
        target[out + run * 32 + 16 + j] = scale * (nonlinearValues[byte >> 4] as number);
      }
    }
  }
}
