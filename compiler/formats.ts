/**
 * How the elements of a weight are stored: one by one, or quantised in blocks along the last axis. The block layouts are those
 * of ggml (github.com/ggml-org/ggml, ggml-common.h), bit for bit: a file's bytes can be taken as they are.
 */

/**
 * q8_0: 32 numbers d q, q of 8 bits. q4_0: 32 numbers d (q - 8), q of 4 bits. q4_1: 32 numbers d q + m. q4_K, q5_K: 256 numbers in 8 runs
 * of 32, d s q - dmin m with s and m of 6 bits a run, q of 4 or 5 bits. q6_K: 256 numbers in 16 runs of 16, d s (q - 32), s of 8 bits a run.
 * d, dmin and m are f16.
 */
export type WeightFormat = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1' | 'q4_K' | 'q5_K' | 'q6_K';

interface Block {
  /** Elements of one block. */
  readonly elements: number;
  readonly bytes: number;
}

const blocks: Readonly<Record<WeightFormat, Block>> = {
  f32: { elements: 1, bytes: 4 },
  f16: { elements: 1, bytes: 2 },
  bf16: { elements: 1, bytes: 2 },
  q8_0: { elements: 32, bytes: 34 },
  q4_0: { elements: 32, bytes: 18 },
  q4_1: { elements: 32, bytes: 20 },
  q4_K: { elements: 256, bytes: 144 },
  q5_K: { elements: 256, bytes: 176 },
  q6_K: { elements: 256, bytes: 210 },
};

export const weightFormats = Object.keys(blocks) as readonly WeightFormat[];

export const formatBlock = (format: WeightFormat): Block => blocks[format];

export const isQuantised = (format: WeightFormat): boolean => blocks[format].elements > 1;

/** Bytes of a tensor; its last axis is a whole number of blocks. */
export function formatBytes(format: WeightFormat, shape: readonly number[]): number {
  const { elements, bytes } = blocks[format];
  return (shape.reduce((n, d) => n * d, 1) / elements) * bytes;
}

/** Whether a weight of this shape can be stored so: whole blocks in each row. Vectors stay f32: they are small, and kernels read them element by element. */
export function holds(format: WeightFormat, shape: readonly number[]): boolean {
  return format === 'f32' || (shape.length >= 2 && (shape.at(-1) ?? 0) % blocks[format].elements === 0);
}
