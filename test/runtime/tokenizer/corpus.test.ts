import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseHead } from '../../../runtime/weights/gguf/head.ts';
import { ggufTokenizer } from '../../../runtime/tokenizer/gguf/load.ts';
import { huggingFaceTokenizer } from '../../../runtime/tokenizer/hugging-face.ts';
import { renderTemplate } from '../../../runtime/tokenizer/template.ts';
import type { Tokenizer } from '../../../runtime/tokenizer/tokenizer.ts';
import { readJson, results, texts, unzipped, type Results } from './corpus.ts';

const nano = (name: string): string => path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../models/nano', name, 'tokenizer.json');

function smollm2(): Tokenizer {
  const bytes = unzipped('smollm2.gguf.gz');
  const { head, problems } = parseHead(new Uint8Array(bytes), 'smollm2.gguf', bytes.length);
  expect(problems).toEqual([]);
  return ggufTokenizer(head.metadata, 'smollm2.gguf');
}

function load(name: string, { tokenizer, config }: Results): Tokenizer {
  if (name === 'smollm2') return smollm2();
  return huggingFaceTokenizer(tokenizer ?? readJson(nano(name)), config);
}

/** Unigrams in which the Rust library lets any text become control and byte pieces: Peel keeps it text. */
const becomesControl: Readonly<Record<string, RegExp>> = { unigram: /<\/?s>|<unk>/, 'unigram-bytes': /<\/?s>|<unk>|<0x[0-9A-F]{2}>/, 'nano-deepseek': /<\/?s>|<unk>|<0x[0-9A-F]{2}>/ };

const names = [
  'llama2', 'llama3', 'gemma3', 'qwen3', 'deepseek_v3', 'gptoss', 'gpt2', 'smollm2', 'nano-llama', 'nano-gpt', 'nano-deepseek', 'unigram', 'unigram-bytes', 'wordpiece', 'wordpiece-cased',
];

describe.each(names)('%s', (name) => {
  const data = results(name);
  const tokenizer = load(name, data);
  const cases = texts().map((text, i) => {
    const expected = data.expected[i];
    if (!expected) throw new Error('a text without results');
    return { text, expected, control: becomesControl[name]?.exec(text)?.[0] };
  });

  it('encodes as the Rust library does', () => {
    for (const { text, expected, control } of cases) {
      if (control !== undefined) {
        expect(tokenizer.decode(tokenizer.encode(text)), JSON.stringify(text)).toContain(name === 'unigram' ? '' : control);
        for (const id of tokenizer.encode(text, { frame: false })) expect(tokenizer.tokenOf(id)).not.toBe(control);
      } else expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(expected.ids);
      if (control?.startsWith('<0x') !== true) expect(tokenizer.encode(text, { parseSpecial: true }), JSON.stringify(text)).toEqual(expected.parsed ?? expected.ids);
    }
  });

  it('keeps text that looks like a special token text', () => {
    const json = data.tokenizer ?? (name === 'smollm2' ? {} : readJson(nano(name)));
    const added = (json.added_tokens ?? []) as readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
    const control = new Set(added.filter((token) => token.special && token.id !== tokenizer.special.unknown).map((token) => token.id));
    for (const text of [...cases.map((c) => c.text), added.map((token) => `x ${token.content}`).join('')]) {
      expect(tokenizer.encode(text, { frame: false }).filter((id) => control.has(id)), JSON.stringify(text)).toEqual([]);
    }
  });

  it('decodes as the Rust library does', () => {
    for (const { text, expected } of cases) {
      expect(tokenizer.decode(expected.ids), JSON.stringify(text)).toBe(expected.decoded);
      if (!expected.parsed) continue;
      expect(tokenizer.decode(expected.parsed), JSON.stringify(text)).toBe(expected.parsedDecoded);
      expect(tokenizer.decode(expected.parsed, { special: true }), JSON.stringify(text)).toBe(expected.special);
    }
  });

  it('streams the same text, in whole characters', () => {
    for (const { text, expected } of cases) {
      for (const [ids, special] of [[expected.ids, false], [expected.parsed ?? expected.ids, true]] as const) {
        const stream = tokenizer.stream({ special });
        const whole = tokenizer.decode(ids, { special });
        const pieces = Array.from(ids, (id) => stream.push(id));
        if (!whole.includes('\ufffd')) expect(pieces.filter((piece) => piece.includes('\ufffd') || /[\ud800-\udbff]$/.test(piece)), JSON.stringify(text)).toEqual([]);
        expect(pieces.join('') + stream.end(), JSON.stringify(text)).toBe(whole);
      }
    }
  });
});

describe.each(names.filter((name) => results(name).chats.length > 0))('%s', (name) => {
  it('renders chats as transformers does', () => {
    const data = results(name);
    const tokenizer = load(name, data);
    const named = Object.fromEntries(['bos_token', 'eos_token', 'pad_token', 'unk_token'].flatMap((key) => {
      const value = data.config[key];
      const text = typeof value === 'string' ? value : (value as { content?: string } | null | undefined)?.content;
      return text === undefined ? [] : [[key, text]];
    }));
    for (const { messages, prompt, text, ids, refuses } of data.chats) {
      const render = (): string => renderTemplate(String(data.config.chat_template), { messages, add_generation_prompt: prompt, ...named });
      if (refuses !== undefined) { expect(render).toThrow(refuses.slice(0, 40)); continue; }
      expect(render()).toBe(text);
      expect(tokenizer.chat(messages, { generationPrompt: prompt })).toEqual(ids);
      // What a user writes adds no special token.
      const [eos = -1] = tokenizer.special.eos;
      const count = (of: readonly number[]): number => of.filter((id) => id === eos).length;
      const hostile = messages.map((m) => ({ role: m.role, content: `${m.content}x${tokenizer.tokenOf(eos) ?? ''}` }));
      expect(count(tokenizer.chat(hostile, { generationPrompt: prompt }))).toBe(count(ids ?? []));
    }
  });
});
