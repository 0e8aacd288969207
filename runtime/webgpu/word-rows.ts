/**
 * How a row of a quantised weight lies in device memory: a structure of arrays of 32-bit words. First the low 4 bits (all 8 for q8_0)
 * of every element in order, the first in the lowest bits; then the further bits of every element; then the scales. ggml's blocks
 * have their parts 2 bytes apart, which no shader reads well. A row has the same bits as the blocks that it is made of, but for
 * K-quants' scales of 6 bits, which take a byte each.
 */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { WeightFormat } from '../../compiler/formats.ts';

/** Where the parts of a row begin, in words. Parts that a format does not have are empty. */
export interface WordRow {
  /** Bits of each element above the lowest four: 1 for q5_K, 2 for q6_K. */
  readonly high: number;
  /** The scales of runs of 16 or 32 elements. */
  readonly scales: number;
  /** The f16 numbers of blocks of 256. */
  readonly blocks: number;
  /** The whole row. */
  readonly words: number;
}

/** Elements that share a scale. */
export const runOf = (format: WeightFormat): number => (format === 'q6_K' ? 16 : 32);

const row = (low: number, high: number, scales: number, blocks: number): WordRow =>
  ({ high: low, scales: low + high, blocks: low + high + scales, words: low + high + scales + blocks });

/** The parts of a row of `k` elements: whole blocks of the format; an even number of 16-bit ones. */
export function wordRow(format: WeightFormat, k: number): WordRow {
  switch (format) {
    case 'f32': return row(k, 0, 0, 0);
    case 'f16': case 'bf16': return row(k / 2, 0, 0, 0);
    // d of two runs a word.
    case 'q8_0': return row(k / 4, 0, Math.ceil(k / 64), 0);
    case 'q4_0': return row(k / 8, 0, Math.ceil(k / 64), 0);
    // d and m of a run a word.
    case 'q4_1': return row(k / 8, 0, k / 32, 0);
    // s and m of two runs a word; d and dmin of a block a word.
    case 'q4_K': return row(k / 8, 0, k / 64, k / 256);
    case 'q5_K': return row(k / 8, k / 32, k / 64, k / 256);
    // s of four runs a word; d of two blocks a word.
    case 'q6_K': return row(k / 8, k / 16, k / 64, Math.ceil(k / 512));
    default: return format satisfies never;
  }
}

/** The rows of one of the weights of a matrix. */
export interface WordForm {
  readonly format: WeightFormat;
  readonly rows: number;
  /** Of one row. */
  readonly words: number;
  readonly run: number;
}
/** The weights of a matrix, their rows one weight after the other or, of equally tall ones, interleaved. */
export interface WordForms {
  readonly forms: readonly WordForm[];
  readonly interleaved: boolean;
}

export const wordForm = (format: WeightFormat, rows: number, k: number): WordForm => ({ format, rows, words: wordRow(format, k).words, run: runOf(format) });

/** Whether all rows have as many words. */
export const sameForm = ({ forms }: WordForms): boolean => forms.every((f) => f.words === forms[0]?.words);

/** First word of row n of the matrix; of all rows, its words. */
export function formStart({ forms, interleaved }: WordForms, n: number): number {
  if (interleaved) {
    const total = forms.reduce((sum, f) => sum + f.words, 0);
    return Math.floor(n / forms.length) * total + forms.slice(0, n % forms.length).reduce((sum, f) => sum + f.words, 0);
  }
  let start = 0;
  let rest = n;
  for (const { rows, words } of forms) {
    start += Math.min(rest, rows) * words;
    rest -= Math.min(rest, rows);
  }
  return start;
}

/** Writes rows of `k` elements, in the file's form without gaps, as words: row i at `start + i * step` of `target`, which is 0 there. */
export function packWordRows(format: WeightFormat, bytes: Uint8Array, rows: number, k: number, target: Uint32Array, start = 0, step = wordRow(format, k).words): void {
  const stored = bytes.length / rows;
  const parts = wordRow(format, k);
  const pack = packer(format);
  for (let i = 0; i < rows; i++) pack(bytes.subarray(i * stored, (i + 1) * stored), target.subarray(start + i * step, start + i * step + parts.words), k, parts);
}

type Packer = (row: Uint8Array, words: Uint32Array, k: number, parts: WordRow) => void;

function packer(format: WeightFormat): Packer {
  switch (format) {
    case 'f32': case 'f16': case 'bf16': return packPlain;
    case 'q8_0': return packQ8;
    case 'q4_0': case 'q4_1': return (row, words, k, parts) => { packQ4(row, words, k, parts, format === 'q4_1'); };
    case 'q4_K': case 'q5_K': return (row, words, k, parts) => { packQ45K(row, words, k, parts, format === 'q5_K'); };
    case 'q6_K': return packQ6K;
    default: return format satisfies never;
  }
}

const byte = (bytes: Uint8Array, at: number): number => {
  const value = bytes[at];
  if (value === undefined) throw new InternalError('webgpu', 'a row of weights is too short');
  return value;
};
const half = (bytes: Uint8Array, at: number): number => byte(bytes, at) | (byte(bytes, at + 1) << 8);
const word = (bytes: Uint8Array, at: number): number => half(bytes, at) | (half(bytes, at + 2) << 16);

/** Sets the low or the high half of a word that is 0 there. */
function setHalf(words: Uint32Array, at: number, n: number, bits: number): void {
  const place = at + (n >> 1);
  words[place] = ((words[place] ?? 0) | (bits << ((n & 1) * 16))) >>> 0;
}

/** Four bits of each of 8 bytes, from bit `shift` of each on, in one word. */
function nibbles(bytes: Uint8Array, at: number, shift: number): number {
  const four = (from: number): number => {
    const lone = (word(bytes, from) >>> shift) & 0x0f0f0f0f;
    const paired = (lone | (lone >>> 4)) & 0x00ff00ff;
    return (paired | (paired >>> 8)) & 0xffff;
  };
  return (four(at) | (four(at + 4) << 16)) >>> 0;
}

/** One or two bits of each of as many bytes as a word takes, from bit `shift` of each on. */
function bits(bytes: Uint8Array, at: number, shift: number, each: 1 | 2): number {
  let result = 0;
  for (let n = 0; n < 32 / each; n += 4) {
    const lone = (word(bytes, at + n) >>> shift) & (each === 1 ? 0x01010101 : 0x03030303);
    // Byte b's bits move from 8 b to each * b.
    const by = 8 - each;
    const four = (lone | (lone >>> by) | (lone >>> (2 * by)) | (lone >>> (3 * by))) & (each === 1 ? 15 : 255);
    result |= four << (n * each);
  }
  return result >>> 0;
}

function packPlain(row: Uint8Array, words: Uint32Array): void {
  for (let n = 0; n < words.length; n++) words[n] = word(row, n * 4) >>> 0;
}

function packQ8(row: Uint8Array, words: Uint32Array, k: number, { scales }: WordRow): void {
  for (let b = 0; b < k / 32; b++) {
    const at = b * 34;
    setHalf(words, scales, b, half(row, at));
    for (let n = 0; n < 8; n++) words[b * 8 + n] = word(row, at + 2 + n * 4) >>> 0;
  }
}

function packQ4(row: Uint8Array, words: Uint32Array, k: number, { scales }: WordRow, min: boolean): void {
  for (let b = 0; b < k / 32; b++) {
    const at = b * (min ? 20 : 18);
    if (min) words[scales + b] = word(row, at) >>> 0;
    else setHalf(words, scales, b, half(row, at));
    // Element j of the first 16 is in the low half of byte j, element j + 16 in its high half.
    for (let n = 0; n < 4; n++) words[b * 4 + n] = nibbles(row, at + (min ? 4 : 2) + (n & 1) * 8, n < 2 ? 0 : 4);
  }
}

function packQ45K(row: Uint8Array, words: Uint32Array, k: number, { high, scales, blocks }: WordRow, five: boolean): void {
  for (let b = 0; b < k / 256; b++) {
    const at = b * (five ? 176 : 144);
    words[blocks + b] = word(row, at) >>> 0;
    // Scale and minimum of run r, 6 bits each: those of runs 4 to 7 have their two high bits with those of runs 0 to 3.
    const s = (n: number): number => byte(row, at + 4 + n);
    for (let r = 0; r < 8; r++) {
      const scale = r < 4 ? s(r) & 63 : (s(r + 4) & 15) | ((s(r - 4) >> 6) << 4);
      const min = r < 4 ? s(r + 4) & 63 : (s(r + 4) >> 4) | ((s(r) >> 6) << 4);
      setHalf(words, scales + b * 4, r, scale | (min << 8));
    }
    // Runs 2 i and 2 i + 1 are the low and the high halves of 32 bytes.
    const low = at + (five ? 48 : 16);
    for (let n = 0; n < 32; n++) words[b * 32 + n] = nibbles(row, low + (n >> 3) * 32 + (n & 3) * 8, n & 4);
    if (five) for (let r = 0; r < 8; r++) words[high + b * 8 + r] = bits(row, at + 16, r, 1);
  }
}

function packQ6K(row: Uint8Array, words: Uint32Array, k: number, { high, scales, blocks }: WordRow): void {
  for (let b = 0; b < k / 256; b++) {
    const at = b * 210;
    // Each half of the block, 128 elements: quarters 0 and 1 are the low halves of 64 bytes, 2 and 3 the high ones; the two bits above are in 32 other bytes.
    for (let n = 0; n < 32; n++) {
      const [part, quarter, eighth] = [n >> 4, (n >> 2) & 3, n & 3];
      words[b * 32 + n] = nibbles(row, at + part * 64 + (quarter & 1) * 32 + eighth * 8, quarter < 2 ? 0 : 4);
    }
    for (let n = 0; n < 16; n++) words[high + b * 16 + n] = bits(row, at + 128 + (n >> 3) * 32 + (n & 1) * 16, ((n >> 1) & 3) * 2, 2);
    for (let n = 0; n < 4; n++) words[scales + b * 4 + n] = word(row, at + 192 + n * 4) >>> 0;
    setHalf(words, blocks, b, half(row, at + 208));
  }
}
