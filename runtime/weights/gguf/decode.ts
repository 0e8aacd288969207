/** Tensor data of a GGUF file to f32. */
import { narrow, widenInPlace, type ElementType } from '../element.ts';
import { decodeIQ4_NL, decodeMXFP4, decodeQ4_0, decodeQ4_1, decodeQ5_0, decodeQ5_1, decodeQ8_0 } from './decode-32.ts';
import { decodeIQ4_XS, decodeQ2_K, decodeQ3_K, decodeQ4_K, decodeQ5_K, decodeQ6_K } from './decode-256.ts';
import { decodeTQ1_0, decodeTQ2_0 } from './ternary.ts';
import { ggmlBlock, type GgmlType } from './types.ts';

/** The value of each binary16, which decoding looks up. */
export function halfValues(): Float32Array {
  const values = new Float32Array(65536);
  const bits = new Uint16Array(values.buffer, 2 * values.length);
  for (let i = 0; i < bits.length; i++) bits[i] = i;
  widenInPlace('F16', values);
  return values;
}

/** Types without blocks, whose elements stand one by one. */
export function plainType(type: GgmlType): ElementType | undefined {
  switch (type) {
    case 'F32': case 'F16': case 'BF16': case 'F64': case 'I8': case 'I16': case 'I32': case 'I64': return type;
    default: return undefined;
  }
}

/** `raw`, whole blocks, to as many elements as `target` has. `halves` is what `halfValues` gives; types without f16 scales do without. */
export function decode(type: GgmlType, raw: Uint8Array, target: Float32Array, halves: Float32Array): void {
  switch (type) {
    case 'F32': case 'F16': case 'BF16': case 'I8': case 'I16': case 'I32': {
      const bytes = target.length * ggmlBlock(type).bytes;
      new Uint8Array(target.buffer, target.byteOffset + target.byteLength - bytes, bytes).set(raw.subarray(0, bytes));
      widenInPlace(type, target);
      return;
    }
    case 'F64': case 'I64': narrow(type, raw.slice().buffer, target); return;
    case 'Q4_0': decodeQ4_0(raw, target, halves); return;
    case 'Q4_1': decodeQ4_1(raw, target, halves); return;
    case 'Q5_0': decodeQ5_0(raw, target, halves); return;
    case 'Q5_1': decodeQ5_1(raw, target, halves); return;
    case 'Q8_0': decodeQ8_0(raw, target, halves); return;
    case 'Q2_K': decodeQ2_K(raw, target, halves); return;
    case 'Q3_K': decodeQ3_K(raw, target, halves); return;
    case 'Q4_K': decodeQ4_K(raw, target, halves); return;
    case 'Q5_K': decodeQ5_K(raw, target, halves); return;
    case 'Q6_K': decodeQ6_K(raw, target, halves); return;
    case 'IQ4_NL': decodeIQ4_NL(raw, target, halves); return;
    case 'IQ4_XS': decodeIQ4_XS(raw, target, halves); return;
    case 'TQ1_0': decodeTQ1_0(raw, target, halves); return;
    case 'TQ2_0': decodeTQ2_0(raw, target, halves); return;
    case 'MXFP4': decodeMXFP4(raw, target); return;
    default: throw type satisfies never;
  }
}
