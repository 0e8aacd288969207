/**
 * A GGUF file of made-up weights in the shape of a LLaMA, for timing: every product takes the time that it takes with trained weights.
 *
 *   node random-model.mjs 135m|1.1b f32|q8_0|q4_0|q4_K FILE
 *
 * Numbers are normal with deviation 0.7 / sqrt(columns), none of them denormal. Blocks are drawn from a pool, so that quantising takes no time;
 * each row is another draw, so that no two logits are alike.
 */
import { renameSync } from 'node:fs';
import { formatBlock, formatBytes, type WeightFormat } from '../compiler/formats.ts';
import { storedAs, type QuantisedForm } from '../compiler/quantise-choice.ts';
import { quantised } from '../runtime/weights/quantise.ts';
import { writeGguf, type GgufTensorSpec, type GgufValue } from './gguf-writer.ts';

export interface LlamaShape {
  readonly vocab: number; readonly dim: number; readonly layers: number; readonly heads: number; readonly kvHeads: number; readonly hidden: number;
  readonly tied: boolean; readonly theta: number;
}

/** SmolLM2-135M's, TinyLlama-1.1B's and Llama-3-70B's. */
export const llamaShapes: Readonly<Record<string, LlamaShape>> = {
  '135m': { vocab: 49152, dim: 576, layers: 30, heads: 9, kvHeads: 3, hidden: 1536, tied: true, theta: 100000 },
  '1.1b': { vocab: 32000, dim: 2048, layers: 22, heads: 32, kvHeads: 4, hidden: 5632, tied: false, theta: 10000 },
  '70b': { vocab: 128256, dim: 8192, layers: 80, heads: 64, kvHeads: 8, hidden: 28672, tied: false, theta: 500000 },
};
export const benchFormats = ['f32', 'q8_0', 'q4_0', 'q4_K'] as const;
export type BenchFormat = (typeof benchFormats)[number];

/** Rows that hold no 256 numbers take q4_1 in a q4_K file, as `--quantize` does. */
function formOf(format: BenchFormat, columns: number): QuantisedForm | undefined {
  if (format === 'f32') return undefined;
  return format === 'q4_K' && columns % 256 !== 0 ? 'q4_1_fitted' : format;
}

function tensorsOf(s: LlamaShape, format: BenchFormat): GgufTensorSpec[] {
  const kv = (s.dim / s.heads) * s.kvHeads;
  const matrix = (name: string, rows: number, columns: number): GgufTensorSpec => {
    const form = formOf(format, columns);
    return { name: `${name}.weight`, shape: [rows, columns], format: form ? storedAs(form) : 'f32' };
  };
  const norm = (name: string): GgufTensorSpec => ({ name: `${name}.weight`, shape: [s.dim], format: 'f32' });
  return [
    matrix('token_embd', s.vocab, s.dim), norm('output_norm'), ...(s.tied ? [] : [matrix('output', s.vocab, s.dim)]),
    ...Array.from({ length: s.layers }, (_, i) => `blk.${i}.`).flatMap((p) => [
      norm(`${p}attn_norm`), matrix(`${p}attn_q`, s.dim, s.dim), matrix(`${p}attn_k`, kv, s.dim), matrix(`${p}attn_v`, kv, s.dim), matrix(`${p}attn_output`, s.dim, s.dim),
      norm(`${p}ffn_norm`), matrix(`${p}ffn_gate`, s.hidden, s.dim), matrix(`${p}ffn_up`, s.hidden, s.dim), matrix(`${p}ffn_down`, s.dim, s.hidden),
    ]),
  ];
}

/** The 256 characters of byte-level BPE, then names. */
function vocabulary(size: number): string[] {
  const printable = (b: number): boolean => (b >= 33 && b < 127) || (b >= 161 && b < 173) || b >= 174;
  let other = 256;
  const bytes = Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : other++));
  return [...bytes, ...Array.from({ length: size - 256 }, (_, i) => `<t${i}>`)];
}

function metadataOf(s: LlamaShape, name: string): Map<string, GgufValue> {
  const u32 = (value: number): GgufValue => ({ type: 'u32', value }), f32 = (value: number): GgufValue => ({ type: 'f32', value }), text = (value: string): GgufValue => ({ type: 'string', value });
  return new Map<string, GgufValue>([
    ['general.architecture', text('llama')], ['general.name', text(name)], ['llama.context_length', u32(8192)], ['llama.embedding_length', u32(s.dim)],
    ['llama.block_count', u32(s.layers)], ['llama.feed_forward_length', u32(s.hidden)], ['llama.attention.head_count', u32(s.heads)],
    ['llama.attention.head_count_kv', u32(s.kvHeads)], ['llama.attention.layer_norm_rms_epsilon', f32(1e-5)], ['llama.rope.freq_base', f32(s.theta)],
    ['llama.rope.dimension_count', u32(s.dim / s.heads)], ['llama.vocab_size', u32(s.vocab)],
    ['tokenizer.ggml.model', text('gpt2')], ['tokenizer.ggml.pre', text('gpt-2')], ['tokenizer.ggml.tokens', { type: 'strings', value: vocabulary(s.vocab) }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: new Array<number>(s.vocab).fill(1) }], ['tokenizer.ggml.merges', { type: 'strings', value: ['t h'] }],
    ['tokenizer.ggml.bos_token_id', u32(0)], ['tokenizer.ggml.eos_token_id', u32(1)],
  ]);
}

const poolNumbers = 1 << 20;

/** A small fast generator (Marsaglia's xorshift, 32 bits). */
function generator(seed: number): () => number {
  let x = seed;
  return () => { x ^= x << 13; x ^= x >>> 17; x ^= x << 5; return x >>> 0; };
}

/** Blocks of made-up numbers in a format, as many as the pool has; plain numbers in runs of 32. */
function pool(form: QuantisedForm | undefined, columns: number): { readonly bytes: Uint8Array; readonly block: number; readonly elements: number } {
  const next = generator(columns);
  const uniform = (): number => (next() + 0.5) / 2 ** 32;
  const deviation = 0.7 / Math.sqrt(columns);
  const numbers = Float32Array.from({ length: poolNumbers }, () => deviation * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
  if (form === undefined) return { bytes: new Uint8Array(numbers.buffer), block: 128, elements: 32 };
  const { elements, bytes } = formatBlock(storedAs(form));
  return { bytes: quantised(form, numbers), block: bytes, elements };
}

export function writeRandomModel(file: string, shapeName: string, format: BenchFormat): number {
  const shape = llamaShapes[shapeName];
  if (!shape) throw new Error(`no shape '${shapeName}'; one of ${Object.keys(llamaShapes).join(', ')}`);
  const pools = new Map<number, ReturnType<typeof pool>>();
  const next = generator(12345);
  const ones = (count: number): Uint8Array => new Uint8Array(new Float32Array(count).fill(1).buffer);
  const data = ({ shape: dims, format: stored }: GgufTensorSpec): Uint8Array => {
    const [rows = 0, columns] = dims;
    if (columns === undefined) return ones(rows);
    let blocks = pools.get(columns);
    if (!blocks) pools.set(columns, blocks = pool(formOf(format, columns), columns));
    const target = new Uint8Array(formatBytes(stored as WeightFormat, dims));
    const count = poolNumbers / blocks.elements;
    for (let at = 0; at < target.length; at += blocks.block) {
      const from = (next() % count) * blocks.block;
      for (let i = 0; i < blocks.block; i++) target[at + i] = blocks.bytes[from + i] as number;
    }
    return target;
  };
  // A file that is there is whole.
  const size = writeGguf(`${file}.part`, metadataOf(shape, `random ${shapeName} ${format}`), tensorsOf(shape, format), data);
  renameSync(`${file}.part`, file);
  return size;
}

/** The same without numbers: the file is a head and a hole. For what reads heads alone. */
export function writeHollowModel(file: string, shape: LlamaShape, format: BenchFormat): number {
  return writeGguf(file, metadataOf(shape, `hollow ${format}`), tensorsOf(shape, format));
}

const [shapeName, format, file] = process.argv.slice(2);
if (shapeName !== undefined && file !== undefined) {
  const known = benchFormats.find((f) => f === format);
  if (known === undefined) throw new Error(`no format '${format}'; one of ${benchFormats.join(', ')}`);
  const started = performance.now();
  const size = writeRandomModel(file, shapeName, known);
  process.stderr.write(`${file}: ${(size / 1e6).toFixed(0)} MB in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}
