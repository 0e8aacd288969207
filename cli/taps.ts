/** --tap and --save: values inside a model, as a table, as JSON, or in a file. */
import { InvalidArgumentError, type Command } from 'commander';
import { ExitCode, PeelError } from '../compiler/diagnostics.ts';
import { tapGraph } from '../compiler/taps.ts';
import type { LoadedModel } from '../runtime/model.ts';
import type { Session } from '../runtime/session.ts';
import { summariseValue, type ValueSummary } from '../runtime/value-summary.ts';
import { writeSafetensors, type TensorData } from '../runtime/weights/writer.ts';
import { line, short, table } from './output.ts';

export interface TapFlags {
  readonly tap?: string[];
}

export function tapOption(command: Command, what: string): Command {
  return command.option('--tap <pattern>', `${what}, such as 'layers.*.attention.probs' (repeatable)`, pattern);
}

/** --tap PATTERN, any number of times. */
function pattern(text: string, earlier: string[] = []): string[] {
  if (text === '' || text.startsWith('-')) throw new InvalidArgumentError(`A pattern of names was expected, found ${text === '' ? 'nothing' : text}.`);
  return [...earlier, text];
}

/** A value of the prompt, for all of its tokens. */
export interface TappedValue {
  readonly name: string;
  readonly dtype: 'f32' | 'i32';
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Logits are those of the last token alone, unless they are tapped. */
export function logitRowsFor(model: LoadedModel, taps: readonly string[], tokens: number): { readonly logitRows?: number } {
  const named = new Set(tapGraph(model.graph, taps).names);
  return model.values.some(({ name, shape }) => shape[0] === 'R' && named.has(name)) ? { logitRows: tokens } : {};
}

/** The values that the session keeps, for a fresh sequence of `ids`. The session is empty again afterwards. */
export async function readTaps(model: LoadedModel, session: Session, ids: readonly number[]): Promise<TappedValue[]> {
  session.rewind(0);
  const { outputs, shapes } = await session.feed(ids, { outputs: session.taps, ...logitRowsFor(model, session.taps, ids.length) });
  session.rewind(0);
  const types = new Map(model.values.map(({ name, dtype }) => [name, dtype]));
  return session.taps.map((name) => ({ name, dtype: types.get(name) ?? 'f32', shape: shapes.get(name) ?? [], data: outputs.get(name) ?? new Float32Array(0) }));
}

export function printTaps(values: readonly TappedValue[]): void {
  const rows = values.map(({ name, dtype, shape, data }) => {
    const shown = dtype === 'i32' ? String : short;
    const { norm, min, max, notFinite } = summariseValue(data);
    return [name, `[${shape.join(', ')}]`, short(norm), shown(min), shown(max), ...(notFinite > 0 ? [`${notFinite} not finite`] : [])];
  });
  for (const text of table(['value', 'shape', 'norm', 'least', 'largest'], rows)) line(text);
}

export function tapsJson(values: readonly TappedValue[]): Record<string, Omit<TappedValue, 'name' | 'data'> & ValueSummary & { readonly values: Float32Array }> {
  return Object.fromEntries(values.map(({ name, dtype, shape, data }) => [name, { dtype, shape, ...summariseValue(data), values: data }]));
}

/** The values under their names, which the metadata say are Peel's own (recordings number hidden states otherwise), and the ids as `input_ids`. */
export async function saveTaps(file: string, model: LoadedModel, ids: readonly number[], values: readonly TappedValue[]): Promise<void> {
  const tensors = new Map<string, TensorData>([['input_ids', { shape: [ids.length], dtype: 'I32', data: Int32Array.from(ids) }]]);
  for (const { name, dtype, shape, data } of values) tensors.set(name, { shape, dtype: dtype === 'i32' ? 'I32' : 'F32', data });
  await writeSafetensors(file, tensors, { model: model.name, names: 'peel' });
}

/** Fails where --save has nothing to write, or a name that says another format. */
export function checkSave(save: string | undefined, taps: readonly string[]): void {
  if (save === undefined) return;
  const wrong = (message: string, hint: string): PeelError => new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message, hint }]);
  if (taps.length === 0) throw wrong('--save has nothing to write: no value is tapped', 'give --tap PATTERN, or `taps:` in the spec; peel graph MODEL --values lists the names');
  if (!save.endsWith('.safetensors')) throw wrong(`--save writes safetensors, and ${save} does not end so`, 'call it something.safetensors');
}
