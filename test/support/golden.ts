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

export interface GoldenErrors {
  readonly hidden: Readonly<Record<string, number>>;
  readonly logits: number;
  /** Of the logits of the greedy continuation. */
  readonly generated: number;
  readonly tokens: readonly number[];
  /** Token-by-token logits of the prompt against the ones from one step. */
  readonly decode: number;
}

/** Errors of an executor with an empty state: one step over the prompt, the greedy continuation, then the prompt token by token. */
export async function compareWithGolden(executor: Executor, golden: Golden): Promise<GoldenErrors> {
  const { ids } = golden;
  const names = hiddenNames(golden);
  const encoder = golden.lastHidden !== undefined;
  const prompt = await executor.step({ ids, past: 0, logitRows: ids.length }, encoder ? [...new Set([...names, 'final'])] : [...names, 'logits']);
  const hidden = Object.fromEntries(names.map((name, n) => [name, maxDifference(prompt.outputs.get(name), golden.hidden[n] ?? new Float32Array())]));
  if (golden.lastHidden) return { hidden, logits: maxDifference(prompt.outputs.get('final'), golden.lastHidden), generated: 0, tokens: [], decode: 0 };

  const logits = prompt.outputs.get('logits') ?? new Float32Array();
  // A masked language model: an encoder with a head.
  if (!golden.generated) return { hidden, logits: maxDifference(logits, golden.logits ?? new Float32Array()), generated: 0, tokens: [], decode: 0 };
  const width = logits.length / ids.length;
  const count = golden.generated.length;
  const rows = [logits.subarray(logits.length - width)];
  const tokens = [prompt.argmax];
  for (let n = 1; n < count; n++) {
    const step = await executor.step({ ids: Int32Array.of(tokens[n - 1] ?? 0), past: ids.length + n - 1, logitRows: 1 }, ['logits']);
    rows.push(step.outputs.get('logits') ?? new Float32Array());
    tokens.push(step.argmax);
  }
  const generated = Math.max(...rows.map((row, n) => maxDifference(row, golden.generatedLogits?.subarray(n * width, (n + 1) * width) ?? new Float32Array())));

  let decode = 0;
  for (let n = 0; n < ids.length; n++) {
    const step = await executor.step({ ids: ids.subarray(n, n + 1), past: n, logitRows: 1, ropeLength: ids.length }, ['logits']);
    decode = Math.max(decode, maxDifference(step.outputs.get('logits'), logits.subarray(n * width, (n + 1) * width)));
  }
  return { hidden, logits: maxDifference(logits, golden.logits ?? new Float32Array()), generated, tokens, decode };
}
