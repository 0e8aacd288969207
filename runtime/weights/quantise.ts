/**
 * f32 rows to ggml's blocks of 32 numbers, with the same bytes as ggml's own reference quantisers (quantize_row_q8_0_ref and its
 * neighbours in ggml-quants.c): all arithmetic is rounded to f32, scales to f16.
 */
import { InternalError } from '../../compiler/diagnostics.ts';
import { formatBlock, formatBytes } from '../../compiler/formats.ts';
import { storedAs, type QuantisedForm } from '../../compiler/quantise-choice.ts';
import { floatToHalf, halfToFloat } from './element.ts';
import { lineFit, quantiseBlockQ4K, type LineFit } from './quantise-k.ts';

const { fround, floor, trunc } = Math;

/** Quantises `values`, whole blocks, into `target` (as many bytes as formatBytes says). */
export function quantise(form: QuantisedForm, values: Float32Array, target: Uint8Array): void {
  const { elements, bytes } = formatBlock(storedAs(form));
  const blocks = values.length / elements;
  if (!Number.isInteger(blocks) || target.length < blocks * bytes) throw new InternalError('quantise', `${values.length} numbers into ${target.length} bytes of ${form}`);
  const block = blockQuantiser(form);
  for (let n = 0; n < blocks; n++) block(values, n * elements, target, n * bytes);
}

/** As `quantise`, into fresh memory. */
export function quantised(form: QuantisedForm, values: Float32Array): Uint8Array {
  const target = new Uint8Array(formatBytes(storedAs(form), [values.length]));
  quantise(form, values, target);
  return target;
}

type BlockQuantiser = (values: Float32Array, from: number, target: Uint8Array, at: number) => void;

function blockQuantiser(form: QuantisedForm): BlockQuantiser {
  switch (form) {
    case 'q8_0': return blockQ80;
    case 'q4_0': return blockQ40;
    case 'q4_1': return blockQ41;
    case 'q4_1_fitted': {
      const fit = lineFit(false);
      return (values, from, target, at) => { blockQ41Fitted(fit, values, from, target, at); };
    }
    case 'q4_K': {
      const fit = lineFit(true);
      return (values, from, target, at) => { quantiseBlockQ4K(fit, values, from, target, at); };
    }
    default: throw form satisfies never;
  }
}

function putHalf(target: Uint8Array, at: number, value: number): void {
  const bits = floatToHalf(value);
  target[at] = bits & 255;
  target[at + 1] = bits >> 8;
}

/** d = max |x| / 127; q = x / d rounded to nearest, halves away from zero. */
function blockQ80(values: Float32Array, from: number, target: Uint8Array, at: number): void {
  let most = 0;
  for (let i = 0; i < 32; i++) {
    const size = Math.abs(values[from + i] as number);
    if (size > most) most = size;
  }
  const d = fround(most / 127);
  const inverse = d === 0 ? 0 : fround(1 / d);
  putHalf(target, at, d);
  for (let i = 0; i < 32; i++) {
    const x = fround((values[from + i] as number) * inverse);
    const size = floor(Math.abs(x) + 0.5);
    target[at + 2 + i] = x < 0 ? -size : size;
  }
}

/** d = (the x of largest size) / -8, so that it becomes 0 or 16 - 1; q = x / d + 8, to nearest. */
function blockQ40(values: Float32Array, from: number, target: Uint8Array, at: number): void {
  let size = 0, extreme = 0;
  for (let i = 0; i < 32; i++) {
    const x = values[from + i] as number;
    if (Math.abs(x) > size) { size = Math.abs(x); extreme = x; }
  }
  const d = fround(extreme / -8);
  const inverse = d === 0 ? 0 : fround(1 / d);
  const code = (i: number): number => Math.min(15, trunc(fround(fround((values[from + i] as number) * inverse) + 8.5)));
  putHalf(target, at, d);
  for (let i = 0; i < 16; i++) target[at + 2 + i] = code(i) | (code(i + 16) << 4);
}

/** d = (max - min) / 15, m = min; q = (x - m) / d, to nearest. */
function blockQ41(values: Float32Array, from: number, target: Uint8Array, at: number): void {
  let least = Infinity, most = -Infinity;
  for (let i = 0; i < 32; i++) {
    const x = values[from + i] as number;
    if (x < least) least = x;
    if (x > most) most = x;
  }
  const d = fround(fround(most - least) / 15);
  putLine(target, at, d, least);
  const inverse = d === 0 ? 0 : fround(1 / d);
  const code = (i: number): number => Math.min(15, trunc(fround(fround(fround((values[from + i] as number) - least) * inverse) + 0.5)));
  for (let i = 0; i < 16; i++) target[at + 4 + i] = code(i) | (code(i + 16) << 4);
}

/** d and m that fit best, then the nearest q for them as they are stored. */
function blockQ41Fitted(fit: LineFit, values: Float32Array, from: number, target: Uint8Array, at: number): void {
  const line = fit(values, from);
  putLine(target, at, line.scale, line.least);
  const d = halfToFloat(floatToHalf(line.scale)), m = halfToFloat(floatToHalf(line.least));
  const code = (i: number): number => (d === 0 ? 0 : Math.min(15, Math.max(0, floor(((values[from + i] as number) - m) / d + 0.5))));
  for (let i = 0; i < 16; i++) target[at + 4 + i] = code(i) | (code(i + 16) << 4);
}

function putLine(target: Uint8Array, at: number, d: number, m: number): void {
  putHalf(target, at, d);
  putHalf(target, at + 2, m);
}
