import { describe, expect, it } from 'vitest';
import { PeelError } from '../../../compiler/diagnostics.ts';
import { preTokenizers } from '../../../runtime/tokenizer/gguf/pre.ts';
import { ggufTokenizer } from '../../../runtime/tokenizer/gguf/load.ts';
import type { Tokenizer } from '../../../runtime/tokenizer/tokenizer.ts';
import { readJson, results, texts, type Expected } from './corpus.ts';
import { byteAlphabet } from './small.ts';

type Values = Readonly<Record<string, unknown>>;

function load(values: Values): Tokenizer {
  return ggufTokenizer(new Map(Object.entries(values).map(([key, value]) => [key.startsWith('chat') ? `tokenizer.${key}` : `tokenizer.ggml.${key}`, value])), 'model.gguf');
}

function problem(values: Values): string {
  try {
    load(values);
  } catch (error) {
    if (error instanceof PeelError) { expect(error.exitCode).toBe(12); return error.message; }
    throw error;
  }
  throw new Error('it should have failed');
}

interface Json {
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
  readonly model: {
    readonly type: string; readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[]; readonly merges?: readonly (readonly [string, string] | string)[];
    readonly unk_token?: string | null; readonly unk_id?: number;
  };
  readonly normalizer: { readonly normalizers?: readonly { readonly precompiled_charsmap?: string }[] } | null;
}

/** A tokenizer.json's vocabulary as converters write it: tokens in a dense order, their types; `dense` gives an id's place in it. */
function vocabulary(json: Json): { tokens: string[]; types: number[]; dense: (id: number) => number } {
  const { vocab } = json.model;
  const entries = new Map<number, string>(Array.isArray(vocab)
    ? (vocab as readonly (readonly [string, number])[]).map(([piece], id): [number, string] => [id, piece]) : Object.entries(vocab as Record<string, number>).map(([piece, id]): [number, string] => [id, piece]));
  for (const token of json.added_tokens) entries.set(token.id, token.content);
  const ids = [...entries.keys()].sort((a, b) => a - b);
  const places = new Map(ids.map((id, place) => [id, place]));
  const special = new Map(json.added_tokens.map((token) => [token.id, token.special ? 3 : 4]));
  return {
    tokens: ids.map((id) => entries.get(id) ?? ''), dense: (id) => places.get(id) ?? -1,
    types: ids.map((id) => special.get(id) ?? (/^<0x[0-9A-F]{2}>$/.test(entries.get(id) ?? '') ? 6 : 1)),
  };
}

/** Ids that are equal to the Rust library's, by text. `skip`: texts where the two kinds of file cannot say the same. */
function compare(tokenizer: Tokenizer, expected: readonly Expected[], dense: (id: number) => number, skip: RegExp | undefined, frame: readonly [number, number] = [0, 0]): void {
  texts().forEach((text, i) => {
    const wanted = expected[i];
    if (!wanted || skip?.test(text) === true) return;
    const bare = (ids: readonly number[]): number[] => ids.slice(frame[0], ids.length - frame[1]).map(dense);
    expect(tokenizer.encode(text, { frame: false }), JSON.stringify(text)).toEqual(bare(wanted.ids));
    expect(tokenizer.encode(text, { frame: false, parseSpecial: true }), JSON.stringify(text)).toEqual(bare(wanted.parsed ?? wanted.ids));
    expect(tokenizer.decode(wanted.ids.map(dense)), JSON.stringify(text)).toBe(wanted.decoded);
  });
}

const jsonOf = (name: string): Json => (results(name).tokenizer ?? readJson(new URL(`../../../models/nano/${name}/tokenizer.json`, import.meta.url).pathname)) as unknown as Json;

describe('byte-level vocabularies in GGUF files', () => {
  it.each([['llama3', 'llama-bpe'], ['qwen3', 'qwen2'], ['deepseek_v3', 'deepseek-v3'], ['gptoss', 'gpt-4o'], ['gpt2', 'gpt-2']])('%s, words cut as %s', (name, pre) => {
    const json = jsonOf(name);
    const { tokens, types, dense } = vocabulary(json);
    const merges = (json.model.merges ?? []).map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
    const tokenizer = load({ model: 'gpt2', pre, tokens, token_type: types, merges, bos_token_id: 0, add_bos_token: false });
    compare(tokenizer, results(name).expected, dense, undefined);
  });
  it('knows every kind of cut, and each takes texts apart without a loss', () => {
    const alphabet = byteAlphabet();
    const sample = texts().filter((_, i) => i % 17 === 0);
    for (const [pre, { normalize }] of preTokenizers()) {
      const tokenizer = load({ model: 'gpt2', pre, tokens: [...alphabet, '<s>', '</s>'], merges: [], token_type: [...alphabet.map(() => 1), 3, 3], bos_token_id: 256, eos_token_id: 257, seperator_token_id: 257 });
      for (const text of sample) expect(tokenizer.decode(tokenizer.encode(text)), `${pre} ${JSON.stringify(text)}`).toBe(normalize ? text.normalize(normalize) : text);
    }
    expect(preTokenizers().size).toBeGreaterThan(60);
  });
  it('follows what a kind of cut implies, and what the file says against it', () => {
    const values = { model: 'gpt2', tokens: [...byteAlphabet(), 'ab', 'abc', '<s>', '</s>'], merges: ['a b'], bos_token_id: 258, eos_token_id: 259 };
    expect(load({ ...values, pre: 'llama-bpe' }).encode('abc')).toEqual([258, 257]);
    expect(load({ ...values, pre: 'llama-bpe', add_bos_token: false, add_eos_token: true }).encode('abc')).toEqual([257, 259]);
    expect(load({ ...values, pre: 'qwen2' }).encode('abc')).toEqual([256, byteAlphabet().indexOf('c')]);
    expect(load({ ...values, pre: 'roberta-bpe', add_bos_token: true, seperator_token_id: 259 }).encode('abc')).toEqual([258, 256, byteAlphabet().indexOf('c'), 259]);
  });
});

describe('SentencePiece vocabularies in GGUF files', () => {
  it.each(['llama2', 'nano-llama'])('%s, by scores', (name) => {
    const json = jsonOf(name);
    const { tokens, types, dense } = vocabulary(json);
    // The merges' order is that of the pieces' scores: a piece's is that of its first merge.
    const first = new Map<string, number>();
    (json.model.merges ?? []).forEach((merge, rank) => { const piece = typeof merge === 'string' ? merge.replace(' ', '') : merge.join(''); if (!first.has(piece)) first.set(piece, rank); });
    const scores = tokens.map((token) => -(first.get(token) ?? 1e6));
    const tokenizer = load({ model: 'llama', tokens, token_type: types, scores: Float32Array.from(scores), add_bos_token: true });
    expect(tokenizer.special).toMatchObject({ bos: 1, unknown: 0 });
    compare(tokenizer, results(name).expected, dense, undefined, [1, 0]);
  });
  it('joins pieces of the same score from the left, and writes the unknown as bytes', () => {
    const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
    const tokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', 'b', 'ab', 'ba', '<end_of_turn>', '[me]'];
    const tokenizer = load({ model: 'llama', tokens, scores: tokens.map((t) => (t === 'ab' || t === 'ba' ? -1 : -9)), token_type: tokens.map((t, i) => (i === 0 ? 2 : i < 3 || t === '<end_of_turn>' ? 3 : t === '[me]' ? 4 : i < 259 ? 6 : 1)) });
    const pieces = (text: string, parseSpecial = false): (string | undefined)[] => tokenizer.encode(text, { parseSpecial }).map((id) => tokenizer.tokenOf(id));
    expect(pieces('aba')).toEqual(['<s>', '▁', 'ab', 'a']);
    expect(pieces('babab')).toEqual(['<s>', '▁', 'ba', 'ba', 'b']);
    expect(pieces('é')).toEqual(['<s>', '▁', '<0xC3>', '<0xA9>']);
    expect(pieces('<0x41>a')).not.toContain('<0x41>');
    expect(pieces('a</s>[me]')).not.toContain('</s>');
    expect(pieces('a[me]')).toEqual(['<s>', '▁', 'a', '[me]']);
    expect(pieces('a</s>b', true)).toEqual(['<s>', '▁', 'a', '</s>', '▁', 'b']);
    expect(tokenizer.special.eos).toEqual([2, tokens.indexOf('<end_of_turn>')]);
    expect(tokenizer.decode(tokenizer.encode(' a  b é'))).toBe(' a  b é');
    expect(load({ model: 'llama', tokens, scores: tokens.map(() => 0), add_space_prefix: false, add_bos_token: false }).encode('a')).toEqual([tokens.indexOf('a')]);
  });
});

describe('other vocabularies in GGUF files', () => {
  it.each(['wordpiece', 'wordpiece-cased'])('%s: beginnings of words marked', (name) => {
    const json = jsonOf(name);
    const { tokens, types, dense } = vocabulary(json);
    const written = tokens.map((token, i) => (types[i] === 3 ? token : token.startsWith('##') ? token.slice(2) : `▁${token}`));
    const tokenizer = load({ model: 'bert', tokens: written, token_type: types, unknown_token_id: 1, cls_token_id: 2, bos_token_id: 2, seperator_token_id: 3, padding_token_id: 0 });
    // Such files cannot tell ##▁ from the mark itself.
    compare(tokenizer, results(name).expected, dense, /▁/, [1, 1]);
    const framed = tokenizer.encode('');
    expect(framed.map((id) => tokenizer.tokenOf(id))).toEqual(['[CLS]', '[SEP]']);
  });
  it('Unigram with a character map', () => {
    const json = jsonOf('unigram');
    const { tokens, types, dense } = vocabulary(json);
    const charsmap = [...Buffer.from(json.normalizer?.normalizers?.[0]?.precompiled_charsmap ?? '', 'base64')];
    expect(charsmap.length).toBeGreaterThan(100_000);
    const tokenizer = load({
      model: 't5', tokens, token_type: types, scores: (json.model.vocab as readonly (readonly [string, number])[]).map(([, score]) => score), unknown_token_id: 0, bos_token_id: 1, eos_token_id: 2,
      precompiled_charsmap: charsmap, add_space_prefix: true, remove_extra_whitespaces: true,
    });
    // U+0085 at a text's end is white space to the pipeline of tokenizer.json, and not to SentencePiece, whose flags a file holds.
    compare(tokenizer, results('unigram').expected, dense, /<\/?s>|<unk>|\x85/, [0, 1]);
    expect(tokenizer.encode('').map((id) => tokenizer.tokenOf(id))).toEqual(['</s>']);
  });
});

describe('a chat template in a GGUF file', () => {
  it('is used, and special tokens come from it alone', () => {
    const tokens = [...byteAlphabet(), '<|im_start|>', '<|im_end|>', '<think>'];
    const tokenizer = load({ model: 'gpt2', pre: 'qwen2', tokens, merges: [], token_type: tokens.map((_, i) => (i < 256 ? 1 : i === 258 ? 4 : 3)), eos_token_id: 257, 'chat_template': "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" });
    const ids = tokenizer.chat([{ role: 'user', content: 'a<|im_end|><|im_start|>system' }]);
    expect(ids.filter((id) => id >= 256)).toEqual([256, 257]);
    expect(tokenizer.decode(ids, { special: true })).toBe('<|im_start|>user\na<|im_end|><|im_start|>system<|im_end|>\n');
    expect(tokenizer.hasChatTemplate).toBe(true);
  });
});

describe('ends of a reply', () => {
  const end = (more: readonly string[], values: Values = {}): (string | undefined)[] => {
    const tokens = [...byteAlphabet(), ...more];
    const tokenizer = load({ model: 'gpt2', pre: 'qwen2', tokens, merges: [], ...values });
    return tokenizer.special.eos.map((id) => tokenizer.tokenOf(id));
  };
  it('are what the file names, and what is known by its text', () => {
    expect(end(['<|eot_id|>', '<|eom_id|>', '<|end_of_text|>'], { eos_token_id: 258 })).toEqual(['<|end_of_text|>', '<|eot_id|>', '<|eom_id|>']);
    expect(end(['<stop>', '<turn>'], { eos_token_id: 256, eot_token_id: 257 })).toEqual(['<stop>', '<turn>']);
    expect(end(['</s>', '<stop>'], { eos_token_id: 257 })).toEqual(['<stop>']);
    expect(end(['<|end|>', '<|return|>', '<|call|>'], { eos_token_id: 257 })).toEqual(['<|return|>', '<|call|>']);
    expect(end(['<|end|>'], { token_type: [...byteAlphabet().map(() => 1), 4] })).toEqual(['<|end|>']);
  });
});

describe('what is wrong with the metadata', () => {
  const values = { model: 'gpt2', pre: 'gpt-2', tokens: byteAlphabet(), merges: [] as string[] };
  it.each<[string, Values, RegExp]>([
    ['no tokenizer', {}, /E803 \/tokenizer tokenizer\.ggml\.model is missing/],
    ['another kind', { ...values, model: 'rwkv' }, /'rwkv', which is not known; known are gpt2, llama, bert, t5/],
    ['another cut', { ...values, pre: 'somebody' }, /'somebody', which is not known; known are default, llama-bpe/],
    ['no vocabulary', { model: 'gpt2', pre: 'gpt-2', merges: [] }, /tokens is missing/],
    ['a token twice', { ...values, tokens: ['a', 'b', 'a'] }, /holds 'a' twice, at 0 and 2/],
    ['no merges', { model: 'gpt2', pre: 'gpt-2', tokens: byteAlphabet() }, /merges is missing/],
    ['a merge that is no pair', { ...values, merges: ['ab'] }, /no space in its item 0/],
    ['a merge of nothing known', { ...values, merges: ['ab cd'] }, /the merge of 'ab' and 'cd' is not in the vocabulary/],
    ['types of another count', { ...values, token_type: [1, 2] }, /has 2 items for 256 tokens/],
    ['scores of another count', { model: 'llama', tokens: ['a', 'b'], scores: [1] }, /has 1 items for 2 tokens/],
    ['a number for a text', { ...values, pre: 3 }, /pre must be a text/],
    ['texts that are numbers', { ...values, tokens: ['a', 5] }, /its item 1 is none/],
    ['a frame without its token', { ...values, add_bos_token: true }, /add_bos_token is true, but the file names no such token/],
    ['a damaged character map', { model: 't5', tokens: ['a', 'b', '<unk>'], scores: [0, 0, 0], precompiled_charsmap: [1, 2, 3, 4, 5] }, /charsmap is damaged/],
  ])('%s', (_, wrong, says) => { expect(problem(wrong)).toMatch(says); });
  it('warns where the file does not say how words are cut, or names tokens that do not exist', () => {
    const tokenizer = load({ model: 'gpt2', tokens: byteAlphabet(), merges: [], bos_token_id: 999, eos_token_id: 0xffffffff });
    expect(tokenizer.warnings.map((w) => w.code)).toEqual(['E807', 'E807']);
    expect(tokenizer.warnings.map((w) => w.message).join('\n')).toMatch(/pre is missing[^]*bos_token_id is 999, but the vocabulary has 256 tokens/);
    expect(load(values).warnings).toEqual([]);
  });
});
