/** The contract of a tokenizer, whatever it was made from. */
import type { Diagnostic } from '../../compiler/diagnostics.ts';

/** Ids with a meaning of their own, where the model has them. */
export interface SpecialIds {
  readonly bos?: number;
  readonly unknown?: number;
  readonly pad?: number;
  /** Ids that end a text. */
  readonly eos: readonly number[];
}

export interface EncodeOptions {
  /** Put the ids that the tokenizer adds around a text (begin, end) around it: true if absent. */
  readonly frame?: boolean;
  /** Text that looks like a special token becomes that token: false if absent, so that a user's text stays text. */
  readonly parseSpecial?: boolean;
}

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** Decodes ids one by one. Never gives half a character: text waits until its bytes are complete. */
export interface DecodeStream {
  /** The text that became complete with `id`; may be empty. */
  push(id: number): string;
  /** What is left: bytes that never became a character come out as U+FFFD. */
  end(): string;
}

export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  readonly special: SpecialIds;
  readonly hasChatTemplate: boolean;
  /** What may be wrong with it, though it was read. */
  readonly warnings: readonly Diagnostic[];
  /** Lone surrogates are read as U+FFFD. Throws PeelError (exit code 12) where the text is too long or the tokenizer too slow for it. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Special tokens are left out unless `special` is set; ids that do not exist give nothing. */
  decode(ids: ArrayLike<number>, options?: { readonly special?: boolean }): string;
  stream(options?: { readonly special?: boolean }): DecodeStream;
  /** Ids of a conversation in the model's chat template. What looks like a special token in a message's content stays text. */
  chat(messages: readonly ChatMessage[], options?: { readonly generationPrompt?: boolean }): number[];
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  /** What the token adds to a text, in its middle: part of a character's UTF-8 at times. None for special tokens and ids that do not exist. */
  bytesOf(id: number): Uint8Array | undefined;
}
