import { BPE } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bpe, type BpeOptions } from '../../../runtime/tokenizer/parts/bpe.ts';
import { PairTable } from '../../../runtime/tokenizer/parts/pair-table.ts';
import { ggufTokenizer } from '../../../runtime/tokenizer/gguf/load.ts';
import { huggingFaceTokenizer } from '../../../runtime/tokenizer/hugging-face.ts';
import { stopwatch } from '../../support/stopwatch.ts';
import { readJson, results } from './corpus.ts';
import { byteAlphabet } from './small.ts';

const plain = { unknown: undefined, byteFallback: false, fuseUnknown: false, ignoreMerges: false, continuingPrefix: '', wordSuffix: '', special: new Set<number>() };
const encode = (options: BpeOptions, word: string): number[] => {
  const out: number[] = [];
  new Bpe(options).encode(word, out);
  return out;
};

/** A vocabulary over few letters, in which many pieces overlap: merges in random order. */
const vocabularies = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 40 }).map((picks) => {
  const pieces = ['a', 'b', 'c', '😀'];
  const merges: [string, string][] = [];
  for (const [left, right] of picks) {
    const pair: [string, string] = [pieces[left % pieces.length] ?? 'a', pieces[right % pieces.length] ?? 'a'];
    if (pair.join('').length > 16 || merges.some(([l, r]) => l === pair[0] && r === pair[1])) continue;
    merges.push(pair);
    if (!pieces.includes(pair.join(''))) pieces.push(pair.join(''));
  }
  return { pieces, merges, ids: new Map(pieces.map((piece, id) => [piece, id])) };
});
const words = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '😀'), maxLength: 200 });

describe('byte-pair encoding', () => {
  it('is that of the library', () => {
    fc.assert(fc.property(vocabularies, words, ({ merges, ids }, word) => {
      const library = new BPE({ type: 'BPE', vocab: Object.fromEntries(ids), merges, unk_token: '', fuse_unk: false, byte_fallback: false, ignore_merges: false });
      expect(encode({ ...plain, ids, merges }, word)).toEqual(library.encode([word]).map((piece) => ids.get(piece)));
    }), { numRuns: 400 });
  });
  it('by scores joins the best pair again and again, the leftmost of equals', () => {
    fc.assert(fc.property(vocabularies, words, fc.array(fc.integer({ min: -6, max: 0 }), { minLength: 50, maxLength: 50 }), ({ pieces, ids }, word, scores) => {
      const symbols = [...word];
      for (;;) {
        let best = -1;
        for (let i = 0; i + 1 < symbols.length; i++) {
          const id = ids.get((symbols[i] ?? '') + (symbols[i + 1] ?? ''));
          const bestId = best < 0 ? undefined : ids.get((symbols[best] ?? '') + (symbols[best + 1] ?? ''));
          if (id !== undefined && (bestId === undefined || (scores[id] ?? 0) > (scores[bestId] ?? 0))) best = i;
        }
        if (best < 0) break;
        symbols.splice(best, 2, (symbols[best] ?? '') + (symbols[best + 1] ?? ''));
      }
      expect(encode({ ...plain, ids, merges: [], scores: scores.slice(0, pieces.length) }, word)).toEqual(symbols.map((piece) => ids.get(piece)));
    }), { numRuns: 400 });
  });
  it('a table of pairs is a map', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(300), fc.nat(300), fc.integer()), { maxLength: 3000 }), (entries) => {
      const [table, map] = [new PairTable(4), new Map<string, number>()];
      for (const [a, b, value] of entries) { table.set(a, b, value | 0); map.set(`${a},${b}`, value | 0); }
      expect(table.size).toBe(map.size);
      for (const [a, b] of entries) expect(table.get(a, b, -9)).toBe(map.get(`${a},${b}`));
      expect(table.get(301, 0, -9)).toBe(-9);
    }), { numRuns: 30 });
  });
});

/** A quarter of the longest text: the whole suite has to run. What grows with the square takes minutes for it. */
const length = 250_000;
/** Texts that make one long word, or look like the beginning of much. */
const long: readonly (readonly [string, string])[] = [
  ['a word', 'abcdefghij'.repeat(length / 10)], ['one letter', 'a'.repeat(length)], ['spaces', ' '.repeat(length)], ['spaces before a word', `${' '.repeat(length - 1)}x`], ['newlines', '\n'.repeat(length)],
  ['digits', '7'.repeat(length)], ['characters of three bytes', '漢字かな交じり文章'.repeat(length / 10)], ['beginnings of special tokens', '<|im_star'.repeat(length / 10)], ['combining marks', `a${'\u0301'.repeat(length / 4)}`],
];
const nano = (name: string): URL => new URL(`../../../models/nano/${name}/tokenizer.json`, import.meta.url);
const load: Readonly<Record<string, () => ReturnType<typeof huggingFaceTokenizer>>> = {
  'nano-llama': () => huggingFaceTokenizer(readJson(nano('nano-llama').pathname)),
  qwen3: () => huggingFaceTokenizer(results('qwen3').tokenizer ?? {}),
  gemma3: () => huggingFaceTokenizer(results('gemma3').tokenizer ?? {}),
  unigram: () => huggingFaceTokenizer(results('unigram').tokenizer ?? {}),
  wordpiece: () => huggingFaceTokenizer(results('wordpiece').tokenizer ?? {}),
  'deepseek-llm': () => ggufTokenizer(new Map<string, unknown>([['tokenizer.ggml.model', 'gpt2'], ['tokenizer.ggml.pre', 'deepseek-llm'], ['tokenizer.ggml.tokens', byteAlphabet()], ['tokenizer.ggml.merges', []]]), 'x.gguf'),
};

describe('long texts', () => {
  // About a quarter of a second each; what grows with the square would take minutes.
  it.each(Object.keys(load))('%s', (name) => {
    const tokenizer = load[name]?.();
    for (const [what, text] of long) {
      const time = stopwatch();
      const ids = tokenizer?.encode(text) ?? [];
      expect(ids.length, what).toBeGreaterThan(0);
      expect(time(), what).toBeLessThan(6000);
    }
  }, 300_000);
  it('a word of a million characters', () => {
    const tokenizer = load['nano-llama']?.();
    const time = stopwatch();
    expect(tokenizer?.encode('abcdefghij'.repeat(100_000)).length).toBe(700_001);
    expect(time()).toBeLessThan(10_000);
  }, 60_000);
});
