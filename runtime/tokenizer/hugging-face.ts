/** A tokenizer from a tokenizer.json (and tokenizer_config.json), on Hugging Face's own JavaScript port. */
import { Tokenizer as Core } from '@huggingface/tokenizers';
import { tokenizerError, timeLimit } from './budget.ts';
import { addedTokens, escapeSpecial, splitAdded, type AddedToken } from './special.ts';
import { decodeStream } from './stream.ts';
import { renderTemplate } from './template.ts';
import type { ChatMessage, DecodeStream, EncodeOptions, SpecialIds, Tokenizer } from './tokenizer.ts';

/** Longest text that one call encodes. Longer ones are the caller's to cut, at line ends. */
export const maxTextLength = 1_000_000;
/** Time that encoding may take: far more than any tokenizer needs that is not caught in a pattern. */
const encodingTime = (length: number): number => 2000 + Math.ceil(length / 4);

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

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

/** What does not hold of a tokenizer.json, before it is given to the library, whose errors are not meant for users. */
function check(json: Fields, file: string): void {
  const model = json.model;
  const bad = (path: string, message: string): never => { throw tokenizerError('E803', message, { path, file }); };
  if (!isFields(model)) return bad('/model', 'the tokenizer has no model');
  const { type, vocab } = model;
  const kinds = ['BPE', 'WordPiece', 'Unigram'];
  if (type !== undefined && !kinds.includes(String(type))) bad('/model/type', `'${String(type)}' is not one of ${kinds.join(', ')}`);
  if (type === 'Unigram' ? !Array.isArray(vocab) : !isFields(vocab)) bad('/model/vocab', `must be ${type === 'Unigram' ? 'a list of [piece, score]' : 'a map of pieces to ids'}`);
  if (type === 'BPE' && !Array.isArray(model.merges)) bad('/model/merges', 'must be a list');
  if (isFields(vocab)) {
    const limit = 16 * Object.keys(vocab).length + 4096;
    for (const [piece, id] of Object.entries(vocab)) {
      if (!Number.isSafeInteger(id) || Number(id) < 0 || Number(id) > limit) bad(`/model/vocab/${piece}`, `id ${String(id)} is not a whole number from 0 to ${limit}`);
    }
  } else if (Array.isArray(vocab)) {
    vocab.forEach((entry: unknown, i) => {
      if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'number') bad(`/model/vocab/${i}`, 'must be a piece and its score');
    });
  }
}

class HuggingFaceTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly special: SpecialIds;
  readonly hasChatTemplate: boolean;
  private readonly specialTexts: ReadonlySet<string>;
  private readonly unnormalized: readonly AddedToken[];
  private readonly normalized: readonly AddedToken[];
  private readonly byteFallback: boolean;
  private readonly frame: { before: number[]; after: number[] };
  private readonly limited = timeLimit('encoding the text');
  private readonly cleanUp: boolean;

  constructor(private readonly core: Core, json: Fields, private readonly config: Fields, eos: readonly number[]) {
    const added = addedTokens(json);
    this.specialTexts = new Set(added.filter((t) => t.special).map((t) => t.content));
    this.unnormalized = added.filter((t) => !t.normalized || core.normalizer === null);
    this.normalized = added.filter((t) => t.normalized && core.normalizer !== null)
      .map((t) => ({ ...t, match: core.normalizer?.(t.content) ?? t.content }));
    const model = isFields(json.model) ? json.model : {};
    this.byteFallback = model.type === 'Unigram' && model.byte_fallback === true;
    this.vocabSize = core.model?.vocab.length ?? 0;
    this.cleanUp = config.clean_up_tokenization_spaces === true;
    const named = (key: string): number | undefined => {
      const text = tokenText(config[key]);
      return text === undefined ? undefined : core.token_to_id(text);
    };
    const [bos, pad, unknown, end] = [named('bos_token'), named('pad_token'), named('unk_token') ?? core.model?.unk_token_id, named('eos_token')];
    this.special = {
      eos: eos.length > 0 ? eos : end === undefined ? [] : [end],
      ...(bos === undefined ? {} : { bos }), ...(pad === undefined ? {} : { pad }), ...(unknown === undefined ? {} : { unknown }),
    };
    this.hasChatTemplate = chatTemplate(config) !== undefined;
    this.frame = this.frameIds();
  }

  /** The ids that the post-processor puts around a text. */
  private frameIds(): { before: number[]; after: number[] } {
    const marker = '\u0000text\u0000';
    const tokens = this.core.post_processor?.([marker], null, true).tokens ?? [marker];
    const at = tokens.indexOf(marker);
    const ids = (part: string[]): number[] => part.flatMap((token) => this.core.token_to_id(token) ?? []);
    return at < 0 ? { before: [], after: [] } : { before: ids(tokens.slice(0, at)), after: ids(tokens.slice(at + 1)) };
  }

  /** Tokens of text between special tokens; `section` counts sections of a text from 0 (some tokenizers mark only a text's first word). */
  private textIds(text: string, section: number, parseSpecial: boolean): number[] {
    const normalizedText = this.core.normalizer ? this.core.normalizer(text) : text;
    const ids: number[] = [];
    for (const part of splitAdded(normalizedText, this.normalized.filter((t) => parseSpecial || !t.special))) {
      if (typeof part !== 'string') { ids.push(part.id); continue; }
      if (part === '') continue;
      const words = this.core.pre_tokenizer ? this.core.pre_tokenizer(part, { section_index: section }) : [part];
      for (const token of this.core.model?.(words) ?? []) ids.push(...this.tokenIds(token, parseSpecial));
    }
    return ids;
  }

  private tokenIds(token: string, parseSpecial: boolean): number[] {
    // A Unigram vocabulary may hold the special tokens too: text that looks like one is taken apart.
    if (!parseSpecial && this.specialTexts.has(token) && token.length > 1) {
      const { model } = this.core;
      if (token !== model?.unk_token) return (model?.([token.slice(0, 1), token.slice(1)]) ?? []).flatMap((part) => this.tokenIds(part, parseSpecial));
    }
    const id = this.core.token_to_id(token);
    if (id !== undefined) return [id];
    if (this.byteFallback) {
      const bytes = [...new TextEncoder().encode(token)].map((b) => this.core.token_to_id(`<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`));
      if (bytes.every((b) => b !== undefined)) return bytes;
    }
    return this.special.unknown === undefined ? [] : [this.special.unknown];
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { frame = true, parseSpecial = false } = options;
    const ids = this.encodeParts(text, parseSpecial, (part) => part);
    return frame ? [...this.frame.before, ...ids, ...this.frame.after] : ids;
  }

  private encodeParts(text: string, parseSpecial: boolean, clean: (part: string) => string): number[] {
    if (text.length > maxTextLength) {
      throw tokenizerError('E805', `the text has ${text.length} characters, at most ${maxTextLength} are encoded at once`, { hint: 'cut it at line ends' });
    }
    return this.limited(encodingTime(text.length), () => {
      const ids: number[] = [];
      const parts = splitAdded(text.replace(/\p{Surrogate}/gu, '\ufffd'), this.unnormalized.filter((t) => parseSpecial || !t.special));
      for (const [section, part] of parts.entries()) {
        if (typeof part !== 'string') ids.push(part.id);
        else if (part !== '') for (const id of this.textIds(clean(part), section, parseSpecial)) ids.push(id);
      }
      return ids;
    });
  }

  decode(ids: ArrayLike<number>, options: { readonly special?: boolean } = {}): string {
    const known = Array.from(ids).filter((id) => this.core.id_to_token(id) !== undefined);
    if (known.length === 0) return '';
    return this.core.decode(known, { skip_special_tokens: options.special !== true, clean_up_tokenization_spaces: this.cleanUp });
  }

  stream(options: { readonly special?: boolean } = {}): DecodeStream {
    return decodeStream((ids) => this.decode(ids, options));
  }

  chat(messages: readonly ChatMessage[], options: { readonly generationPrompt?: boolean } = {}): number[] {
    const template = chatTemplate(this.config);
    if (template === undefined) {
      throw tokenizerError('E804', 'this model has no chat template', { hint: 'prompt it without --chat' });
    }
    const { escaped, restore } = escapeSpecial(messages, [...this.specialTexts]);
    const token = (key: string): string => tokenText(this.config[key]) ?? '';
    const text = renderTemplate(template, {
      messages: escaped, add_generation_prompt: options.generationPrompt ?? true,
      bos_token: token('bos_token'), eos_token: token('eos_token'), pad_token: token('pad_token'), unk_token: token('unk_token'),
    });
    return this.encodeParts(text, true, restore);
  }

  idOf(token: string): number | undefined { return this.core.token_to_id(token); }
  tokenOf(id: number): string | undefined { return this.core.id_to_token(id); }
}

/**
 * A tokenizer from the contents of tokenizer.json and tokenizer_config.json. `eos`: ids that end a text, where another file says.
 * Throws PeelError (exit code 12) where they are wrong.
 */
export function huggingFaceTokenizer(json: Fields, config: Fields = {}, options: { file?: string; eos?: readonly number[] } = {}): Tokenizer {
  const file = options.file ?? 'tokenizer.json';
  check(json, file);
  try {
    const complete = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [], ...json };
    return timeLimit('reading the tokenizer')(20_000, () => new HuggingFaceTokenizer(new Core(complete, config), json, config, options.eos ?? []));
  } catch (error) {
    if (error instanceof Error && error.name !== 'PeelError') throw tokenizerError('E803', `the tokenizer cannot be used: ${error.message.split('\n')[0] ?? ''}`, { file });
    throw error;
  }
}
