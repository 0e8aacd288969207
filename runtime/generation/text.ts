/** Generation of text: tokens decoded piece by piece, stop strings, the end of a text. */
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import type { Session } from '../session.ts';
import type { DecodeStream, Tokenizer } from '../tokenizer/tokenizer.ts';
import type { GeneratedToken, GenerateOptions } from './options.ts';
import { StopStrings } from './stop-strings.ts';

export interface TextOptions extends GenerateOptions {
  /** Texts that end the generation; they are not part of its text. At most 64, none empty. */
  readonly stopStrings?: readonly string[];
  /** Go on past the tokens that end a text. */
  readonly ignoreEnd?: boolean;
}

export interface GeneratedText {
  readonly text: string;
  /** The generated ids, without the one that ended the text. With a stop string, those that make it are among them. */
  readonly ids: readonly number[];
  readonly tokens: readonly GeneratedToken[];
  /** maxTokens; a token that ends texts; a stop string or id; a full context; the signal; a constraint that nothing can follow. */
  readonly stopped: 'length' | 'end' | 'stop' | 'context' | 'aborted' | 'complete';
  /** The stop string that was found. */
  readonly stop?: string;
  /** The text was cut before it was what its constraint asks for. */
  readonly unfinished?: true;
}

/** Tokens before the text that a decoder may look at. */
const decoderContext = 8;

/** A stream for what follows `prompt`: a decoder that drops the space in front of a text's first word must not do so in its middle. */
function streamAfter(tokenizer: Tokenizer, prompt: readonly number[]): DecodeStream {
  const stream = tokenizer.stream();
  for (const id of prompt.slice(-decoderContext)) stream.push(id);
  return stream;
}

/**
 * Continues `prompt`. Gives text as it becomes certain, and at last all there is to know. `fresh`: the text is one of its own (a reply), not a
 * continuation of the prompt's text.
 */
export async function* generateText(
  session: Session, tokenizer: Tokenizer, prompt: readonly number[], options: TextOptions & { readonly fresh?: boolean } = {},
): AsyncGenerator<string, GeneratedText, undefined> {
  const { stopStrings = [], ignoreEnd = false, fresh = false, stop = [], ...rest } = options;
  if (stopStrings.length > 64 || stopStrings.some((s) => s === '')) {
    const message = stopStrings.length > 64 ? `must be at most 64 texts, found ${stopStrings.length}` : 'must not be empty';
    throw new PeelError(ExitCode.usage, [{ code: 'E020', severity: 'error', path: '/stop', message }]);
  }
  const ends = ignoreEnd ? [] : tokenizer.special.eos;
  const stream = rest.constraint?.stream?.() ?? (fresh ? tokenizer.stream() : streamAfter(tokenizer, prompt));
  const watch = new StopStrings(stopStrings);
  const tokens: GeneratedToken[] = [];
  let text = '';
  const result = (stopped: GeneratedText['stopped'], found?: string): GeneratedText =>
    ({ text, ids: tokens.map((t) => t.id), tokens, stopped, ...(found === undefined ? {} : { stop: found }), ...(rest.constraint?.matches?.(text) === false ? { unfinished: true } : {}) });
  const source = session.tokens(prompt, { ...rest, stop: [...ends, ...stop] });
  for (;;) {
    const { value, done } = await source.next();
    const isEnd = !done && ends.includes(value.id), isStop = !done && stop.includes(value.id);
    if (done || isEnd || isStop) {
      const last = watch.push(stream.end());
      const piece = last.text + (last.stop === undefined ? watch.end() : '');
      text += piece;
      if (piece !== '') yield piece;
      if (last.stop !== undefined) return result('stop', last.stop);
      // A stop id ends the source's loop as well: it has nothing left to do.
      return result(isEnd ? 'end' : isStop ? 'stop' : done ? value : 'length');
    }
    tokens.push(value);
    const { text: piece, stop: found } = watch.push(stream.push(value.id));
    text += piece;
    if (piece !== '') yield piece;
    if (found !== undefined) {
      await source.return('stop');
      return result('stop', found);
    }
  }
}

export interface Sample extends GeneratedText {
  /** The seed that gives this text alone again. */
  readonly seed: number;
  /** Mean ln p of its tokens, in the model's own distribution. */
  readonly score: number;
}

/** `count` texts, with the seeds `seed`, `seed + 1`, ...; the one with the most likely tokens first. The prompt is computed once. */
export async function sampleTexts(
  session: Session, tokenizer: Tokenizer, prompt: readonly number[], count: number, options: TextOptions & { readonly seed: number; readonly fresh?: boolean },
): Promise<Sample[]> {
  const samples: Sample[] = [];
  if (!Number.isSafeInteger(count) || count < 1 || count > 1000) {
    throw new PeelError(ExitCode.usage, [{ code: 'E020', severity: 'error', path: '/samples', message: `must be a whole number, from 1 to 1000, found ${count}` }]);
  }
  for (let i = 0; i < count; i++) {
    const seed = options.seed + i;
    const source = generateText(session, tokenizer, prompt, { logprobs: 0, ...options, seed });
    let step = await source.next();
    while (!step.done) step = await source.next();
    const { tokens } = step.value;
    const score = tokens.reduce((sum, t) => sum + (t.logprob ?? 0), 0) / Math.max(1, tokens.length);
    samples.push({ ...step.value, seed, score });
    if (step.value.stopped === 'aborted') break;
  }
  return samples.sort((a, b) => b.score - a.score || a.seed - b.seed);
}
