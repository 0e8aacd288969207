/** A spec's inline tokenizer, turned into what a tokenizer.json and a tokenizer_config.json hold. */
import type { InlineTokenizer } from '../../compiler/model.ts';
import { huggingFaceTokenizer } from './hugging-face.ts';
import type { Tokenizer } from './tokenizer.ts';
import { gpt2Pattern, isolate, wordPattern, type Component } from './word-patterns.ts';

function splitters(split: InlineTokenizer['split']): Component[] {
  switch (split) {
    case 'gpt2': return [isolate(gpt2Pattern)];
    case 'digits_gpt2': return [{ type: 'Digits', individual_digits: true }, isolate(gpt2Pattern)];
    case 'llama3': return [isolate(wordPattern('{1,3}'))];
    case 'qwen2': return [isolate(wordPattern(''))];
    case 'whitespace': return [{ type: 'WhitespaceSplit' }];
    case 'bert': return [{ type: 'BertPreTokenizer' }];
    case 'none': return [];
    default: throw split satisfies never;
  }
}

function normalizers(names: readonly string[]): Component[] {
  const types: Record<string, string> = { nfc: 'NFC', nfd: 'NFD', nfkc: 'NFKC', nfkd: 'NFKD', lowercase: 'Lowercase', strip_accents: 'StripAccents' };
  return names.map((name) => ({ type: types[name] ?? name }));
}

function sequence(key: string, list: readonly Component[]): Component | null {
  return list.length === 0 ? null : list.length === 1 ? list[0] ?? null : { type: 'Sequence', [key]: list };
}

/** What stands where in tokenizer.json and tokenizer_config.json for an inline tokenizer. */
export function inlineTokenizerJson(block: InlineTokenizer): { json: Record<string, unknown>; config: Record<string, unknown> } {
  const ids = new Map(block.vocab.map((entry) => [entry.token, entry.id]));
  const { special } = block;
  const specials = [block.unknown, special.begin, ...special.end, special.pad, special.separator, special.class, special.mask, ...special.more]
    .filter((token, i, all): token is string => token !== undefined && all.indexOf(token) === i);
  const idOf = (token: string): number => ids.get(token) ?? -1;
  const added = specials.map((content) => ({ id: idOf(content), content, special: true, normalized: false, lstrip: false, rstrip: false, single_word: false }));

  const vocab = Object.fromEntries(ids);
  const byteLevel = block.kind === 'byte_bpe';
  const spaces = block.kind === 'sentencepiece_bpe' || block.kind === 'unigram';
  const prefix = block.spacePrefix;
  const fallback = block.byteFallback;
  const metaspace: Component = { type: 'Metaspace', replacement: '▁', prepend_scheme: prefix ? 'always' : 'never', split: block.kind === 'unigram' };

  const model = ((): Component => {
    switch (block.kind) {
      case 'bpe': case 'byte_bpe': case 'sentencepiece_bpe':
        return {
          type: 'BPE', vocab, merges: block.merges,
          unk_token: block.unknown ?? null, byte_fallback: fallback, ignore_merges: block.ignoreMerges, fuse_unk: spaces,
          continuing_subword_prefix: null, end_of_word_suffix: null,
        };
      case 'unigram':
        return {
          type: 'Unigram', vocab: [...block.vocab].sort((a, b) => a.id - b.id).map(({ token, score }) => [token, score]),
          unk_id: block.unknown === undefined ? 0 : idOf(block.unknown), byte_fallback: fallback,
        };
      case 'wordpiece':
        return { type: 'WordPiece', vocab, unk_token: block.unknown ?? '[UNK]', continuing_subword_prefix: block.continuingPrefix, max_input_chars_per_word: 100 };
      default: throw block.kind satisfies never;
    }
  })();
  const decoders = ((): Component[] => {
    const bytes: Component[] = fallback ? [{ type: 'ByteFallback' }] : [];
    switch (block.kind) {
      case 'bpe': return [{ type: 'Fuse' }];
      case 'byte_bpe': return [{ type: 'ByteLevel' }];
      case 'sentencepiece_bpe':
        return [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, ...bytes, { type: 'Fuse' }, ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [])];
      case 'unigram': return [...bytes, metaspace];
      case 'wordpiece': return [{ type: 'WordPiece', prefix: block.continuingPrefix, cleanup: true }];
      default: throw block.kind satisfies never;
    }
  })();
  const preTokenizers: Component[] = [
    ...splitters(block.split), ...(spaces ? [metaspace] : []), ...(byteLevel ? [{ type: 'ByteLevel', add_prefix_space: prefix, use_regex: false, trim_offsets: true }] : []),
  ];

  const begin = special.begin ?? special.class;
  const end = special.end[0] ?? special.separator;
  const framed = block.kind === 'wordpiece';
  const before = begin !== undefined && (block.addBegin || framed) ? [begin] : [];
  const after = end !== undefined && (block.addEnd || framed) ? [end] : [];
  const item = (token: string): unknown => ({ SpecialToken: { id: token, type_id: 0 } });
  const json = {
    version: '1.0', added_tokens: added, normalizer: sequence('normalizers', normalizers(block.normalize)), pre_tokenizer: sequence('pretokenizers', preTokenizers), model,
    decoder: sequence('decoders', decoders),
    post_processor: before.length + after.length === 0 ? null : {
      type: 'TemplateProcessing', single: [...before.map(item), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(item)], pair: [],
      special_tokens: Object.fromEntries([...before, ...after].map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }])),
    },
  };
  const config = {
    ...(begin === undefined ? {} : { bos_token: begin }), ...(special.end[0] === undefined ? {} : { eos_token: special.end[0] }), ...(special.pad === undefined ? {} : { pad_token: special.pad }),
    ...(block.unknown === undefined ? {} : { unk_token: block.unknown }), ...(block.chatTemplate === undefined ? {} : { chat_template: block.chatTemplate }),
    clean_up_tokenization_spaces: false,
  };
  return { json, config };
}

/** The tokenizer that a spec's block describes. `file` is the spec, for messages. */
export function inlineTokenizer(block: InlineTokenizer, file = 'tokenizer'): Tokenizer {
  const { json, config } = inlineTokenizerJson(block);
  const ids = new Map(block.vocab.map((entry) => [entry.token, entry.id]));
  return huggingFaceTokenizer(json, config, { file, eos: block.special.end.flatMap((token) => ids.get(token) ?? []) });
}
