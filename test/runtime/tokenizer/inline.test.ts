import { describe, expect, it } from 'vitest';
import type { InlineTokenizer } from '../../../compiler/model.ts';
import { inlineTokenizer as make } from '../../../runtime/tokenizer/inline.ts';
import type { Tokenizer } from '../../../runtime/tokenizer/tokenizer.ts';
import { byteAlphabet } from './small.ts';

const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
type Pieces = readonly (string | readonly [string, number])[];
/** A block with the defaults of its kind, its vocabulary as a list in order. */
interface Block extends Partial<Omit<InlineTokenizer, 'kind' | 'vocab' | 'special'>> {
  readonly kind: InlineTokenizer['kind'];
  readonly vocab: Pieces;
  readonly special?: Partial<InlineTokenizer['special']>;
}
function inlineTokenizer(block: Block): Tokenizer {
  const { vocab, special, ...rest } = block;
  const spaces = block.kind === 'sentencepiece_bpe' || block.kind === 'unigram';
  return make({
    from: 'spec', path: '/tokenizer', merges: [], byteFallback: block.kind === 'sentencepiece_bpe', normalize: [], spacePrefix: spaces, continuingPrefix: '##', ignoreMerges: false,
    addBegin: false, addEnd: false, split: ({ bpe: 'whitespace', byte_bpe: 'gpt2', sentencepiece_bpe: 'none', unigram: 'none', wordpiece: 'bert' } as const)[block.kind],
    ...rest, special: { end: [], more: [], ...special },
    vocab: vocab.map((entry, id) => ({ token: typeof entry === 'string' ? entry : entry[0], id, score: typeof entry === 'string' ? 0 : entry[1] })),
  });
}
/** The pieces of a text, as the tokenizer names them. */
function pieces(block: Block, text: string): (string | undefined)[] {
  const tokenizer = inlineTokenizer(block);
  return tokenizer.encode(text).map((id) => tokenizer.tokenOf(id));
}
const roundTrip = (block: Block, text: string): string => {
  const tokenizer = inlineTokenizer(block);
  return tokenizer.decode(tokenizer.encode(text));
};

describe('inline tokenizers', () => {
  const byteBpe: Block = {
    kind: 'byte_bpe', vocab: [...byteAlphabet(), 'he', 'Ġw', 'or', 'Ġwor', '12', '<s>', '</s>', '<eot>', '<tool>'], merges: [['h', 'e'], ['Ġ', 'w'], ['o', 'r'], ['Ġw', 'or'], ['1', '2']],
    special: { begin: '<s>', end: ['</s>', '<eot>'], more: ['<tool>'] }, addBegin: true,
  };
  it('byte-level BPE, with special tokens', () => {
    expect(pieces(byteBpe, 'he wor')).toEqual(['<s>', 'he', 'Ġwor']);
    expect(roundTrip(byteBpe, 'héllo 日本\n\n  x')).toBe('héllo 日本\n\n  x');
    const tokenizer = inlineTokenizer(byteBpe);
    expect(tokenizer.special).toEqual({ bos: 261, eos: [262, 263] });
    expect(tokenizer.idOf('<tool>')).toBe(264);
    expect(tokenizer.encode('<tool>', { frame: false })).not.toContain(264);
  });
  it('cuts digits as asked', () => {
    const digits = (split: InlineTokenizer['split']): (string | undefined)[] => pieces({ ...byteBpe, addBegin: false, split }, '1212');
    expect(digits('gpt2')).toEqual(['12', '12']);
    expect(digits('llama3')).toEqual(['12', '1', '2']);
    expect(digits('qwen2')).toEqual(['1', '2', '1', '2']);
    expect(digits('digits_gpt2')).toEqual(['1', '2', '1', '2']);
  });
  const sentencePiece: Block = {
    kind: 'sentencepiece_bpe', vocab: ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', 'b', '▁a', 'ab', '▁ab'], merges: [['▁', 'a'], ['a', 'b'], ['▁a', 'b']],
    unknown: '<unk>', special: { begin: '<s>', end: ['</s>'] }, addBegin: true,
  };
  it('SentencePiece-style BPE with byte fallback', () => {
    expect(pieces(sentencePiece, 'ab ab')).toEqual(['<s>', '▁ab', '▁ab']);
    expect(pieces(sentencePiece, 'é')).toEqual(['<s>', '▁', '<0xC3>', '<0xA9>']);
    expect(roundTrip(sentencePiece, 'ab é  ba')).toBe('ab é  ba');
    expect(pieces({ ...sentencePiece, spacePrefix: false }, 'ab')).toEqual(['<s>', 'ab']);
  });
  it('Unigram: the most probable cut', () => {
    const unigram: Block = { kind: 'unigram', vocab: [['<unk>', 0], ['▁', -2], ['▁ab', -3], ['a', -1.2], ['b', -1.2], ['▁a', -2.5]], unknown: '<unk>' };
    expect(pieces(unigram, 'ab')).toEqual(['▁ab']);
    expect(pieces(unigram, 'aa b')).toEqual(['▁a', 'a', '▁', 'b']);
    expect(roundTrip(unigram, 'ab ba')).toBe('ab ba');
    expect(roundTrip({ ...unigram, vocab: [...(unigram.vocab as readonly [string, number][]), ...bytes.map((b): [string, number] => [b, -9])], byteFallback: true }, 'ab ü')).toBe('ab ü');
  });
  it('WordPiece, framed', () => {
    const wordPiece: Block = {
      kind: 'wordpiece', vocab: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'un', '##able', '##a', 'able', '.'], unknown: '[UNK]', normalize: ['lowercase'],
      special: { pad: '[PAD]', class: '[CLS]', separator: '[SEP]' },
    };
    expect(pieces(wordPiece, 'Unable able. zz')).toEqual(['[CLS]', 'un', '##able', 'able', '.', '[UNK]', '[SEP]']);
    expect(roundTrip(wordPiece, 'unable able.')).toBe('unable able.');
  });
  it('plain BPE on words', () => {
    expect(pieces({ kind: 'bpe', vocab: ['a', 'b', 'ab', '<unk>'], merges: [['a', 'b']], unknown: '<unk>' }, 'ab c')).toEqual(['ab', '<unk>']);
  });
});
