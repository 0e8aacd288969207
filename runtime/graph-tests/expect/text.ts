/** `text: { file: t.txt, bits_per_byte: { max: 2.3 } }`: how well the model predicts a text. */
import { existsSync } from 'node:fs';
import { bitsPerByte } from '../../evaluate.ts';
import { readText } from '../../weights/files.ts';
import type { Finding } from '../case.ts';
import { checkBound, type Bound } from './bound.ts';
import { expectation, failed } from './expectation.ts';

interface WantedText {
  readonly file: string;
  /** Bytes of the file to leave out at its start, and the most to look at. */
  readonly from?: number;
  readonly bytes?: number;
  /** Tokens of a window; the model's context if absent. */
  readonly window?: number;
  readonly bits_per_byte?: Bound;
  /** Mean of -ln p, a token. */
  readonly loss?: Bound;
  readonly perplexity?: Bound;
}

export const text = expectation<WantedText>('text', async (context, wanted) => {
  const file = context.file(wanted.file);
  if (!existsSync(file)) return [failed(`there is no file ${file}`, '/file')];
  const part = bytesOf(await readText(file), wanted.from ?? 0, wanted.bytes ?? Infinity);
  if (part === '') return [failed(`${file}: no text is left to measure`, '/file')];
  const model = await context.model();
  const tokenizer = await model.tokenizer();
  const window = Math.min(wanted.window ?? Infinity, context.test.context ?? Infinity, model.capacity().context);
  const session = await context.session({ context: window, maxTokens: 128, logitRows: 128 });
  const found = await bitsPerByte(session, tokenizer, part, window);
  const measures = [
    ['bits_per_byte', found.bitsPerByte, 'bits per byte'], ['loss', Math.log(found.perplexity), 'mean loss of a token'], ['perplexity', found.perplexity, 'perplexity'],
  ] as const;
  const findings: Finding[] = [];
  for (const [key, value, name] of measures) {
    const bound = wanted[key];
    if (bound !== undefined) findings.push(...await checkBound(context, bound, value, `${name} of ${found.bytes} bytes`, { at: `/${key}`, show: (n) => String(Number(n.toPrecision(5))) }));
  }
  return findings;
});

/** `most` bytes of a text from byte `from` on; characters that the cuts split are left out. */
function bytesOf(whole: string, from: number, most: number): string {
  const bytes = new TextEncoder().encode(whole);
  const start = boundary(bytes, from);
  return new TextDecoder().decode(bytes.subarray(start, boundary(bytes, Math.min(bytes.length, start + most), -1)));
}

function boundary(bytes: Uint8Array, at: number, step = 1): number {
  while (at > 0 && at < bytes.length && ((bytes[at] ?? 0) & 0xc0) === 0x80) at += step;
  return Math.min(at, bytes.length);
}
