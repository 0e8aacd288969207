/** The tokenizer in a GGUF file's metadata, turned into what a tokenizer.json and a tokenizer_config.json hold. */
import type { Diagnostic } from '../../../compiler/diagnostics.ts';
import { isMerge } from '../parts/bpe.ts';
import type { Component } from '../word-patterns.ts';
import { preTokenizers, type PreTokenizer } from './pre.ts';
import { TokenizerValues, type Metadata } from './values.ts';

export interface Converted {
  readonly json: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
  /** Ids that end a text. */
  readonly eos: readonly number[];
  readonly warnings: readonly Diagnostic[];
}

/** Values of `tokenizer.ggml.token_type`. */
const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Tokens that end a reply, as llama.cpp takes them, whatever type the file gives them: files name at most three of a model's several. */
const endTexts = [
  '<|eot_id|>', '<|im_end|>', '<|end|>', '<|return|>', '<|call|>', '<|flush|>', '<|calls|>', '<end_of_turn>', '<|endoftext|>', '</s>', '<|eom_id|>', '<EOT>', '_<EOT>',
  '[EOT]', '[EOS]', '<|end_of_text|>', '<end_of_utterance>', '<eos>', '<｜end▁of▁sentence｜>', '[e~[',
];

/** Texts of the list that may be a vocabulary's ordinary pieces too. */
const ordinaryTexts = ['</s>', '<eos>', '<EOT>', '[EOS]', '[e~['];

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  readonly types: readonly number[] | undefined;
}

function readVocabulary(values: TokenizerValues, rename: (token: string, type: number) => string): Vocabulary {
  const key = 'tokenizer.ggml.tokens';
  const listed = values.texts(key) ?? values.fail(key, 'is missing', 'the file has no vocabulary: give token ids with --ids');
  const types = values.numbers('tokenizer.ggml.token_type');
  if (types && types.length !== listed.length) values.fail('tokenizer.ggml.token_type', `has ${types.length} items for ${listed.length} tokens`);
  const ids = new Map<string, number>();
  const tokens = listed.map((token, id) => {
    const text = token === '' ? `[EMPTY_${id}]` : rename(token, types?.[id] ?? tokenType.normal);
    const before = ids.get(text);
    if (before !== undefined) values.fail(key, `holds '${text.slice(0, 60)}' twice, at ${before} and ${id}`);
    ids.set(text, id);
    return text;
  });
  return { tokens, ids, types };
}

/** Whether a token ends a reply by its text. */
function endsReply({ ids, types }: Vocabulary, text: string): boolean {
  const id = ids.get(text);
  if (id === undefined) return false;
  const type = types?.[id] ?? tokenType.normal;
  return type === tokenType.control || (!ordinaryTexts.includes(text) && (type === tokenType.userDefined || type === tokenType.normal));
}

/** Tokens that are found in text before anything else: control tokens where they are asked for, a user's own everywhere. */
function addedTokens(vocabulary: Vocabulary, unknown: number | undefined): Component[] {
  const { tokens, ids, types } = vocabulary;
  const added: Component[] = [];
  const ends = new Set(endTexts.filter((text) => endsReply(vocabulary, text)).map((text) => ids.get(text)));
  tokens.forEach((content, id) => {
    const type = types?.[id];
    const special = type === tokenType.control || type === tokenType.unknown || (types === undefined && id === unknown) || ends.has(id);
    if (!special && type !== tokenType.userDefined) return;
    added.push({ type: 'AddedToken', id, content, special, normalized: false, lstrip: false, rstrip: false, single_word: false });
  });
  return added;
}

interface Frame {
  readonly before: readonly (number | undefined)[];
  readonly after: readonly (number | undefined)[];
}

/** What differs between kinds of vocabulary. */
interface Kind {
  readonly vocabulary: Vocabulary;
  readonly normalizer: Component | null;
  readonly preTokenizer: Component | null;
  readonly model: Component;
  readonly decoder: Component;
  /** Ids that stand for bos, eos, unknown and pad where the file names none. */
  readonly defaults: { readonly bos?: number; readonly eos?: number; readonly unknown?: number; readonly separator?: number; readonly pad?: number };
  readonly add: { readonly bos: boolean; readonly eos: boolean; readonly separator: boolean };
}

const sequence = (key: string, list: readonly Component[]): Component | null =>
  (list.length > 1 ? { type: 'Sequence', [key]: list } : list[0] ?? null);
const unchanged = (token: string): string => token;
const space = '▁';

function preTokenizerOf(values: TokenizerValues): PreTokenizer {
  const key = 'tokenizer.ggml.pre';
  const known = preTokenizers();
  const name = values.text(key);
  // As llama.cpp does: a file without the key is read, with a warning; a name that is not known is an error, since every text would be cut wrongly.
  if (name === undefined || name === 'default') {
    values.warn(name === undefined ? `${key} is missing: words are cut in a general way, which may not be the model's` : `${key} is 'default': words are cut in a general way, which may not be the model's`,
      'convert the model again with a newer converter');
  }
  return known.get(name ?? 'default') ?? values.fail(key, `is '${name ?? ''}', which is not known`, `known are ${[...known.keys()].join(', ')}`);
}

function byteLevel(values: TokenizerValues): Kind {
  const vocabulary = readVocabulary(values, unchanged);
  const pre = preTokenizerOf(values);
  const mergesKey = 'tokenizer.ggml.merges';
  const merges = values.texts(mergesKey) ?? values.fail(mergesKey, 'is missing');
  const wrong = merges.findIndex((merge) => !isMerge(merge));
  if (wrong >= 0) values.fail(mergesKey, `has no space in its item ${wrong}`);
  const bytes: Component = { type: 'ByteLevel', add_prefix_space: false, use_regex: false, trim_offsets: true };
  return {
    vocabulary, normalizer: pre.normalize ? { type: pre.normalize } : null,
    preTokenizer: pre.cut.some((part) => part.type === 'ByteLevel') ? sequence('pretokenizers', pre.cut) : sequence('pretokenizers', [...pre.cut, bytes]),
    model: { type: 'BPE', vocab: vocabulary.ids, merges, unk_token: null, byte_fallback: false, ignore_merges: pre.ignoreMerges ?? false, fuse_unk: false },
    decoder: { type: 'ByteLevel' }, defaults: {}, add: { bos: pre.addBegin ?? false, eos: false, separator: pre.addSeparator ?? false },
  };
}

function scoresOf(values: TokenizerValues, count: number): readonly number[] {
  const key = 'tokenizer.ggml.scores';
  const scores = values.numbers(key) ?? values.fail(key, 'is missing');
  return scores.length === count ? scores : values.fail(key, `has ${scores.length} items for ${count} tokens`);
}

/** SentencePiece's BPE: pieces join in the order of their scores. */
function sentencePiece(values: TokenizerValues): Kind {
  const vocabulary = readVocabulary(values, unchanged);
  const prefix = values.flag('tokenizer.ggml.add_space_prefix') ?? true;
  const scores = scoresOf(values, vocabulary.tokens.length);
  const spaces: Component = { type: 'Replace', pattern: { String: ' ' }, content: space };
  const unknown = values.id('unknown', vocabulary.tokens.length, 0);
  return {
    vocabulary, normalizer: prefix ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: space }, spaces] } : spaces, preTokenizer: null,
    model: { type: 'BPE', vocab: vocabulary.ids, merges: [], scores, unk_token: vocabulary.tokens[unknown ?? -1] ?? null, byte_fallback: true, ignore_merges: false, fuse_unk: true },
    decoder: {
      type: 'Sequence', decoders: [
        { type: 'Replace', pattern: { String: space }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    defaults: { bos: 1, eos: 2, unknown: 0 }, add: { bos: true, eos: false, separator: false },
  };
}

function wordPiece(values: TokenizerValues): Kind {
  // Files mark words' beginnings (▁word) where vocab.txt marks what goes on (##piece).
  const vocabulary = readVocabulary(values, (token, type) =>
    (type === tokenType.control || type === tokenType.unknown || /^\[.*\]$/.test(token) ? token : token.startsWith(space) ? token.slice(space.length) : `##${token}`));
  const { tokens, ids } = vocabulary;
  const capitals = (): boolean => tokens.some((token, id) => (vocabulary.types?.[id] ?? 1) === tokenType.normal && /^(##)?[A-Z]+$/.test(token));
  // Where the file does not say whether the model knows capitals, its vocabulary does.
  const lowercase = values.flag('tokenizer.ggml.normalizer.lowercase') ?? !capitals();
  const unknown = values.id('unknown', tokens.length, ids.get('[UNK]')) ?? values.fail('tokenizer.ggml.unknown_token_id', 'is missing');
  const named = (token: string, otherwise: number): number => ids.get(token) ?? otherwise;
  return {
    vocabulary,
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase, strip_accents: values.flag('tokenizer.ggml.normalizer.strip_accents') ?? lowercase },
    preTokenizer: { type: 'BertPreTokenizer' },
    model: { type: 'WordPiece', vocab: ids, unk_token: tokens[unknown], continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    defaults: { bos: named('[CLS]', 101), separator: named('[SEP]', 102), unknown: named('[UNK]', 100), pad: named('[PAD]', 0) },
    add: { bos: true, eos: false, separator: true },
  };
}

function unigram(values: TokenizerValues): Kind {
  const vocabulary = readVocabulary(values, unchanged);
  const { tokens, types } = vocabulary;
  const scores = scoresOf(values, tokens.length);
  const charsmap = values.numbers('tokenizer.ggml.precompiled_charsmap');
  const prefix = values.flag('tokenizer.ggml.add_space_prefix') ?? true;
  const extra = values.flag('tokenizer.ggml.remove_extra_whitespaces') ?? true;
  const steps: Component[] = [
    ...(charsmap && charsmap.length > 0 ? [{ type: 'Precompiled', precompiled_charsmap: Buffer.from(Uint8Array.from(charsmap)).toString('base64') }] : []),
    ...(extra ? [{ type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }, { type: 'Replace', pattern: { Regex: '\\A | \\z' }, content: '' }] : []),
  ];
  const metaspace: Component = { type: 'Metaspace', replacement: space, prepend_scheme: prefix ? 'always' : 'never', split: true };
  return {
    vocabulary, normalizer: sequence('normalizers', steps), preTokenizer: metaspace,
    model: {
      type: 'Unigram', vocab: tokens.map((token, id) => [token, scores[id] ?? 0]), unk_id: values.id('unknown', tokens.length, 2) ?? 0,
      byte_fallback: types?.includes(tokenType.byte) ?? false,
    },
    decoder: types?.includes(tokenType.byte) === true ? { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, metaspace] } : metaspace,
    defaults: { eos: 1, unknown: 2, pad: 0 }, add: { bos: false, eos: true, separator: false },
  };
}

function readKind(values: TokenizerValues): Kind {
  const key = 'tokenizer.ggml.model';
  const kinds: Readonly<Record<string, (values: TokenizerValues) => Kind>> = { gpt2: byteLevel, llama: sentencePiece, bert: wordPiece, t5: unigram };
  const name = values.text(key) ?? values.fail(key, 'is missing', 'the file has no tokenizer: give token ids with --ids');
  const read = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  return (read ?? values.fail(key, `is '${name}', which is not known`, `known are ${Object.keys(kinds).join(', ')}`))(values);
}

function endIds(values: TokenizerValues, vocabulary: Vocabulary, eos: number | undefined): number[] {
  const { tokens, ids } = vocabulary;
  const named = [eos, values.id('eot', tokens.length), values.id('eom', tokens.length)];
  const found = endTexts.filter((text) => endsReply(vocabulary, text)).map((text) => ids.get(text));
  const end = new Set([...named, ...found].filter((id) => id !== undefined));
  // Where a reply has several parts, <|end|> ends a part only.
  const has = (text: string): boolean => end.has(ids.get(text) ?? -1);
  const part = ids.get('<|end|>');
  if (part !== undefined && part !== eos && ((has('<|return|>') && has('<|call|>')) || (has('<|calls|>') && has('<|flush|>')))) end.delete(part);
  return [...end];
}

/** Throws PeelError (exit code 12) where the metadata are wrong or of a kind that is not known. `file` is named in messages. */
export function convertGguf(metadata: Metadata, file: string): Converted {
  const values = new TokenizerValues(metadata, file);
  const kind = readKind(values);
  const { tokens } = kind.vocabulary;
  const id = (name: string, otherwise?: number): number | undefined => values.id(name, tokens.length, otherwise);
  const { defaults } = kind;
  const [bos, eos, unknown, pad] = [id('bos', defaults.bos), id('eos', defaults.eos), id('unknown', defaults.unknown), id('padding', defaults.pad)];
  // The key is spelt so.
  const separator = id('seperator', defaults.separator);
  const adds = (name: string, otherwise: boolean, token: number | undefined): boolean => {
    const said = values.flag(`tokenizer.ggml.add_${name}_token`);
    if (said === true && token === undefined) values.fail(`tokenizer.ggml.add_${name}_token`, 'is true, but the file names no such token');
    return (said ?? otherwise) && token !== undefined;
  };
  const begin = adds('bos', kind.add.bos, bos) ? bos : undefined;
  const frame: Frame = { before: [begin], after: [adds('sep', kind.add.separator, separator) ? separator : undefined, adds('eos', kind.add.eos, eos) ? eos : undefined] };
  const part = (list: Frame['before']): unknown[] => list.flatMap((at) => (at === undefined ? [] : [{ SpecialToken: { id: tokens[at], type_id: 0 } }]));
  const around = [...frame.before, ...frame.after].flatMap((at) => (at === undefined ? [] : [[tokens[at], { id: tokens[at], ids: [at], tokens: [tokens[at]] }] as const]));
  const template = values.text('tokenizer.chat_template');
  const config = Object.fromEntries(Object.entries({ bos_token: bos, eos_token: eos, unk_token: unknown, pad_token: pad, sep_token: separator })
    .flatMap(([key, at]) => (at === undefined ? [] : [[key, tokens[at]]])));
  return {
    json: {
      version: '1.0', added_tokens: addedTokens(kind.vocabulary, unknown), normalizer: kind.normalizer, pre_tokenizer: kind.preTokenizer, model: kind.model, decoder: kind.decoder,
      post_processor: around.length === 0 ? null : {
        type: 'TemplateProcessing', single: [...part(frame.before), { Sequence: { id: 'A', type_id: 0 } }, ...part(frame.after)], pair: [],
        special_tokens: Object.fromEntries(around),
      },
    },
    config: { ...config, ...(template === undefined ? {} : { chat_template: template }) },
    eos: endIds(values, kind.vocabulary, eos), warnings: values.warnings,
  };
}
