import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import type { InlineTokenizer } from '../../compiler/model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { loadText } from './models.ts';

const resolve = (tokenizer: string): { tokenizer: InlineTokenizer | undefined; found: string[] } => {
  const { spec } = loadText(`peel: 1\nembeddings: { token: { rows: 8, dim: 4 } }\nlayers: { repeat: 0, residual: [] }\ntokenizer: ${tokenizer}`);
  const { model, diagnostics } = resolveModel(spec!, {});
  const resolved = model?.tokenizer;
  return { tokenizer: resolved?.from === 'spec' ? resolved : undefined, found: diagnostics.map((d) => formatDiagnostic(d)) };
};

describe('inline tokenizers', () => {
  test('byte-level BPE', () => {
    const { tokenizer, found } = resolve('{ kind: byte_bpe, vocab: [a, b, ab, <end>], merges: [a b], special: { end: <end> } }');
    expect(found).toEqual([]);
    expect(tokenizer).toMatchObject({ kind: 'byte_bpe', vocab: [{ token: 'a', id: 0, score: 0 }, { token: 'b', id: 1 }, { token: 'ab', id: 2 }, { token: '<end>', id: 3 }], merges: [['a', 'b']], split: 'gpt2', special: { end: ['<end>'], more: [] }, byteFallback: false });
  });
  test('unigram and wordpiece', () => {
    expect(resolve('{ kind: unigram, vocab: [[a, -1], [b, -2.5]], unknown: a }').tokenizer).toMatchObject({ vocab: [{ token: 'a', score: -1 }, { token: 'b', id: 1, score: -2.5 }], unknown: 'a', spacePrefix: true });
    expect(resolve('{ kind: wordpiece, vocab: { "[UNK]": 0, a: 1, "##b": 5 }, unknown: "[UNK]", normalize: [nfd, lowercase] }').tokenizer).toMatchObject({ continuingPrefix: '##', split: 'bert', normalize: ['nfd', 'lowercase'] });
  });
  test.each<[string, RegExp]>([
    ['{ vocab: [a] }', /E801 .*needs a `kind`/],
    ['{ kind: bpe, vocab: [a] }', /E801 .*needs `merges`/],
    ['{ kind: bpe, merges: [] }', /E801 .*needs a `vocab`/],
    ['{ kind: bpe, vocab: [a, b], merges: [a b] }', /^test.yaml:4:49 E801 .*makes `ab`, which is not in the vocabulary/],
    ['{ kind: bpe, vocab: [a, a], merges: [] }', /E801 .*`a` occurs twice/],
    ['{ kind: bpe, vocab: { a: 0, b: 0 }, merges: [] }', /E801 .*share the id 0/],
    ['{ kind: bpe, vocab: { a: 8 }, merges: [] }', /E801 .*id 8, but the embedding has 8 rows/],
    ['{ kind: bpe, vocab: [a], merges: [], special: { end: <e> } }', /E801 .*`<e>` is not in the vocabulary/],
    ['{ kind: sentencepiece_bpe, vocab: [a], merges: [] }', /E801 .*<0x00>/],
    ['{ kind: wordpiece, vocab: [a] }', /E801 .*needs `unknown`/],
    ['{ kind: unigram, vocab: [a] }', /E801 .*\[token, log probability\]/],
    ['{ kind: bpee, vocab: [a] }', /E204 .*did you mean `bpe`/],
  ])('%s', (text, expected) => {
    const { found } = resolve(text);
    expect(found.filter((line) => expected.test(line)), found.join('\n')).toHaveLength(1);
  });
});
