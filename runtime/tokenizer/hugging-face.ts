/**
 * A tokenizer from a tokenizer.json (and tokenizer_config.json). Patterns go through Hugging Face's own JavaScript port, which translates
 * them; its other parts differ from the Rust library where texts are hard, or take long where they are, so that those in parts/ stand in for them.
 */
import type { Diagnostic } from '../../compiler/diagnostics.ts';
import { tokenizerError, timeLimit } from './budget.ts';
import { Bpe, isMerge } from './parts/bpe.ts';
import { cutter, type Cut } from './parts/cut.ts';
import { decoder, type Decode } from './parts/decode.ts';
import { isFields, text as textOf, type Fields } from './parts/fields.ts';
import { frameOf, type Frame } from './parts/frame.ts';
import type { Model } from './parts/model.ts';
import { normalizer, type Normalize } from './parts/normalize.ts';
import { Unigram } from './parts/unigram.ts';
import { WordPiece } from './parts/word-piece.ts';
import { tokenBytes } from './parts/token-bytes.ts';
import { addedTokens, escapeSpecial, TokenFinder, type AddedToken } from './special.ts';
import { decodeStream } from './stream.ts';
import { renderTemplate } from './template.ts';
import type { ChatMessage, DecodeStream, EncodeOptions, SpecialIds, Tokenizer } from './tokenizer.ts';

/** Longest text that one call encodes. Longer ones are the caller's to cut, at line ends. */
export const maxTextLength = 1_000_000;
/** Time that encoding may take: far more than any tokenizer needs that is not caught in a pattern. */
const encodingTime = (length: number): number => 2000 + Math.ceil(length / 4);

/** A token named in tokenizer_config.json: a string, or an object with its content. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isFields(value) && typeof value.content === 'string' ? value.content : undefined;
}

function chatTemplate(config: Fields): string | undefined {
  const template = config.chat_template;
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return undefined;
  // A list of named templates: the one called default, or the first.
  const named = template.filter(isFields);
  const chosen = named.find((t) => t.name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : undefined;
}

/** What does not hold of a tokenizer.json. Gives its model with the vocabulary as a map, where it is one of pieces to ids. */
function checkedModel(json: Fields, file: string): Fields {
  const model = json.model;
  const bad = (path: string, message: string): never => { throw tokenizerError('E803', message, { path, file }); };
  if (!isFields(model)) return bad('/model', 'the tokenizer has no model');
  const { type, vocab } = model;
  const kinds = ['BPE', 'WordPiece', 'Unigram'];
  if (type !== undefined && !kinds.includes(String(type))) bad('/model/type', `'${String(type)}' is not one of ${kinds.join(', ')}`);
  if (type === 'Unigram' ? !Array.isArray(vocab) : !isFields(vocab) && !(vocab instanceof Map)) bad('/model/vocab', `must be ${type === 'Unigram' ? 'a list of [piece, score]' : 'a map of pieces to ids'}`);
  if (type === 'BPE' && !Array.isArray(model.merges)) bad('/model/merges', 'must be a list');
  if (isFields(vocab) && !(vocab instanceof Map)) {
    const limit = 1 << 24;
    const ids = new Map<string, number>();
    for (const [piece, id] of Object.entries(vocab)) {
      if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0 || id > limit) bad(`/model/vocab/${piece}`, `id ${String(id)} is not a whole number from 0 to ${limit}`);
      else ids.set(piece, id);
    }
    return { ...model, vocab: ids };
  }
  if (Array.isArray(vocab)) {
    vocab.forEach((entry: unknown, i) => {
      if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'number') bad(`/model/vocab/${i}`, 'must be a piece and its score');
    });
  }
  return model;
}

/** A model's type, where an older file does not name it. */
function typeOf(model: Fields): string {
  if (typeof model.type === 'string') return model.type;
  return Array.isArray(model.vocab) ? 'Unigram' : Array.isArray(model.merges) ? 'BPE' : 'WordPiece';
}

function fail(message: string): never { throw new Error(message); }

/** Throws Error where the model is wrong. `special`: tokens that no text may become. */
function modelOf(model: Fields, special: ReadonlySet<number>): Model {
  const { vocab } = model;
  const ids = (): ReadonlyMap<string, number> => vocab as ReadonlyMap<string, number>;
  const unknown = typeof model.unk_token === 'string' ? model.unk_token : undefined;
  switch (typeOf(model)) {
    case 'Unigram':
      return new Unigram({ pieces: vocab as [string, number][], unknown: typeof model.unk_id === 'number' ? model.unk_id : undefined, byteFallback: model.byte_fallback === true, special });
    case 'WordPiece':
      return new WordPiece({ ids: ids(), unknown: unknown ?? '[UNK]', continuingPrefix: textOf(model, 'continuing_subword_prefix', '##'), longestWord: Number(model.max_input_chars_per_word ?? 100), special });
    default: {
      const merges = (model.merges as unknown[]).map((merge, i) => (isMerge(merge) ? merge : fail(`merge ${i} is no pair of pieces`)));
      return new Bpe({
        ids: ids(), merges, scores: Array.isArray(model.scores) ? model.scores as number[] : undefined, unknown, byteFallback: model.byte_fallback === true, fuseUnknown: model.fuse_unk === true,
        ignoreMerges: model.ignore_merges === true, continuingPrefix: textOf(model, 'continuing_subword_prefix', ''), wordSuffix: textOf(model, 'end_of_word_suffix', ''), special,
      });
    }
  }
}

/** A component of a tokenizer.json, where it has one. */
function part<T>(json: Fields, key: string, make: (fields: Fields) => T): T | undefined {
  const value = json[key];
  return isFields(value) ? make(value) : undefined;
}

class HuggingFaceTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly special: SpecialIds;
  readonly hasChatTemplate: boolean;
  private readonly added = new Map<string, number>();
  private readonly tokens: string[] = [];
  private readonly model: Model;
  private readonly normalize: Normalize | undefined;
  private readonly cut: Cut | undefined;
  private readonly decodeTokens: Decode | undefined;
  private readonly bytes: (token: string) => Uint8Array;
  private readonly frame: Frame;
  private readonly specialTexts: ReadonlySet<string>;
  /** Finders of added tokens in text and in normalised text, without and with the special ones. */
  private readonly finders: { readonly raw: TokenFinder; readonly normalized: TokenFinder }[];
  private readonly specialFinder: TokenFinder;
  private readonly limited = timeLimit('encoding the text');

  constructor(json: Fields, private readonly config: Fields, eos: readonly number[], readonly warnings: readonly Diagnostic[]) {
    const added = addedTokens(json);
    this.specialTexts = new Set(added.filter((t) => t.special).map((t) => t.content));
    this.specialFinder = new TokenFinder(added.filter((t) => t.special && t.content.length > 1));
    const model = isFields(json.model) ? json.model : {};
    this.model = modelOf(model, new Set(added.filter((t) => t.special && t.content.length > 1).map((t) => t.id)));
    for (const [piece, id] of this.model.ids) this.tokens[id] = piece;
    for (const token of added) {
      this.added.set(token.content, token.id);
      this.tokens[token.id] = token.content;
    }
    this.vocabSize = this.tokens.length;
    const normalize = part(json, 'normalizer', normalizer);
    this.normalize = normalize;
    this.cut = part(json, 'pre_tokenizer', cutter);
    this.decodeTokens = part(json, 'decoder', decoder);
    this.bytes = tokenBytes(json.decoder, this.decodeTokens);
    this.frame = part(json, 'post_processor', (fields) => frameOf(fields, (token) => this.idOf(token))) ?? { before: [], after: [] };
    const isRaw = (token: AddedToken): boolean => !token.normalized || !normalize;
    this.finders = [added.filter((t) => !t.special), added].map((tokens) => ({
      raw: new TokenFinder(tokens.filter(isRaw)),
      normalized: new TokenFinder(tokens.filter((t) => !isRaw(t)).map((t) => ({ ...t, match: normalize?.(t.content) ?? t.content })).filter((t) => t.match !== '')),
    }));
    const named = (key: string): number | undefined => {
      const token = tokenText(config[key]);
      return token === undefined ? undefined : this.idOf(token);
    };
    const [bos, pad, unknown, end] = [named('bos_token'), named('pad_token'), named('unk_token') ?? this.model.unknown, named('eos_token')];
    this.special = {
      eos: eos.length > 0 ? eos : end === undefined ? [] : [end],
      ...(bos === undefined ? {} : { bos }), ...(pad === undefined ? {} : { pad }), ...(unknown === undefined ? {} : { unknown }),
    };
    this.hasChatTemplate = chatTemplate(config) !== undefined;
  }

  /** Adds the ids of text between added tokens to `ids`; `first`: it begins the whole text. */
  private encodePlain(text: string, first: boolean, parseSpecial: boolean, ids: number[]): void {
    let begins = first;
    for (const piece of this.finders[parseSpecial ? 1 : 0]?.normalized.split(this.normalize ? this.normalize(text) : text) ?? []) {
      if (piece === '') continue;
      if (typeof piece !== 'string') ids.push(piece.id);
      else for (const word of this.cut ? this.cut(piece, begins) : [piece]) if (word !== '') this.model.encode(word, ids);
      begins = false;
    }
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { frame = true, parseSpecial = false } = options;
    const ids = this.encodeParts(text, parseSpecial, (piece) => piece);
    return frame ? [...this.frame.before, ...ids, ...this.frame.after] : ids;
  }

  private encodeParts(text: string, parseSpecial: boolean, clean: (piece: string) => string): number[] {
    if (text.length > maxTextLength) {
      throw tokenizerError('E805', `the text has ${text.length} characters, at most ${maxTextLength} are encoded at once`, { hint: 'cut it at line ends' });
    }
    return this.limited(encodingTime(text.length), () => {
      const ids: number[] = [];
      let first = true;
      for (const piece of this.finders[parseSpecial ? 1 : 0]?.raw.split(text.replace(/\p{Surrogate}/gu, '\ufffd')) ?? []) {
        if (piece === '') continue;
        if (typeof piece !== 'string') ids.push(piece.id);
        else this.encodePlain(clean(piece), first, parseSpecial, ids);
        first = false;
      }
      return ids;
    });
  }

  /** As the Rust library decodes: without `clean_up_tokenization_spaces`, which would take spaces from code and quotes. */
  decode(ids: ArrayLike<number>, options: { readonly special?: boolean } = {}): string {
    const tokens = Array.from(ids, (id) => this.tokens[id]).filter((token): token is string => token !== undefined && (options.special === true || !this.specialTexts.has(token)));
    return this.decodeTokens ? this.decodeTokens(tokens).join('') : tokens.join(' ');
  }

  stream(options: { readonly special?: boolean } = {}): DecodeStream {
    return decodeStream((ids) => this.decode(ids, options));
  }

  chat(messages: readonly ChatMessage[], options: { readonly generationPrompt?: boolean } = {}): number[] {
    const template = chatTemplate(this.config);
    if (template === undefined) {
      throw tokenizerError('E804', 'this model has no chat template', { hint: 'prompt it without --chat' });
    }
    const { escaped, restore } = escapeSpecial(messages, this.specialFinder);
    const token = (key: string): string => tokenText(this.config[key]) ?? '';
    const text = renderTemplate(template, {
      messages: escaped, add_generation_prompt: options.generationPrompt ?? true,
      bos_token: token('bos_token'), eos_token: token('eos_token'), pad_token: token('pad_token'), unk_token: token('unk_token'),
    });
    return this.encodeParts(text, true, restore);
  }

  idOf(token: string): number | undefined { return this.added.get(token) ?? this.model.ids.get(token); }
  tokenOf(id: number): string | undefined { return this.tokens[id]; }
  bytesOf(id: number): Uint8Array | undefined {
    const token = this.tokens[id];
    return token === undefined || this.specialTexts.has(token) ? undefined : this.bytes(token);
  }
}

/**
 * A tokenizer from the contents of tokenizer.json and tokenizer_config.json. `eos`: ids that end a text, where another file says;
 * `warnings`: what was found on the way there.
 * Throws PeelError (exit code 12) where they are wrong.
 */
export function huggingFaceTokenizer(json: Fields, config: Fields = {}, options: { file?: string; eos?: readonly number[]; warnings?: readonly Diagnostic[] } = {}): Tokenizer {
  const file = options.file ?? 'tokenizer.json';
  const model = checkedModel(json, file);
  try {
    return timeLimit('reading the tokenizer')(60_000, () => new HuggingFaceTokenizer({ ...json, model }, config, options.eos ?? [], options.warnings ?? []));
  } catch (error) {
    if (error instanceof Error && error.name !== 'PeelError') throw tokenizerError('E803', `the tokenizer cannot be used: ${error.message.split('\n')[0] ?? ''}`, { file });
    throw error;
  }
}
