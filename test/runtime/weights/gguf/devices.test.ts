/** A model whose matrices are of one type of GGUF files, of each: what the CPU computes is what the reference computes with the decoded numbers. */
import { afterAll, expect, test } from 'vitest';
import { floatToHalf } from '../../../../runtime/weights/element.ts';
import { ggmlBlock, ggmlType, type GgmlType } from '../../../../runtime/weights/gguf/types.ts';
import { loadModel } from '../../../../runtime/model.ts';
import { f32, ggufFile, text, u32, type TensorText } from '../../../support/gguf-file.ts';
import { temporaryFolder } from '../files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const [dim, heads, hidden, vocab, layers] = [256, 4, 256, 40, 1];
/** Where a block's f16 scales are; exponents of MXFP4 are bytes. */
const scales: Readonly<Partial<Record<GgmlType, readonly number[]>>> = {
  Q4_0: [0], Q4_1: [0, 2], Q5_0: [0], Q5_1: [0, 2], Q8_0: [0], IQ4_NL: [0], Q2_K: [80, 82], Q3_K: [108], Q4_K: [0, 2], Q5_K: [0, 2], Q6_K: [208], IQ4_XS: [0], TQ1_0: [52], TQ2_0: [64],
};
/** About how large the numbers of a block are for a scale of 1. */
const sizes: Readonly<Partial<Record<GgmlType, number>>> = { Q4_0: 5, Q4_1: 9, Q5_0: 9, Q5_1: 18, Q8_0: 74, IQ4_NL: 65, Q2_K: 14, Q3_K: 43, Q4_K: 290, Q5_K: 590, Q6_K: 1400, IQ4_XS: 1250 };

let state = 1;
const random = (): number => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32);

function matrix(type: GgmlType, number: number, name: string, columns: number, rows: number): TensorText {
  const { elements, bytes } = ggmlBlock(type);
  const blocks = (columns * rows) / elements;
  const data = Uint8Array.from({ length: blocks * bytes }, () => Math.floor(random() * 256));
  const view = new DataView(data.buffer);
  for (let block = 0; block < blocks; block++) {
    const at = block * bytes;
    if (type === 'F32') view.setFloat32(at, (random() - 0.5) * 0.2, true);
    else if (type === 'F16') view.setUint16(at, floatToHalf((random() - 0.5) * 0.2), true);
    else if (type === 'BF16') view.setUint16(at, 0x3c00 + Math.floor(random() * 0x180) + (random() < 0.5 ? 0x8000 : 0), true);
    else if (type === 'MXFP4') data[at] = 120 + Math.floor(random() * 4);
    else for (const [which, offset] of (scales[type] ?? []).entries()) view.setUint16(at + offset, floatToHalf(((which === 0 ? 0.05 : 0.03) * (0.5 + random())) / (sizes[type] ?? 1)), true);
  }
  return { name, sizes: [columns, rows], type: number, data };
}
const norm = (name: string): TensorText => ({ name, sizes: [dim], data: new Uint8Array(new Float32Array(dim).fill(1).buffer) });

function model(type: GgmlType, number: number): string {
  state = number + 1;
  const of = (name: string, columns: number, rows: number): TensorText => matrix(type, number, name, columns, rows);
  const tensors = [of('token_embd.weight', dim, vocab), norm('output_norm.weight'), ...Array.from({ length: layers }, (_, i) => [
    norm(`blk.${i}.attn_norm.weight`), of(`blk.${i}.attn_q.weight`, dim, dim), of(`blk.${i}.attn_k.weight`, dim, dim / 2), of(`blk.${i}.attn_v.weight`, dim, dim / 2), of(`blk.${i}.attn_output.weight`, dim, dim),
    norm(`blk.${i}.ffn_norm.weight`), of(`blk.${i}.ffn_gate.weight`, dim, hidden), of(`blk.${i}.ffn_up.weight`, dim, hidden), of(`blk.${i}.ffn_down.weight`, hidden, dim),
  ]).flat()];
  return folder.file(`${type}.gguf`, ggufFile({ tensors, metadata: [
    ['general.architecture', text('llama')], ['llama.block_count', u32(layers)], ['llama.context_length', u32(64)], ['llama.embedding_length', u32(dim)], ['llama.feed_forward_length', u32(hidden)],
    ['llama.attention.head_count', u32(heads)], ['llama.attention.head_count_kv', u32(heads / 2)], ['llama.attention.layer_norm_rms_epsilon', f32(1e-5)],
  ] }));
}

const ids = [3, 14, 15, 9, 26];
async function logits(path: string, device: 'cpu' | 'reference', exact: boolean): Promise<Float32Array> {
  const loaded = await loadModel({ path, device, threads: 1, exact });
  try {
    return await (await loaded.session()).logits(ids);
  } finally {
    await loaded.dispose();
  }
}
function error(found: Float32Array, wanted: Float32Array): number {
  let [difference, power] = [0, 0];
  for (const [i, value] of wanted.entries()) { difference += ((found[i] ?? NaN) - value) ** 2; power += value ** 2; }
  return difference / power;
}

const types = Array.from({ length: 64 }, (_, number) => ({ type: ggmlType(number), number })).flatMap(({ type, number }) => (type !== undefined && !/^[IF]\d+$/.test(type) || type === 'F32' || type === 'F16' ? [{ type, number }] : []));

test.each(types)('$type', async ({ type, number }) => {
  const file = model(type, number);
  const wanted = await logits(file, 'reference', true);
  expect(wanted.every(Number.isFinite)).toBe(true);
  expect(error(await logits(file, 'cpu', true), wanted)).toBeLessThan(1e-8);
  if (ggmlBlock(type).elements === 1) return;
  // Inputs rounded to 8 bits, in each product of the model.
  expect(error(await logits(file, 'cpu', false), wanted)).toBeLessThan(2e-3);
});
