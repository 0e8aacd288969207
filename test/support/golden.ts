/** What transformers computed for a golden folder, and how far an executor is from it. */
import path from 'node:path';
import { openSafetensors, readTensor } from '../../runtime/weights/safetensors.ts';
import type { Executor } from '../../runtime/backend.ts';

export interface Golden {
  readonly ids: Int32Array;
  /** transformers' hidden states: 0 is the embedding output, the last is after the final norm. */
  readonly hidden: readonly Float32Array[];
  readonly logits?: Float32Array;
  readonly generated?: Int32Array;
  readonly generatedLogits?: Float32Array;
  readonly lastHidden?: Float32Array;
}

export async function readGolden(folder: string): Promise<Golden> {
  const source = await openSafetensors(path.join(folder, 'golden.safetensors'));
  try {
    const read = (name: string): Promise<Float32Array> => readTensor(source, name);
    const optional = async <K extends string>(key: K, name: string): Promise<{ readonly [P in K]?: Float32Array }> =>
      (source.tensors.has(name) ? { [key]: await read(name) } : {}) as { readonly [P in K]?: Float32Array };
    const hidden: Float32Array[] = [];
    while (source.tensors.has(`hidden.${hidden.length}`)) hidden.push(await read(`hidden.${hidden.length}`));
    return {
      ids: Int32Array.from(await read('input_ids')),
      hidden,
      ...(await optional('logits', 'logits')),
      ...(await optional('generatedLogits', 'gen_logits')),
      ...(await optional('lastHidden', 'last_hidden')),
      ...(source.tensors.has('generated') ? { generated: Int32Array.from(await read('generated')) } : {}),
    };
  } finally {
    await source.dispose();
  }
}

/** Largest absolute difference; infinite where lengths differ or a value is not a number. */
export function maxDifference(found: Float32Array | undefined, expected: Float32Array): number {
  if (!found || found.length !== expected.length) return Infinity;
  let worst = 0;
  for (let n = 0; n < expected.length; n++) {
    const difference = Math.abs((found[n] ?? NaN) - (expected[n] ?? NaN));
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
  }
  return worst;
}

/** The output names that transformers' hidden states have here. */
export function hiddenNames(golden: Golden): string[] {
  const last = golden.hidden.length - 1;
  return golden.hidden.map((_, n) => (n === 0 ? 'embeddings' : n === last ? 'final' : `hidden.${n - 1}`));
}

/** Largest absolute differences. */
export interface GoldenErrors {
  /** By output name; empty where the executor keeps logits alone. */
  readonly hidden: Readonly<Record<string, number>>;
  /** Of the prompt's logits, or of an encoder's last state. */
  readonly logits: number;
  /** Of the logits of the greedy continuation. */
  readonly generated: number;
  readonly tokens: readonly number[];
  /** Logits of the prompt fed token by token, against the ones from one step. */
  readonly decode: number;
  /** Logits of the prompt fed in pieces of a few tokens, against the ones from one step. */
  readonly chunked: number;
}

/** Tokens of a piece: divides no golden prompt, so that the last piece is a short one. */
const chunk = 5;

/**
 * Errors of an executor with an empty state: one step over the prompt, the greedy continuation, then the prompt in pieces and token
 * by token. `hidden`: whether the executor keeps every layer's output.
 */
export async function compareWithGolden(executor: Executor, golden: Golden, { hidden: keepsHidden = true } = {}): Promise<GoldenErrors> {
  const { ids } = golden;
  const names = keepsHidden ? hiddenNames(golden) : [];
  const result = golden.lastHidden ? 'final' : 'logits';
  const prompt = await executor.step({ ids, past: 0, logitRows: ids.length }, [...new Set([...names, result])]);
  const hidden = Object.fromEntries(names.map((name, n) => [name, maxDifference(prompt.outputs.get(name), golden.hidden[n] ?? new Float32Array())]));
  const logits = prompt.outputs.get(result) ?? new Float32Array();
  const errors = { hidden, logits: maxDifference(logits, golden.lastHidden ?? golden.logits ?? new Float32Array()) };
  // An encoder sees all of its text at once: there is nothing to continue.
  if (!golden.generated) return { ...errors, generated: 0, tokens: [], decode: 0, chunked: 0 };

  const width = logits.length / ids.length;
  const rows = [logits.subarray(logits.length - width)];
  const tokens = [prompt.argmax];
  for (let n = 1; n < golden.generated.length; n++) {
    const step = await executor.step({ ids: Int32Array.of(tokens[n - 1] ?? 0), past: ids.length + n - 1, logitRows: 1 }, ['logits']);
    rows.push(step.outputs.get('logits') ?? new Float32Array());
    tokens.push(step.argmax);
  }
  const generated = Math.max(...rows.map((row, n) => maxDifference(row, golden.generatedLogits?.subarray(n * width, (n + 1) * width) ?? new Float32Array())));

  const inPieces = async (size: number): Promise<number> => {
    let worst = 0;
    for (let past = 0; past < ids.length; past += size) {
      const piece = ids.subarray(past, past + size);
      const step = await executor.step({ ids: piece, past, logitRows: piece.length, ropeLength: ids.length }, ['logits']);
      worst = Math.max(worst, maxDifference(step.outputs.get('logits'), logits.subarray(past * width, (past + piece.length) * width)));
    }
    return worst;
  };
  return { ...errors, generated, tokens, chunked: await inPieces(chunk), decode: await inPieces(1) };
}
