/** Constraints on what a model may write, for one vocabulary. */
import { InternalError } from '../../compiler/diagnostics.ts';
import type { TokenConstraint } from '../generation/options.ts';
import type { DecodeStream, Tokenizer } from '../tokenizer/tokenizer.ts';
import { Automaton, dead } from './automaton.ts';
import { utf8 } from './code-points.ts';
import { countable } from './countable.ts';
import { checkSize, constraintError, type Grammar } from './grammar.ts';
import { prune } from './prune.ts';
import { regexGrammar } from './regex.ts';
import { schemaGrammar } from './schema/compile.ts';
import { markAllowed, tokenTrie, type TokenTrie } from './token-trie.ts';

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

type Allowed = Awaited<ReturnType<TokenConstraint['next']>>;

/** Milliseconds that preparing a grammar, or one mask, may take. */
const longestWait = 10_000;
/** Entries that an automaton may keep from one mask to the next: some 100 MB. */
const mostKept = 4_000_000;
/** Masks that are kept of each part of the vocabulary: of one with 256k tokens, 16 MB. */
const mostMasks = 500;
/**
 * Bytes of the tokens in the first part of the vocabulary. Nearly all are, and how a text goes on within so few bytes is the same in many places
 * of it, for instance wherever a string may have at least so many more characters: those share one mask.
 */
const shortToken = 16;

/** The grammar of a source. Throws PeelError (exit code 2). */
export function grammarOf(source: ConstraintSource): Grammar {
  return notTooDeep(pathOf(source), () => ('jsonSchema' in source ? schemaGrammar(source.jsonSchema) : wholeRegex(source.regex)));
}

const pathOf = (source: ConstraintSource): string => ('regex' in source ? '/regex' : '/json-schema');

function notTooDeep<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) throw constraintError('E029', path, 'is nested too deeply');
    throw error;
  }
}

function wholeRegex(pattern: string): Grammar {
  const grammar = prune(new Map([['root', regexGrammar(pattern, '/regex', utf8)]]));
  if (!grammar) throw constraintError('E028', '/regex', 'matches nothing');
  checkSize(grammar, '/regex');
  return grammar;
}

export interface EngineLimits {
  /** Milliseconds that one mask may take: 10,000 if absent. */
  readonly patience?: number;
  /** Entries that an automaton may keep from one mask to the next. */
  readonly kept?: number;
}

/** Knows a vocabulary. */
export class ConstraintEngine {
  private readonly vocabulary: Vocabulary;

  /** `outputs`: how many logits the model has. */
  constructor(tokenizer: Tokenizer, outputs: number, private readonly limits: EngineLimits = {}) {
    const { eos } = tokenizer.special;
    const short = new Map<number, Uint8Array>(), long = new Map<number, Uint8Array>();
    for (let id = 0; id < outputs; id++) {
      const bytes = eos.includes(id) ? undefined : tokenizer.bytesOf(id);
      if (bytes) (bytes.length <= shortToken ? short : long).set(id, bytes);
    }
    this.vocabulary = { tokenizer, words: (outputs + 31) >> 5, ends: eos.filter((end) => end < outputs), parts: [tokenTrie(short), tokenTrie(long)] };
  }

  /** Prepares a constraint. `grammar`: of the source. Throws PeelError (exit code 2) for a source that is wrong, not supported, too large or too slow. */
  constraint(source: ConstraintSource, grammar = grammarOf(source)): Constraint {
    return notTooDeep(pathOf(source), () => {
      const counted = prune(countable(grammar));
      if (!counted) throw new InternalError('constraint', 'nothing is left of a grammar');
      return new TextConstraint(counted, pathOf(source), this.vocabulary, this.limits);
    });
  }
}

interface Vocabulary {
  readonly tokenizer: Tokenizer;
  /** Of a mask. */
  readonly words: number;
  /** Ids that end a text. */
  readonly ends: readonly number[];
  readonly parts: readonly TokenTrie[];
}

class TextConstraint implements Constraint {
  private automaton: Automaton;
  private state: number;
  private written: number[] = [];
  private over = false;
  private deadline = 0;
  /** What is allowed of each part of the vocabulary, by state. */
  private readonly masks: readonly Map<number, Int32Array>[];
  private readonly patience: number;
  private readonly kept: number;

  constructor(private readonly grammar: Grammar, private readonly path: string, private readonly vocabulary: Vocabulary, { patience = longestWait, kept = mostKept }: EngineLimits) {
    this.patience = patience;
    this.kept = kept;
    this.masks = vocabulary.parts.map(() => new Map());
    this.automaton = this.fresh();
    this.state = this.automaton.start;
    // The most work is that for the first token; what is wrong shows here.
    this.allowed();
  }

  begin(): void {
    this.state = this.automaton.start;
    this.written = [];
    this.over = false;
  }

  async next(): Promise<Allowed> {
    // After the caller has given its device something to do.
    await Promise.resolve();
    return this.over ? { mask: new Int32Array(this.vocabulary.words), complete: true } : this.allowed();
  }

  accept(token: number): void {
    const { tokenizer, ends } = this.vocabulary;
    if (ends.includes(token)) { this.over = true; return; }
    const bytes = tokenizer.bytesOf(token) ?? [];
    this.deadline = performance.now() + this.patience;
    this.state = this.automaton.read(this.state, bytes);
    if (this.state === dead) throw new InternalError('constraint', `token ${token} was not allowed`);
    this.written.push(...bytes);
  }

  matches(text: string): boolean {
    this.deadline = performance.now() + this.patience;
    const state = this.automaton.read(this.automaton.start, new TextEncoder().encode(text));
    return this.automaton.mayEnd(state);
  }

  stream(): DecodeStream { return byteStream(this.vocabulary.tokenizer); }
  dispose(): void { this.forget(); }

  private forget(): void {
    for (const masks of this.masks) masks.clear();
  }

  private fresh(): Automaton {
    this.deadline = performance.now() + this.patience;
    return new Automaton(this.grammar, () => {
      if (performance.now() > this.deadline) throw constraintError('E029', this.path, `takes more than ${this.patience / 1000} s for one token of this vocabulary`, 'it helps if there are fewer ways to read the same text');
    });
  }

  private allowed(): Allowed {
    this.deadline = performance.now() + this.patience;
    if (this.automaton.size > this.kept) {
      // What is needed again is made again.
      this.forget();
      this.automaton = this.fresh();
      this.state = this.automaton.read(this.automaton.start, this.written);
    }
    const { words, ends, parts } = this.vocabulary;
    const mask = new Int32Array(words);
    parts.forEach((part, i) => {
      const of = this.ofPart(part, i);
      for (let w = 0; w < words; w++) mask[w] = (mask[w] ?? 0) | (of[w] ?? 0);
    });
    const more = mask.some((word) => word !== 0), mayEnd = this.automaton.mayEnd(this.state);
    if (!more && !mayEnd) throw constraintError('E028', this.path, 'the model\'s vocabulary has no token with which the text could go on');
    if (mayEnd) for (const end of ends) mask[end >> 5] = (mask[end >> 5] ?? 0) | (1 << (end & 31));
    return { mask, complete: !more };
  }

  private ofPart(part: TokenTrie, index: number): Int32Array {
    const state = this.automaton.similar(this.state, part.longest);
    const masks = this.masks[index];
    let mask = masks?.get(state);
    if (!mask) {
      mask = new Int32Array(this.vocabulary.words);
      markAllowed(part, this.automaton, state, mask);
      if ((masks?.size ?? 0) >= mostMasks) masks?.clear();
      masks?.set(state, mask);
    }
    return mask;
  }
}

/** The text of tokens' bytes: exactly what the constraint was asked about, whatever a decoder does at the beginning of a text. */
function byteStream(tokenizer: Tokenizer): DecodeStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return { push: (id) => decoder.decode(tokenizer.bytesOf(id) ?? new Uint8Array(0), { stream: true }), end: () => decoder.decode() };
}
