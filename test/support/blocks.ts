/** Random weights as ggml's blocks, and the numbers that blocks stand for, element by element as their definition says. */
import { formatBlock, type WeightFormat } from '../../compiler/formats.ts';
import { floatToHalf, halfToFloat } from '../../runtime/weights/element.ts';

/** Where a block's f16 numbers are, in bytes from its start; the first is d, the second m or dmin. */
const halves: Partial<Record<WeightFormat, readonly number[]>> = { q8_0: [0], q4_0: [0], q4_1: [0, 2], q4_K: [0, 2], q5_K: [0, 2], q6_K: [208] };

/** `count` elements of a format in random blocks that use all of its bits; the numbers are of about `size` and of both signs. */
export function randomBlocks(format: WeightFormat, count: number, random: () => number, size = 1): Uint8Array {
  const { elements, bytes } = formatBlock(format);
  const data = new Uint8Array((count / elements) * bytes);
  const view = new DataView(data.buffer);
  if (format === 'f32') for (let i = 0; i < count; i++) view.setFloat32(i * 4, (random() * 2 - 1) * size, true);
  else if (format === 'f16') for (let i = 0; i < count; i++) view.setUint16(i * 2, floatToHalf((random() * 2 - 1) * size), true);
  else if (format === 'bf16') for (let i = 0; i < count; i++) view.setUint16(i * 2, bfloat((random() * 2 - 1) * size), true);
  else {
    for (let i = 0; i < data.length; i++) data[i] = Math.floor(random() * 256);
    const whole = { q8_0: 128, q4_0: 8, q4_1: 8, q4_K: 63 * 8, q5_K: 63 * 16, q6_K: 128 * 32 }[format];
    for (let at = 0; at < data.length; at += bytes) {
      const d = ((0.1 + random()) * size * (random() < 0.2 ? -1 : 1)) / whole;
      const [first = 0, second] = halves[format] ?? [];
      view.setUint16(at + first, floatToHalf(d), true);
      // Minima that make about half of the numbers negative.
      if (second !== undefined) view.setUint16(at + second, floatToHalf(format === 'q4_1' ? -7.5 * d : d * (format === 'q4_K' ? 7.5 : 15.5)), true);
    }
  }
  return data;
}

function bfloat(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
  return bits >>> 16;
}

/** The numbers of whole blocks, rounded to f32 where a block's own arithmetic gives more. */
export function blockValues(format: WeightFormat, data: Uint8Array): Float32Array {
  const { elements, bytes } = formatBlock(format);
  const count = (data.length / bytes) * elements;
  const value = valueOf[format];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return Float32Array.from({ length: count }, (_, i) => value(view, Math.floor(i / elements) * bytes, i % elements));
}

type ValueOf = (view: DataView, block: number, element: number) => number;
const half = (view: DataView, at: number): number => halfToFloat(view.getUint16(at, true));
/** Number n of a run of half bytes in which byte j has element j and, in its high half, element j + `apart`. */
export const nibble = (view: DataView, at: number, n: number, apart: number): number =>
  (view.getUint8(at + Math.floor(n / (2 * apart)) * apart + (n % apart)) >> (n % (2 * apart) < apart ? 0 : 4)) & 15;

const valueOf: Record<WeightFormat, ValueOf> = {
  f32: (view, at) => view.getFloat32(at, true),
  f16: half,
  bf16: (view, at) => new Float32Array(Uint32Array.of(view.getUint16(at, true) << 16).buffer)[0] ?? NaN,
  q8_0: (view, at, n) => half(view, at) * view.getInt8(at + 2 + n),
  q4_0: (view, at, n) => half(view, at) * (nibble(view, at + 2, n, 16) - 8),
  q4_1: (view, at, n) => half(view, at) * nibble(view, at + 4, n, 16) + half(view, at + 2),
  q4_K: (view, at, n) => kValue(view, at, n, nibble(view, at + 16, n, 32)),
  q5_K: (view, at, n) => kValue(view, at, n, nibble(view, at + 48, n, 32) + 16 * ((view.getUint8(at + 16 + (n % 32)) >> Math.floor(n / 32)) & 1)),
  q6_K: (view, at, n) => {
    const [part, rest] = [Math.floor(n / 128), n % 128];
    const low = (view.getUint8(at + part * 64 + (rest % 64)) >> (rest < 64 ? 0 : 4)) & 15;
    const high = (view.getUint8(at + 128 + part * 32 + (rest % 32)) >> (2 * Math.floor(rest / 32))) & 3;
    return half(view, at + 208) * view.getInt8(at + 192 + Math.floor(n / 16)) * (low + 16 * high - 32);
  },
};

function kValue(view: DataView, at: number, n: number, q: number): number {
  const run = Math.floor(n / 32);
  const s = (i: number): number => view.getUint8(at + 4 + i);
  const scale = run < 4 ? s(run) & 63 : (s(run + 4) & 15) + 16 * (s(run - 4) >> 6);
  const min = run < 4 ? s(run + 4) & 63 : (s(run + 4) >> 4) + 16 * (s(run) >> 6);
  return half(view, at) * scale * q - half(view, at + 2) * min;
}
