/** Element types of weights files and their conversion to f32. */

const bytesOf = {
  F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1, F8_E4M3: 1, F8_E5M2: 1,
} as const;

export type ElementType = keyof typeof bytesOf;

export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(bytesOf, name);
}
export function elementBytes(type: ElementType): number {
  return bytesOf[type];
}

/** IEEE 754 binary16 to a number: sign, 5 bits of exponent (bias 15), 10 of fraction. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A number to binary16, rounding to nearest, ties to even. */
export function floatToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  // Below 2^-14 the step is 2^-24; above, 2^(exponent - 10).
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -30)));
  const scaled = size / 2 ** (exponent - 10);
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const units = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
  return sign | (units + ((exponent + 14) << 10));
}

/**
 * Turns `count` elements that stand as raw bytes at the END of `target`'s buffer range into f32 in place, first to last.
 * Types of at most 4 bytes only: element i is read from byte (4 - size) * count + size * i before bytes up to 4 i + 3 are written.
 */
export function widenInPlace(dtype: ElementType, target: Float32Array): void {
  const count = target.length;
  const start = target.byteOffset + (4 - elementBytes(dtype)) * count;
  switch (dtype) {
    case 'F32': return;
    case 'BF16': {
      const raw = new Uint16Array(target.buffer, start, count);
      const bits = new Uint32Array(target.buffer, target.byteOffset, count);
      for (let i = 0; i < count; i++) bits[i] = (raw[i] ?? 0) << 16;
      return;
    }
    case 'F16': {
      const table = halfTable();
      const raw = new Uint16Array(target.buffer, start, count);
      const bits = new Uint32Array(target.buffer, target.byteOffset, count);
      for (let i = 0; i < count; i++) {
        const half = raw[i] ?? 0;
        bits[i] = ((table.mantissa[(table.offset[half >> 10] ?? 0) + (half & 1023)] ?? 0) + (table.exponent[half >> 10] ?? 0)) >>> 0;
      }
      return;
    }
    case 'I32': { const raw = new Int32Array(target.buffer, start, count); for (let i = 0; i < count; i++) target[i] = raw[i] ?? 0; return; }
    case 'U32': { const raw = new Uint32Array(target.buffer, start, count); for (let i = 0; i < count; i++) target[i] = raw[i] ?? 0; return; }
    case 'I16': { const raw = new Int16Array(target.buffer, start, count); for (let i = 0; i < count; i++) target[i] = raw[i] ?? 0; return; }
    case 'U16': { const raw = new Uint16Array(target.buffer, start, count); for (let i = 0; i < count; i++) target[i] = raw[i] ?? 0; return; }
    case 'I8': { const raw = new Int8Array(target.buffer, start, count); for (let i = 0; i < count; i++) target[i] = raw[i] ?? 0; return; }
    case 'U8': case 'BOOL': { const raw = new Uint8Array(target.buffer, start, count); for (let i = 0; i < count; i++) target[i] = raw[i] ?? 0; return; }
    case 'F8_E4M3': case 'F8_E5M2': case 'F64': case 'I64': case 'U64': throw new RangeError(`${dtype} does not widen in place`);
    default: dtype satisfies never;
  }
}

/** Elements of 8 bytes to f32: the bytes do not fit in the destination, so they come in their own buffer. */
export function narrow(type: 'F64' | 'I64' | 'U64', raw: ArrayBuffer, target: Float32Array): void {
  if (type === 'F64') { target.set(new Float64Array(raw)); return; }
  const source = type === 'I64' ? new BigInt64Array(raw) : new BigUint64Array(raw);
  for (let i = 0; i < target.length; i++) target[i] = Number(source[i] ?? 0n);
}

interface HalfTable { mantissa: Uint32Array; offset: Uint16Array; exponent: Uint32Array }

/** Jeroen van der Zijp's tables (Fast Half Float Conversions, 2008): f32 bits = mantissa[offset[h >> 10] + (h & 1023)] + exponent[h >> 10]. */
function halfTable(): HalfTable {
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  const mantissa = new Uint32Array(2048);
  for (let i = 0; i < 1024; i++) {
    float[0] = halfToFloat(i); // Subnormal halves are normal floats.
    mantissa[i] = bits[0] ?? 0;
    mantissa[1024 + i] = 0x38000000 + (i << 13);
  }
  const offset = new Uint16Array(64).fill(1024);
  offset[0] = offset[32] = 0;
  const exponent = new Uint32Array(64);
  for (let i = 1; i < 31; i++) { exponent[i] = i << 23; exponent[32 + i] = 0x80000000 + (i << 23); }
  exponent[31] = 0x47800000; exponent[32] = 0x80000000; exponent[63] = 0xc7800000;
  return { mantissa, offset, exponent };
}
