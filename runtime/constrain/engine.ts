/** Constraints on what a model may write, for one vocabulary. */
import { createRequire } from 'node:module';
import type { Worker } from 'node:worker_threads';
import { InternalError } from '../../compiler/diagnostics.ts';
import type { TokenConstraint } from '../generation/options.ts';
import type { DecodeStream, Tokenizer } from '../tokenizer/tokenizer.ts';
import { utf8 } from './code-points.ts';
import { checkSize, constraintError, printGrammar, type Grammar } from './grammar.ts';
import { prune } from './prune.ts';
import { regexGrammar } from './regex.ts';
import { schemaGrammar } from './schema/compile.ts';
import { workerProgram } from './worker.ts';

/** What a text must be. */
export type ConstraintSource =
  /** JSON that matches a schema, a parsed one. */
  | { readonly jsonSchema: unknown }
  /** A text that a regular expression matches as a whole: JavaScript's syntax with the u flag. */
  | { readonly regex: string };

export interface Constraint extends TokenConstraint {
  stream(): DecodeStream;
  dispose(): void;
}

/** Milliseconds that preparing a grammar, or one mask, may take. */
const longestWait = 10_000;

/** The grammar of a source. Throws PeelError (exit code 2). */
export function grammarOf(source: ConstraintSource): Grammar {
  if ('jsonSchema' in source) return schemaGrammar(source.jsonSchema);
  const grammar = prune(new Map([['root', regexGrammar(source.regex, '/regex', utf8)]]));
  if (!grammar) throw constraintError('E028', '/regex', 'matches nothing');
  checkSize(grammar, '/regex');
  return grammar;
}

/** Each byte as the character by which byte-level vocabularies write it: printable Latin-1 as itself, the others from U+0100 on. */
function byteCharacters(): string[] {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
}

/** The vocabulary as byte-level texts, by id; empty for what never stands in a text. The last is none of it: it says that the text may end. */
function vocabulary(tokenizer: Tokenizer, outputs: number): string[] {
  const characters = byteCharacters();
  const never = new Set(tokenizer.special.eos);
  const tokens = Array.from({ length: outputs }, (_, id) => (never.has(id) ? '' : Array.from(tokenizer.bytesOf(id) ?? [], (b) => characters[b] ?? '').join('')));
  return [...tokens, '<end>'];
}

interface Reply { readonly call?: number; readonly result?: unknown; readonly error?: string }

export class ConstraintEngine {
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  private calls = 0;
  private ended = false;

  private constructor(private readonly worker: Worker, private readonly tokenizer: Tokenizer, private readonly outputs: number, private readonly patience: number) {
    worker.on('message', ({ call, result, error }: Reply) => {
      if (error !== undefined && call === undefined) { this.fail(new InternalError('constraint', error)); return; }
      const waiting = this.waiting.get(call ?? -1);
      this.waiting.delete(call ?? -1);
      if (this.waiting.size === 0) worker.unref();
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new InternalError('constraint', error));
    });
    worker.on('error', (error) => { this.fail(new InternalError('constraint', error.message)); });
    worker.on('exit', () => { this.fail(new InternalError('constraint', 'the thread has ended')); });
  }

  /** `outputs`: how many logits the model has. `patience`: milliseconds that preparing a grammar, or one mask, may take. */
  static async open(tokenizer: Tokenizer, outputs: number, patience = longestWait): Promise<ConstraintEngine> {
    const { Worker } = await import('node:worker_threads');
    const file = createRequire(import.meta.url).resolve('@mlc-ai/web-xgrammar');
    const engine = new ConstraintEngine(new Worker(workerProgram, { eval: true, workerData: { file }, execArgv: [], name: 'peel constraints' }), tokenizer, outputs, patience);
    engine.worker.unref();
    await engine.call('vocabulary', { tokens: vocabulary(tokenizer, outputs) }, '/constraint', Math.max(patience, longestWait));
    return engine;
  }

  get usable(): boolean { return !this.ended; }

  private fail(error: unknown): void {
    this.ended = true;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  private post(work: string, data: object): void {
    if (!this.ended) this.worker.postMessage({ work, ...data });
  }

  private async call(work: string, data: object, path: string, patience = this.patience): Promise<unknown> {
    if (this.ended) throw new InternalError('constraint', 'the thread has ended');
    const call = this.calls++;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.waiting.set(call, { resolve, reject });
        this.worker.ref();
        timer = setTimeout(() => {
          this.fail(constraintError('E029', path, `takes more than ${patience / 1000} s for this vocabulary`, 'smaller limits on repetitions and lengths help'));
          void this.worker.terminate();
        }, patience);
        this.worker.postMessage({ work, call, ...data });
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Prepares a constraint. Throws PeelError (exit code 2) for a source that is wrong, not supported, too large or too slow. */
  async constraint(source: ConstraintSource): Promise<Constraint> {
    const grammar = printGrammar(grammarOf(source));
    const path = 'regex' in source ? '/regex' : '/json-schema';
    const id = this.calls++;
    await this.call('compile', { id, grammar }, path);
    const { outputs, tokenizer } = this;
    const eos = tokenizer.special.eos.filter((end) => end < outputs);
    const allow = (mask: Int32Array, token: number): void => { mask[token >> 5] = (mask[token >> 5] ?? 0) | (1 << (token & 31)); };
    let over = false;
    return {
      begin: () => {
        over = false;
        this.post('begin', { id });
      },
      next: async () => {
        if (over) return { mask: new Int32Array((outputs + 31) >> 5), complete: true };
        const mask = await this.call('mask', { id }, path) as Int32Array;
        const mayEnd = (((mask[outputs >> 5] ?? 0) >>> (outputs & 31)) & 1) === 1;
        mask[outputs >> 5] = (mask[outputs >> 5] ?? 0) & ~(1 << (outputs & 31));
        const more = mask.some((word) => word !== 0);
        if (!more && !mayEnd) throw constraintError('E028', path, 'the model\'s vocabulary has no token with which the text could go on');
        if (mayEnd) for (const end of eos) allow(mask, end);
        return { mask, complete: !more };
      },
      accept: (token) => {
        if (eos.includes(token)) over = true;
        else this.post('accept', { id, token });
      },
      stream: () => byteStream(tokenizer),
      dispose: () => { this.post('dispose', { id }); },
    };
  }

  async dispose(): Promise<void> {
    this.ended = true;
    await this.worker.terminate();
  }
}

/** The text of tokens' bytes: exactly what the constraint was asked about, whatever a decoder does at the beginning of a text. */
function byteStream(tokenizer: Tokenizer): DecodeStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return { push: (id) => decoder.decode(tokenizer.bytesOf(id) ?? new Uint8Array(0), { stream: true }), end: () => decoder.decode() };
}
