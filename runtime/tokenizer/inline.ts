/** A spec's inline tokenizer, turned into what a tokenizer.json and a tokenizer_config.json hold. */
import { tokenizerError } from './budget.ts';
import { huggingFaceTokenizer } from './hugging-face.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The spec's `tokenizer` block, as its schema describes it. */
export interface InlineTokenizer {
  readonly kind: 'bpe' | 'byte_bpe' | 'sentencepiece_bpe' | 'unigram' | 'wordpiece';
  readonly vocab: readonly (string | readonly [string, number])[] | Readonly<Record<string, number>>;
  readonly merges?: readonly (string | readonly string[])[];
  readonly unknown?: string;
  readonly byte_fallback?: boolean;
  readonly split?: 'gpt2' | 'llama3' | 'qwen2' | 'whitespace' | 'digits_gpt2' | 'bert' | 'none';
  readonly normalize?: string | readonly string[];
  readonly space_prefix?: boolean;
  readonly continuing_prefix?: string;
  readonly ignore_merges?: boolean;
  readonly special?: {
    readonly begin?: string; readonly end?: string | readonly string[]; readonly pad?: string; readonly separator?: string;
    readonly class?: string; readonly mask?: string; readonly more?: readonly string[];
  };
  readonly add_begin?: boolean;
  readonly add_end?: boolean;
  readonly chat_template?: string;
}

type Component = { readonly type: string; readonly [key: string]: unknown };

/** The pattern that tokenizers of OpenAI's and Meta's kind cut words with; `digits` is how many digits stay together. */
const wordPattern = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const gpt2Pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const isolate = (pattern: string): Component => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false });

function splitters(split: NonNullable<InlineTokenizer['split']>): Component[] {
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
  return names.filter((name) => name !== 'none').map((name) => ({ type: types[name] ?? name }));
}

function sequence(key: string, list: readonly Component[]): Component | null {
  return list.length === 0 ? null : list.length === 1 ? list[0] ?? null : { type: 'Sequence', [key]: list };
}

/** Ids of the pieces, in the form that the kind wants, and all ids by piece. */
function vocabulary(block: InlineTokenizer): { ids: Map<string, number>; scored: [string, number][] } {
  const bad = (message: string): never => { throw tokenizerError('E801', message, { path: '/tokenizer/vocab' }); };
  const ids = new Map<string, number>();
  const scored: [string, number][] = [];
  const { vocab } = block;
  if (Array.isArray(vocab)) {
    (vocab as readonly (string | readonly [string, number])[]).forEach((entry, id) => {
      const [piece, score] = typeof entry === 'string' ? [entry, undefined] : entry;
      if (ids.has(piece)) bad(`the piece '${piece}' is there twice, as ids ${ids.get(piece) ?? 0} and ${id}`);
      if (block.kind === 'unigram' && score === undefined) bad(`item ${id} needs a log probability: [${JSON.stringify(piece)}, -1.5]`);
      ids.set(piece, id);
      scored.push([piece, score ?? 0]);
    });
  } else {
    if (block.kind === 'unigram') bad('a unigram vocabulary is a list of [piece, log probability]');
    for (const [piece, id] of Object.entries(vocab as Readonly<Record<string, number>>)) ids.set(piece, id);
  }
  return { ids, scored };
}

/** What stands where in tokenizer.json and tokenizer_config.json for an inline tokenizer. */
export function inlineTokenizerJson(block: InlineTokenizer): { json: Record<string, unknown>; config: Record<string, unknown> } {
  const { ids, scored } = vocabulary(block);
  const { special = {} } = block;
  const ends = typeof special.end === 'string' ? [special.end] : special.end ?? [];
  const specials = [block.unknown, special.begin, ...ends, special.pad, special.separator, special.class, special.mask, ...(special.more ?? [])]
    .filter((token, i, all): token is string => token !== undefined && all.indexOf(token) === i);
  // Special tokens that the vocabulary lacks come behind it.
  let next = Math.max(-1, ...ids.values()) + 1;
  const added = specials.map((content) => ({ id: ids.get(content) ?? next++, content, special: true, normalized: false, lstrip: false, rstrip: false, single_word: false }));
  const idOf = (token: string): number => added.find((t) => t.content === token)?.id ?? ids.get(token) ?? -1;

  const vocab = Object.fromEntries(ids);
  const byteLevel = block.kind === 'byte_bpe';
  const spaces = block.kind === 'sentencepiece_bpe' || block.kind === 'unigram';
  const prefix = block.space_prefix ?? spaces;
  const split = block.split ?? ({ bpe: 'whitespace', byte_bpe: 'gpt2', sentencepiece_bpe: 'none', unigram: 'none', wordpiece: 'bert' } as const)[block.kind];
  const cut = splitters(split);
  const clean = normalizers(typeof block.normalize === 'string' ? [block.normalize] : block.normalize ?? []);
  const fallback = block.byte_fallback ?? block.kind === 'sentencepiece_bpe';
  const metaspace: Component = { type: 'Metaspace', replacement: '▁', prepend_scheme: prefix ? 'always' : 'never', split: block.kind === 'unigram' };

  const model = ((): Component => {
    switch (block.kind) {
      case 'bpe': case 'byte_bpe': case 'sentencepiece_bpe':
        return {
          type: 'BPE', vocab, merges: (block.merges ?? []).map((merge) => (typeof merge === 'string' ? merge.split(' ') : merge)),
          unk_token: block.unknown ?? null, byte_fallback: fallback, ignore_merges: block.ignore_merges ?? false, fuse_unk: spaces,
          continuing_subword_prefix: null, end_of_word_suffix: null,
        };
      case 'unigram':
        return { type: 'Unigram', vocab: scored, unk_id: block.unknown === undefined ? 0 : ids.get(block.unknown) ?? 0, byte_fallback: fallback };
      case 'wordpiece':
        return { type: 'WordPiece', vocab, unk_token: block.unknown ?? '[UNK]', continuing_subword_prefix: block.continuing_prefix ?? '##', max_input_chars_per_word: 100 };
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
      case 'wordpiece': return [{ type: 'WordPiece', prefix: block.continuing_prefix ?? '##', cleanup: true }];
      default: throw block.kind satisfies never;
    }
  })();
  const preTokenizers: Component[] = [
    ...cut, ...(spaces ? [metaspace] : []), ...(byteLevel ? [{ type: 'ByteLevel', add_prefix_space: prefix, use_regex: false, trim_offsets: true }] : []),
  ];

  const begin = special.begin ?? special.class;
  const end = ends[0] ?? special.separator;
  const framed = block.kind === 'wordpiece';
  const before = begin !== undefined && (block.add_begin ?? framed) ? [begin] : [];
  const after = end !== undefined && (block.add_end ?? framed) ? [end] : [];
  const item = (token: string): unknown => ({ SpecialToken: { id: token, type_id: 0 } });
  const json = {
    version: '1.0', added_tokens: added, normalizer: sequence('normalizers', clean), pre_tokenizer: sequence('pretokenizers', preTokenizers), model,
    decoder: sequence('decoders', decoders),
    post_processor: before.length + after.length === 0 ? null : {
      type: 'TemplateProcessing', single: [...before.map(item), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(item)], pair: [],
      special_tokens: Object.fromEntries([...before, ...after].map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }])),
    },
  };
  const config = {
    ...(begin === undefined ? {} : { bos_token: begin }), ...(ends[0] === undefined ? {} : { eos_token: ends[0] }), ...(special.pad === undefined ? {} : { pad_token: special.pad }),
    ...(block.unknown === undefined ? {} : { unk_token: block.unknown }), ...(block.chat_template === undefined ? {} : { chat_template: block.chat_template }),
    clean_up_tokenization_spaces: false,
  };
  return { json, config };
}

/** The tokenizer that a spec's block describes. Throws PeelError (exit code 12) where it contradicts itself. */
export function inlineTokenizer(block: InlineTokenizer, file = 'tokenizer'): Tokenizer {
  const { json, config } = inlineTokenizerJson(block);
  const added = json.added_tokens as { id: number; content: string }[];
  const ends = typeof block.special?.end === 'string' ? [block.special.end] : block.special?.end ?? [];
  return huggingFaceTokenizer(json, config, { file, eos: ends.flatMap((token) => added.find((t) => t.content === token)?.id ?? []) });
}
