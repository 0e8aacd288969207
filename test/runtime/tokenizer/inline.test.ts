import { describe, expect, it } from 'vitest';
import { inlineTokenizer, type InlineTokenizer } from '../../../runtime/tokenizer/inline.ts';
import { byteAlphabet } from './small.ts';

const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
/** The pieces of a text, as the tokenizer names them. */
function pieces(block: InlineTokenizer, text: string): (string | undefined)[] {
  const tokenizer = inlineTokenizer(block);
  return tokenizer.encode(text).map((id) => tokenizer.tokenOf(id));
}
const roundTrip = (block: InlineTokenizer, text: string): string => {
  const tokenizer = inlineTokenizer(block);
  return tokenizer.decode(tokenizer.encode(text));
};

describe('inline tokenizers', () => {
  const byteBpe: InlineTokenizer = {
    kind: 'byte_bpe', vocab: [...byteAlphabet(), 'he', 'Ġw', 'or', 'Ġwor', '12'], merges: ['h e', 'Ġ w', ['o', 'r'], 'Ġw or', '1 2'],
    special: { begin: '<s>', end: ['</s>', '<eot>'], more: ['<tool>'] }, add_begin: true,
  };
  it('byte-level BPE, with special tokens behind the vocabulary', () => {
    expect(pieces(byteBpe, 'he wor')).toEqual(['<s>', 'he', 'Ġwor']);
    expect(roundTrip(byteBpe, 'héllo 日本\n\n  x')).toBe('héllo 日本\n\n  x');
    const tokenizer = inlineTokenizer(byteBpe);
    expect(tokenizer.special).toEqual({ bos: 261, eos: [262, 263] });
    expect(tokenizer.idOf('<tool>')).toBe(264);
    expect(tokenizer.encode('<tool>', { frame: false })).not.toContain(264);
  });
  it('cuts digits as asked', () => {
    const digits = (split: NonNullable<InlineTokenizer['split']>): (string | undefined)[] => pieces({ ...byteBpe, add_begin: false, split }, '1212');
    expect(digits('gpt2')).toEqual(['12', '12']);
    expect(digits('llama3')).toEqual(['12', '1', '2']);
    expect(digits('qwen2')).toEqual(['1', '2', '1', '2']);
    expect(digits('digits_gpt2')).toEqual(['1', '2', '1', '2']);
  });
  const sentencePiece: InlineTokenizer = {
    kind: 'sentencepiece_bpe', vocab: ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', 'b', '▁a', 'ab', '▁ab'], merges: ['▁ a', 'a b', '▁a b'],
    unknown: '<unk>', special: { begin: '<s>', end: '</s>' }, add_begin: true,
  };
  it('SentencePiece-style BPE with byte fallback', () => {
    expect(pieces(sentencePiece, 'ab ab')).toEqual(['<s>', '▁ab', '▁ab']);
    expect(pieces(sentencePiece, 'é')).toEqual(['<s>', '▁', '<0xC3>', '<0xA9>']);
    expect(roundTrip(sentencePiece, 'ab é  ba')).toBe('ab é  ba');
    expect(pieces({ ...sentencePiece, space_prefix: false }, 'ab')).toEqual(['<s>', 'ab']);
  });
  it('Unigram: the most probable cut', () => {
    const unigram: InlineTokenizer = { kind: 'unigram', vocab: [['<unk>', 0], ['▁', -2], ['▁ab', -3], ['a', -1.2], ['b', -1.2], ['▁a', -2.5]], unknown: '<unk>' };
    expect(pieces(unigram, 'ab')).toEqual(['▁ab']);
    expect(pieces(unigram, 'aa b')).toEqual(['▁a', 'a', '▁', 'b']);
    expect(roundTrip(unigram, 'ab ba')).toBe('ab ba');
    expect(roundTrip({ ...unigram, vocab: [...(unigram.vocab as [string, number][]), ...bytes.map((b): [string, number] => [b, -9])], byte_fallback: true }, 'ab ü')).toBe('ab ü');
  });
  it('WordPiece, framed', () => {
    const wordPiece: InlineTokenizer = {
      kind: 'wordpiece', vocab: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'un', '##able', '##a', 'able', '.'], unknown: '[UNK]', normalize: ['lowercase'],
      special: { pad: '[PAD]', class: '[CLS]', separator: '[SEP]' },
    };
    expect(pieces(wordPiece, 'Unable able. zz')).toEqual(['[CLS]', 'un', '##able', 'able', '.', '[UNK]', '[SEP]']);
    expect(roundTrip(wordPiece, 'unable able.')).toBe('unable able.');
  });
  it('plain BPE on words', () => {
    expect(pieces({ kind: 'bpe', vocab: ['a', 'b', 'ab', '<unk>'], merges: ['a b'], unknown: '<unk>' }, 'ab c')).toEqual(['ab', '<unk>']);
  });
  it('says what contradicts itself', () => {
    expect(() => inlineTokenizer({ kind: 'bpe', vocab: ['a', 'a'], merges: [] })).toThrow(/E801 \/tokenizer\/vocab the piece 'a' is there twice/);
    expect(() => inlineTokenizer({ kind: 'unigram', vocab: ['a'] })).toThrow(/needs a log probability/);
    expect(() => inlineTokenizer({ kind: 'unigram', vocab: { a: 0 } })).toThrow(/a list of/);
  });
});
