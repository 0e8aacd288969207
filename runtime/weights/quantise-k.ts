/**
 * f32 rows to q4_K: runs of 32 numbers, each on a line of 16 steps whose slope and offset are 6-bit multiples of two f16 numbers of the block.
 * The line of a run is searched for: for several trial step widths, the numbers are assigned to steps and the line through the
 * assigned steps is fitted by weighted least squares; the one of least error stays. The weights are ggml's: rms of the run + |x|, so
 * that large numbers count more.
 */
import { floatToHalf, halfToFloat } from './element.ts';

/** x is about scale * step + least. */
export interface Line { readonly scale: number; readonly least: number }

const runs = 8;
const runLength = 32;
const steps = 15;

/** Trial widths: the run's range is divided into `steps` + trial steps. */
const trials: readonly number[] = [0, ...Array.from({ length: 21 }, (_, n) => -1 + 0.1 * n)];

/** Finds the best line for runs of 32 numbers with steps 0..15. */
export type LineFit = (values: Float32Array, from: number) => Line;

/** `belowZero`: a line's least value must not be above zero, as K formats store it. */
export function lineFit(belowZero: boolean): LineFit {
  // The run's numbers, their weights, and the products, for the trials to read.
  const xs = new Float64Array(runLength), ws = new Float64Array(runLength), wxs = new Float64Array(runLength);
  return (values, from) => {
    let least = values[from] as number, most = least, squares = 0;
    for (let i = 0; i < runLength; i++) {
      const x = values[from + i] as number;
      xs[i] = x;
      if (x < least) least = x;
      if (x > most) most = x;
      squares += x * x;
    }
    if (belowZero && least > 0) least = 0;
    if (most <= least) return { scale: 0, least };
    const rms = Math.sqrt(squares / runLength);
    let sumW = 0, sumX = 0, sumXX = 0;
    for (let i = 0; i < runLength; i++) {
      const x = xs[i] as number, w = rms + Math.abs(x);
      ws[i] = w;
      wxs[i] = w * x;
      sumW += w;
      sumX += w * x;
      sumXX += w * x * x;
    }
    let best: Line = { scale: (most - least) / steps, least };
    let bestError = Infinity;
    for (const trial of trials) {
      // Steps are counted from the best line's offset so far.
      const start = best.least;
      const inverse = (steps + trial) / (most - start);
      let sumL = 0, sumLL = 0, sumXL = 0;
      for (let i = 0; i < runLength; i++) {
        const nearest = (inverse * ((xs[i] as number) - start) + 0.5) | 0;
        const l = nearest < 0 ? 0 : nearest > steps ? steps : nearest;
        const wl = (ws[i] as number) * l;
        sumL += wl;
        sumLL += wl * l;
        sumXL += (wxs[i] as number) * l;
      }
      const determinant = sumW * sumLL - sumL * sumL;
      if (determinant <= 0) continue;
      let scale = (sumW * sumXL - sumX * sumL) / determinant;
      let offset = (sumLL * sumX - sumL * sumXL) / determinant;
      if (belowZero && offset > 0) { offset = 0; scale = sumXL / sumLL; }
      const error = sumXX - 2 * (scale * sumXL + offset * sumX) + scale * scale * sumLL + 2 * scale * offset * sumL + offset * offset * sumW;
      if (error < bestError) { bestError = error; best = { scale, least: offset }; }
    }
    return best;
  };
}

/** One block of 256 numbers: d and dmin, 12 bytes with the runs' 6-bit multiples of them, 128 bytes of steps. */
export function quantiseBlockQ4K(fit: LineFit, values: Float32Array, from: number, target: Uint8Array, at: number): void {
  const lines = Array.from({ length: runs }, (_, r) => fit(values, from + r * runLength));
  const maxScale = Math.max(0, ...lines.map((l) => l.scale));
  const maxDepth = Math.max(0, ...lines.map((l) => -l.least));
  const view = new DataView(target.buffer, target.byteOffset + at, 144);
  const d = floatToHalf(Math.fround(maxScale / 63)), dmin = floatToHalf(Math.fround(maxDepth / 63));
  view.setUint16(0, d, true);
  view.setUint16(2, dmin, true);
  const sixBits = (x: number, most: number): number => (most > 0 ? Math.max(0, Math.min(63, Math.round((x / most) * 63))) : 0);
  const scales = lines.map((l) => sixBits(l.scale, maxScale));
  const depths = lines.map((l) => sixBits(-l.least, maxDepth));
  packSixBits(scales, depths, target, at + 4);
  for (let pair = 0; pair < runs / 2; pair++) {
    for (let i = 0; i < runLength; i++) target[at + 16 + pair * runLength + i] = 0;
    for (const half of [0, 1]) {
      const r = 2 * pair + half;
      const scale = halfToFloat(d) * (scales[r] ?? 0), depth = halfToFloat(dmin) * (depths[r] ?? 0);
      if (scale === 0) continue;
      for (let i = 0; i < runLength; i++) {
        const x = values[from + r * runLength + i] as number;
        const step = Math.max(0, Math.min(steps, Math.round((x + depth) / scale)));
        target[at + 16 + pair * runLength + i] = (target[at + 16 + pair * runLength + i] as number) | (step << (4 * half));
      }
    }
  }
}

/** Runs 0..3 have their 6 bits in bytes 0..3 (scales) and 4..7 (depths); runs 4..7 have 4 bits each in bytes 8..11, the rest above the former. */
function packSixBits(scales: readonly number[], depths: readonly number[], target: Uint8Array, at: number): void {
  for (let r = 0; r < 4; r++) {
    const scale = scales[r + 4] ?? 0, depth = depths[r + 4] ?? 0;
    target[at + r] = (scales[r] ?? 0) | ((scale >> 4) << 6);
    target[at + 4 + r] = (depths[r] ?? 0) | ((depth >> 4) << 6);
    target[at + 8 + r] = (scale & 15) | ((depth & 15) << 4);
  }
}
