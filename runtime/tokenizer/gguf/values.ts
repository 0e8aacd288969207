/** Reading `tokenizer.*` from a GGUF file's metadata. */
import type { Diagnostic } from '../../../compiler/diagnostics.ts';
import { tokenizerError } from '../budget.ts';

/** What this reads of metadata; a Map is one. */
export interface Metadata {
  get(key: string): unknown;
}

/** Typed access to values under `tokenizer.`, with errors that name the key. */
export class TokenizerValues {
  readonly warnings: Diagnostic[] = [];

  constructor(private readonly metadata: Metadata, private readonly file: string) {}

  /** Throws PeelError (exit code 12). */
  fail(key: string, message: string, hint?: string): never {
    throw tokenizerError('E803', `${key} ${message}`, { file: this.file, path: '/tokenizer', ...(hint === undefined ? {} : { hint }) });
  }

  warn(message: string, hint?: string): void {
    this.warnings.push({ code: 'E807', severity: 'warning', path: '/tokenizer', message, location: { file: this.file, line: 1, column: 1 }, ...(hint === undefined ? {} : { hint }) });
  }

  text(key: string): string | undefined {
    const value = this.metadata.get(key);
    return value === undefined ? undefined : typeof value === 'string' ? value : this.fail(key, 'must be a text');
  }

  flag(key: string): boolean | undefined {
    const value = this.metadata.get(key);
    return value === undefined ? undefined : typeof value === 'boolean' ? value : this.fail(key, 'must be true or false');
  }

  /** An array's values, and undefined where there is none. */
  private list(key: string): readonly unknown[] | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value)) return value;
    return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Uint8Array) : this.fail(key, 'must be an array');
  }

  texts(key: string): readonly string[] | undefined {
    const list = this.list(key);
    const at = list?.findIndex((v) => typeof v !== 'string') ?? -1;
    return at < 0 ? list as readonly string[] | undefined : this.fail(key, `must be an array of texts, but its item ${at} is none`);
  }

  numbers(key: string): readonly number[] | undefined {
    const list = this.list(key);
    const at = list?.findIndex((v) => typeof v !== 'number' || Number.isNaN(v)) ?? -1;
    return at < 0 ? list as readonly number[] | undefined : this.fail(key, `must be an array of numbers, but its item ${at} is none`);
  }

  /** A token's id; one outside the vocabulary is left out, with a warning. `otherwise` stands for a key that is not there. */
  id(name: string, count: number, otherwise?: number): number | undefined {
    const key = `tokenizer.ggml.${name}_token_id`;
    const value = this.metadata.get(key);
    if (value === undefined) return otherwise !== undefined && otherwise < count ? otherwise : undefined;
    if (typeof value !== 'number' && typeof value !== 'bigint') return this.fail(key, 'must be a whole number');
    const id = Number(value);
    if (Number.isSafeInteger(id) && id >= 0 && id < count) return id;
    // Writers that have no such token give -1, as 32 bits without a sign.
    if (id !== 0xffffffff && id !== -1) this.warn(`${key} is ${id}, but the vocabulary has ${count} tokens; it is taken as absent`);
    return undefined;
  }
}
