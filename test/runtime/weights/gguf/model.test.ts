/** Models in GGUF files: which spec they pick, what is said where they do not fit it, and that they run. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it, test } from 'vitest';
import { formatDiagnostic, PeelError } from '../../../../compiler/diagnostics.ts';
import { checkModel } from '../../../../runtime/check.ts';
import { shown } from '../../../../runtime/locate.ts';
import { loadModel } from '../../../../runtime/model.ts';
import { bool, f32, f32Tensor, ggufFile, text, texts, u32, u32s, u64, type TensorText, type Value } from '../../../support/gguf-file.ts';
import { temporaryFolder } from '../files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const [dim, heads, kvHeads, hidden, vocab, layers] = [32, 4, 2, 64, 19, 2];
const kv = (dim / heads) * kvHeads;

/** A number for each place, the same every time. */
const noise = (name: string, count: number): number[] => {
  let state = [...name].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) >>> 0, 7);
  return Array.from({ length: count }, () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5) * 0.5);
};
const tensor = (name: string, ...sizes: number[]): TensorText => f32Tensor(name, sizes, noise(name, sizes.reduce((a, b) => a * b, 1)));

const tensors: readonly TensorText[] = [
  tensor('token_embd.weight', dim, vocab),
  ...Array.from({ length: layers }, (_, i) => [
    tensor(`blk.${i}.attn_norm.weight`, dim), tensor(`blk.${i}.attn_q.weight`, dim, dim), tensor(`blk.${i}.attn_k.weight`, dim, kv), tensor(`blk.${i}.attn_v.weight`, dim, kv),
    tensor(`blk.${i}.attn_output.weight`, dim, dim), tensor(`blk.${i}.ffn_norm.weight`, dim), tensor(`blk.${i}.ffn_gate.weight`, dim, hidden), tensor(`blk.${i}.ffn_up.weight`, dim, hidden), tensor(`blk.${i}.ffn_down.weight`, hidden, dim),
  ]).flat(),
  tensor('output_norm.weight', dim),
];
const metadata: Readonly<Record<string, Value>> = {
  'general.architecture': text('llama'), 'general.name': text('tiny'), 'llama.block_count': u32(layers), 'llama.context_length': u32(64), 'llama.embedding_length': u32(dim), 'llama.feed_forward_length': u32(hidden),
  'llama.attention.head_count': u32(heads), 'llama.attention.head_count_kv': u32(kvHeads), 'llama.attention.layer_norm_rms_epsilon': f32(1e-5), 'llama.rope.freq_base': f32(10000),
  'tokenizer.ggml.model': text('gpt2'), 'tokenizer.ggml.tokens': texts(['a', 'b']),
};
const write = (name: string, changes: Readonly<Record<string, Value | undefined>> = {}, held = tensors): string => folder.file(name, ggufFile({
  metadata: Object.entries({ ...metadata, ...changes }).flatMap(([key, value]) => (value ? [[key, value] as const] : [])), tensors: held,
}));

async function logits(options: Parameters<typeof loadModel>[0]): Promise<number[]> {
  const model = await loadModel({ device: 'reference', ...options });
  try {
    const session = await model.session();
    return [...await session.logits([3, 1, 4, 1, 5])];
  } finally {
    await model.dispose();
  }
}
const messages = async (path: string, more: object = {}): Promise<string[]> => (await checkModel({ path, ...more })).diagnostics.map((d) => formatDiagnostic(d).replace(folder.path, 'F').replace(shown(folder.path), 'F'));
async function failure(path: string, more: object = {}): Promise<string> {
  try {
    await loadModel({ path, ...more });
  } catch (error) {
    if (error instanceof PeelError) return `${error.exitCode} ${error.message}`;
    throw error;
  }
  return 'fine';
}

describe('a file that fits', () => {
  it('picks the spec by its architecture, and takes params and weights from the file', async () => {
    const result = await checkModel({ path: write('fits.gguf') });
    expect(result.diagnostics).toEqual([]);
    expect(result.summary).toMatchObject({ name: 'llama', layers, dim, tensors: tensors.length, types: { F32: tensors.length } });
  });
  it('runs, the same with the spec named and the file as its weights', async () => {
    const file = write('runs.gguf');
    const found = await logits({ path: file });
    expect(found).toHaveLength(5 * vocab);
    expect(found.every(Number.isFinite)).toBe(true);
    expect(await logits({ path: 'llama', weights: file })).toEqual(found);
    expect(await logits({ path: file, spec: 'llama' })).toEqual(found);
  });
  it('has a head of its own where it holds one', async () => {
    const file = write('head.gguf', {}, [...tensors, tensor('output.weight', dim, vocab)]);
    expect((await checkModel({ path: file })).diagnostics).toEqual([]);
    expect(await logits({ path: file })).not.toEqual(await logits({ path: write('tied.gguf') }));
  });
});

describe('a folder, or a file of another name', () => {
  it('is a GGUF file where it begins like one', async () => {
    const blob = folder.file('sha256-0123', readFileSync(write('fits.gguf')));
    expect((await checkModel({ path: blob })).summary).toMatchObject({ name: 'llama', tensors: tensors.length });
    expect((await checkModel({ path: 'llama', weights: blob })).diagnostics).toEqual([]);
  });
  it('with one GGUF file and no config.json is that file; with several, they are named', async () => {
    const one = temporaryFolder();
    one.file('model.gguf', readFileSync(write('fits.gguf')));
    expect((await checkModel({ path: one.path })).summary).toMatchObject({ name: 'llama', tensors: tensors.length });
    one.file('other.gguf', '');
    expect(await failure(one.path)).toMatch(/^2 .*E010 .*holds 2 GGUF files: model.gguf, other.gguf; name one of them/);
    one.remove();
  });
});

describe('a file that does not fit', () => {
  test('tensors missing, left over, mis-shaped: all of them, by name', async () => {
    const held = tensors.flatMap((t) => (t.name === 'blk.1.attn_q.weight' ? [] : t.name === 'blk.0.ffn_up.weight' ? [tensor(t.name, dim, hidden + 1)] : [t]));
    const found = await messages(write('wrong.gguf', {}, [...held, tensor('blk.0.attn_extra.weight', 8)]));
    expect(found).toHaveLength(3);
    expect(found).toEqual(expect.arrayContaining([
      expect.stringMatching(/E704 .*nothing uses the tensor `blk.0.attn_extra.weight` \[8\]/),
      expect.stringMatching(/E703 .*the file has no tensor `blk.1.attn_q.weight` for `layers.1.attention.q.weight`/),
      expect.stringMatching(/E601 .*blk.0.ffn_up.weight: .*64x32, the file has 65x32/),
    ]));
  });
  test('metadata without a value that the model needs', async () => {
    expect(await failure(write('less.gguf', { 'llama.block_count': undefined }))).toMatch(/^10 .*E501 .*`layers` has no value: there is no metadata llama.block_count/);
  });
  test('metadata of a wrong type', async () => {
    expect(await failure(write('type.gguf', { 'llama.embedding_length': text('32') }))).toMatch(/^10 .*E402 .*`dim` must be a number, but is the text '32'/s);
  });
  test('numbers that are none', async () => {
    expect(await failure(write('nan.gguf', { 'llama.attention.layer_norm_rms_epsilon': f32(NaN) }))).toMatch(/^10 .*E504 .*llama.attention.layer_norm_rms_epsilon is NaN, which is no number to compute with/);
    expect(await failure(write('big.gguf', { 'llama.context_length': u64(2n ** 64n - 1n) }))).toMatch(/^10 .*E504 .*llama.context_length is 18446744073709551615/);
  });
  test('metadata that nothing accounts for, or that the spec does not describe', async () => {
    const found = await messages(write('keys.gguf', { 'llama.atention.head_count': u32(4), 'other.thing': u32(1), 'llama.attention.causal': bool(0) }));
    expect(found).toEqual([
      expect.stringMatching(/^F\/keys.gguf:1:\d+ E505 \/metadata\/expect\/\{arch\}.attention.causal llama.attention.causal is false, but the spec describes only true/),
      expect.stringMatching(/^F\/keys.gguf:1:\d+ W506 \/metadata the spec does not know the metadata key llama.atention.head_count; nearest known: llama.attention.head_count/),
      expect.stringMatching(/W506 .*other.thing; if it does not change the result, add it to metadata.ignore/),
    ]);
  });
  test('an architecture that no spec serves, or none at all', async () => {
    expect(await failure(write('unknown.gguf', { 'general.architecture': text('lama') }))).toMatch(/^10 .*E505 .*no spec in models\/ serves general.architecture 'lama'; the nearest one is 'llama'/);
    expect(await failure(write('none.gguf', { 'general.architecture': undefined }))).toMatch(/^10 .*E505 .*the file has no general.architecture, which picks the spec; give a spec with --spec NAME/);
  });
  test('an adapter, which is no model', async () => {
    expect(await failure(write('adapter.gguf', { 'general.type': text('adapter') }))).toMatch(/^10 .*E505 .*general.type is "adapter", but the spec describes only "model"/);
  });
  test('options that do not go with it', async () => {
    const file = write('options.gguf');
    expect(await failure(file, { weights: file })).toMatch(/^2 .*E010 .*--weights goes with a spec/);
    expect(await failure('no-such-file.gguf')).toMatch(/^14 .*E721 .*no such file/);
  });

  const extremes: readonly (readonly [string, Value])[] = [
    ['0', u32(0)], ['1', u32(1)], ['3', u32(3)], ['2^31', u32(2 ** 31)], ['2^32 - 1', u32(2 ** 32 - 1)], ['2^64 - 1', u64(2n ** 64n - 1n)], ['-1', (b) => b.u32(5).u32(-1)], ['NaN', f32(NaN)], ['infinity', f32(Infinity)],
    ['1.5', f32(1.5)], ['a text', text('x')], ['true', bool(1)], ['a list', u32s([2, 2])], ['no list', u32s([])], ['texts', texts(['a'])],
  ];
  const keys = Object.keys(metadata).filter((key) => key.startsWith('llama.'));
  test.each(extremes)('every key as %s: problems in words, soon', async (_, value) => {
    for (const key of keys) {
      const { user } = process.cpuUsage();
      const { diagnostics } = await checkModel({ path: write('extreme.gguf', { [key]: value }) });
      expect(process.cpuUsage().user - user).toBeLessThan(2_000_000);
      for (const diagnostic of diagnostics) expect(formatDiagnostic(diagnostic)).not.toMatch(/undefined|\[object|\n/);
    }
  });
});
