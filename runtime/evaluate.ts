/** Bits per byte: how well a model predicts a text, whatever its tokenizer. */
import { ExitCode, PeelError } from '../compiler/diagnostics.ts';
import type { Session } from './session.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';

export interface Evaluation {
  readonly bitsPerByte: number;
  /** exp of the mean negative log probability of a token. */
  readonly perplexity: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly windows: number;
  readonly milliseconds: number;
}

/** -ln softmax(logits)[target] of one row. */
export function surprise(row: Float32Array, target: number): number {
  let peak = -Infinity;
  for (const x of row) if (x > peak) peak = x;
  let sum = 0;
  for (const x of row) sum += Math.exp(x - peak);
  return peak + Math.log(sum) - (row[target] ?? NaN);
}

/**
 * Encodes `text` without special tokens and cuts the ids into windows of `window` tokens that do not overlap. Each window is run alone, with
 * the beginning token in front: its logits predict every token of the window, so that every byte counts once.
 * bits per byte = sum of -log2 p(token) / UTF-8 bytes of the text.
 */
export async function bitsPerByte(
  session: Session, tokenizer: Tokenizer, text: string, window: number, onProgress?: (done: number, total: number) => void,
): Promise<Evaluation> {
  const started = performance.now();
  const bos = tokenizer.special.bos;
  if (bos === undefined) {
    throw new PeelError(ExitCode.tokenizer, [{ code: 'E807', severity: 'error', path: '', message: 'the tokenizer names no beginning token, which a window starts with', hint: 'tokenizer_config.json has it as bos_token' }]);
  }
  const ids = tokenizer.encode(text, { frame: false });
  const bytes = new TextEncoder().encode(text).length;
  let total = 0;
  let windows = 0;
  for (let at = 0; at < ids.length; at += window) {
    const targets = ids.slice(at, at + window);
    const logits = await session.logits([bos, ...targets.slice(0, -1)]);
    const width = logits.length / targets.length;
    for (const [i, target] of targets.entries()) total += surprise(logits.subarray(i * width, (i + 1) * width), target);
    windows++;
    onProgress?.(at + targets.length, ids.length);
  }
  return {
    bitsPerByte: total / Math.LN2 / Math.max(1, bytes), perplexity: Math.exp(total / Math.max(1, ids.length)), tokens: ids.length, bytes, windows,
    milliseconds: performance.now() - started,
  };
}
