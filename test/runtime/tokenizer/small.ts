/** Small tokenizers for tests, written as tokenizer.json files are. */

/** The byte-level alphabet of GPT-2: printable bytes stand for themselves, the others for characters from U+0100 on. */
export function byteAlphabet(): string[] {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
}

export const specials = ['<s>', '</s>', '<|user|>'];

/** Byte-level BPE over the 256 bytes with a few merges and three special tokens; framed by <s>. */
export function byteLevel(): Record<string, unknown> {
  const pieces = [...byteAlphabet(), 'he', 'll', 'hell', 'hello', 'Ġw'];
  const vocab = Object.fromEntries([...specials, ...pieces].map((p, i) => [p, i]));
  return {
    added_tokens: specials.map((content, id) => ({ id, content, special: true, normalized: false, lstrip: false, rstrip: false, single_word: false })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: {
      type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [], special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
    },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: ['h e', 'l l', 'he ll', 'hell o', 'Ġ w'] },
  };
}

/** Unigram with Metaspace, whose vocabulary holds the special tokens as pieces, and bytes for what it does not know. */
export function unigram(): Record<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, b) => [`<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`, -20]);
  return {
    added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    post_processor: null,
    decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }] },
    model: {
      type: 'Unigram', unk_id: 0, byte_fallback: true,
      vocab: [['<unk>', 0], ['<s>', 0], ['</s>', 0], ...bytes, ['▁', -3], ['▁the', -2], ['▁cat', -3], ['s', -4], ['t', -4], ['h', -4], ['e', -4], ['<', -6], ['>', -6], ['/', -6]],
    },
  };
}
