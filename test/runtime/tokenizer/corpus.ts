/** The corpus of hard strings and what the Rust library makes of them (corpus/make.py). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'corpus');

export interface Expected {
  /** Framed ids with special tokens in the text as text, and their text without special tokens. */
  readonly ids: readonly number[];
  readonly decoded: string;
  /** The same with special tokens in the text as tokens, where that differs. */
  readonly parsed?: readonly number[];
  readonly parsedDecoded?: string;
  readonly special?: string;
}

export interface Conversation {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly prompt: boolean;
  readonly text?: string;
  readonly ids?: readonly number[];
  readonly refuses?: string;
}

export interface Results {
  readonly tokenizer?: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly expected: readonly Expected[];
  readonly chats: readonly Conversation[];
}

export const unzipped = (name: string): Buffer => gunzipSync(readFileSync(path.join(folder, name)));
export const results = (name: string): Results => JSON.parse(unzipped(`${name}.json.gz`).toString('utf8')) as Results;
export const texts = (): readonly string[] => JSON.parse(unzipped('texts.json.gz').toString('utf8')) as string[];
export const readJson = (file: string): Readonly<Record<string, unknown>> => JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
