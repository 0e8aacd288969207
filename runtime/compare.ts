/** Comparing what a model computes: with a recording of another implementation, or on two devices. */
import { ExitCode, PeelError } from '../compiler/diagnostics.ts';
import { argmax } from './sampling/sampler.ts';
import type { Session } from './session.ts';
import { weightProblem } from './weights/problem.ts';
import { readTensor, type TensorSource } from './weights/safetensors.ts';
import type { TensorData } from './weights/writer.ts';

/** How far `name` is from what was expected. */
export interface Difference {
  readonly name: string;
  readonly elements: number;
  /** Largest |found - expected|; NaN where anything is not a number. */
  readonly maxAbs: number;
  /** sum (found - expected)^2 / sum expected^2. */
  readonly nmse: number;
  /** Root mean square of what was expected. */
  readonly rms: number;
  /** Whether the difference is within the tolerance, times the expected size where that is above 1. */
  readonly close: boolean;
}

export interface TokenComparison {
  readonly expected: readonly number[];
  /** The greedy choice at each place, given the expected tokens before it. */
  readonly found: readonly number[];
  /** Place of the first difference; -1 where there is none. */
  readonly firstDifference: number;
}

export interface ComparisonReport {
  readonly tolerance: number;
  /** In the order of computation: embeddings, hidden.0, ..., final, logits. */
  readonly outputs: readonly Difference[];
  readonly tokens?: TokenComparison;
  /** Logits of the same ids computed otherwise, compared with those of one prefill. */
  readonly agreement: readonly Difference[];
  /** First output beyond the tolerance. */
  readonly firstDivergence?: string;
  readonly passed: boolean;
}

export function difference(name: string, found: Float32Array, expected: Float32Array, tolerance: number): Difference {
  let maxAbs = 0, error = 0, power = 0;
  const same = found.length === expected.length;
  for (let i = 0; i < expected.length; i++) {
    const want = expected[i] ?? 0;
    const delta = (found[i] ?? NaN) - want;
    if (Number.isNaN(delta)) maxAbs = NaN;
    else if (Math.abs(delta) > maxAbs) maxAbs = Math.abs(delta);
    error += delta * delta;
    power += want * want;
  }
  if (!same) maxAbs = NaN;
  const rms = Math.sqrt(power / Math.max(1, expected.length));
  return { name, elements: expected.length, maxAbs, nmse: error === 0 ? 0 : error / power, rms, close: maxAbs <= tolerance * Math.max(1, rms) };
}

/** The graph's name for a recorded tensor: hidden.0 is the embeddings, hidden.{i} the output of layer i - 1, the last one the final norm's. */
export function outputName(recorded: string, layers: number): string | undefined {
  if (recorded === 'logits' || recorded === 'embeddings') return recorded;
  if (recorded === 'last_hidden') return 'final';
  const index = /^hidden\.(\d+)$/.exec(recorded)?.[1];
  if (index === undefined) return undefined;
  const i = Number(index);
  return i === 0 ? 'embeddings' : i < layers ? `hidden.${i - 1}` : i === layers ? 'final' : undefined;
}

/** Outputs that comparisons look at, in the order of computation. */
export function comparedOutputs(layers: number): string[] {
  return ['embeddings', ...Array.from({ length: layers }, (_, i) => `hidden.${i}`), 'final', 'logits'];
}

/** Place of an output in the order of computation. */
function order(name: string): number {
  const layer = /^hidden\.(\d+)$/.exec(name)?.[1];
  return name === 'embeddings' ? -1 : layer !== undefined ? Number(layer) : name === 'final' ? 1e9 : 2e9;
}

/** What decides: the logits where there are any, else the last output, strictly by the tolerance; and the tokens, and that all ways of computing agree. */
function verdict(tolerance: number, outputs: readonly Difference[], agreement: readonly Difference[], tokens: TokenComparison | undefined): ComparisonReport {
  const decisive = outputs.filter((d) => d.name === 'logits' || d.name === 'gen_logits');
  const judged = decisive.length > 0 ? decisive : outputs.slice(-1);
  const first = outputs.find((d) => !d.close);
  const passed = judged.length > 0 && [...judged, ...agreement].every((d) => d.maxAbs <= tolerance) && outputs.every((d) => !Number.isNaN(d.maxAbs))
    && (tokens === undefined || tokens.firstDifference < 0);
  return { tolerance, outputs, agreement, passed, ...(tokens === undefined ? {} : { tokens }), ...(first === undefined ? {} : { firstDivergence: first.name }) };
}

/** The same ids token by token, and in chunks of 5: their logits against those of one prefill. */
async function agreement(session: Session, ids: readonly number[], logits: Float32Array, tolerance: number): Promise<Difference[]> {
  const results: Difference[] = [];
  for (const [name, chunk] of [['token by token', 1], ['in chunks of 5', 5]] as const) {
    session.rewind(0);
    const again = await session.feed(ids, { outputs: ['logits'], logitRows: ids.length, chunk });
    results.push(difference(name, again.outputs.get('logits') ?? new Float32Array(0), logits, tolerance));
  }
  return results;
}

/**
 * Runs the ids recorded in `golden` (`input_ids`) and compares every recorded output (`hidden.{i}`, `logits` or `last_hidden`), the greedy
 * continuation (`generated`, `gen_logits`), and prefill with token-by-token decode. The model's plan must bring its outputs back.
 */
export async function compareWithRecording(session: Session, golden: TensorSource, file: string, tolerance: number): Promise<ComparisonReport> {
  const ids = [...await readTensor(golden, 'input_ids', file)];
  const { layers } = session.model;
  const recorded = [...golden.tensors.keys()].map((name) => ({ name, output: outputName(name, layers) }))
    .filter((r): r is { name: string; output: string } => r.output !== undefined)
    .filter((r, i, all) => all.findIndex((other) => other.output === r.output) === i)
    .sort((a, b) => order(a.output) - order(b.output));
  const unknown = [...golden.tensors.keys()].filter((name) => /^hidden\.\d+$/.test(name) && outputName(name, layers) === undefined);
  if (recorded.length === 0 || unknown.length > 0) {
    throw new PeelError(ExitCode.weights, [weightProblem('E703', file, recorded.length === 0
      ? 'holds no hidden.{i}, last_hidden or logits to compare with' : `holds ${unknown.join(', ')}, the model has ${layers} layers`)]);
  }
  session.rewind(0);
  const result = await session.feed(ids, { outputs: recorded.map((r) => r.output), logitRows: ids.length });
  const outputs: Difference[] = [];
  for (const { name, output } of recorded) {
    const found = result.outputs.get(output) ?? new Float32Array(0);
    outputs.push(difference(output, found, await readTensor(golden, name, file), tolerance));
  }
  const logits = result.outputs.get('logits');
  if (logits === undefined || session.model.bidirectional) return verdict(tolerance, outputs, [], undefined);

  let tokens: TokenComparison | undefined;
  if (golden.tensors.has('generated')) {
    const expected = [...await readTensor(golden, 'generated', file)];
    const width = logits.length / ids.length;
    const found: number[] = [];
    const rows = new Float32Array(expected.length * width);
    let row = logits.subarray(logits.length - width);
    let choice = result.argmax;
    for (const [i, token] of expected.entries()) {
      rows.set(row, i * width);
      // The device's own choice counts; where it differs from that of its logits, the model is wrong.
      found.push(choice === argmax(row) ? choice : -1);
      if (i + 1 === expected.length) break;
      const step = await session.feed([token], { outputs: ['logits'] });
      row = step.outputs.get('logits') ?? new Float32Array(width);
      choice = step.argmax;
    }
    tokens = { expected, found, firstDifference: expected.findIndex((id, i) => id !== found[i]) };
    if (golden.tensors.has('gen_logits')) outputs.push(difference('gen_logits', rows, await readTensor(golden, 'gen_logits', file), tolerance));
  }
  return verdict(tolerance, outputs, await agreement(session, ids, logits, tolerance), tokens);
}

/** Runs `ids` on both sessions and compares every output; `steps` more tokens are chosen greedily by the first. */
export async function compareSessions(found: Session, expected: Session, ids: readonly number[], steps: number, tolerance: number): Promise<ComparisonReport> {
  const { layers, outputs: width, bidirectional } = expected.model;
  const names = comparedOutputs(layers).filter((name) => width > 0 || name !== 'logits');
  const feed = async (session: Session) => {
    session.rewind(0);
    return session.feed(ids, { outputs: names, logitRows: ids.length });
  };
  const [a, b] = [await feed(found), await feed(expected)];
  const outputs = names.filter((name) => b.outputs.has(name))
    .map((name) => difference(name, a.outputs.get(name) ?? new Float32Array(0), b.outputs.get(name) ?? new Float32Array(0), tolerance));
  const logits = a.outputs.get('logits');
  if (logits === undefined || bidirectional) return verdict(tolerance, outputs, [], undefined);
  const choices: { expected: number[]; found: number[] } = { expected: [b.argmax], found: [a.argmax] };
  const rows: { a: Float32Array[]; b: Float32Array[] } = { a: [], b: [] };
  for (let i = 0; i < steps; i++) {
    const token = choices.expected[i] ?? 0;
    const [x, y] = [await found.feed([token], { outputs: ['logits'] }), await expected.feed([token], { outputs: ['logits'] })];
    choices.found.push(x.argmax);
    choices.expected.push(y.argmax);
    rows.a.push(x.outputs.get('logits') ?? new Float32Array(0));
    rows.b.push(y.outputs.get('logits') ?? new Float32Array(0));
  }
  if (steps > 0) outputs.push(difference('gen_logits', concat(rows.a), concat(rows.b), tolerance));
  const tokens = { ...choices, firstDifference: choices.expected.findIndex((id, i) => id !== choices.found[i]) };
  return verdict(tolerance, outputs, await agreement(found, ids, logits, tolerance), tokens);
}

/**
 * What a model computes for `ids` and `steps` greedy tokens after them, as a recording that `compareWithRecording` takes. Encoders have
 * `last_hidden` in place of logits and tokens.
 */
export async function record(session: Session, ids: readonly number[], steps: number): Promise<Map<string, TensorData>> {
  const { layers, outputs: width, bidirectional } = session.model;
  const names = comparedOutputs(layers).filter((name) => width > 0 || name !== 'logits');
  session.rewind(0);
  const result = await session.feed(ids, { outputs: names, logitRows: ids.length });
  const tensors = new Map<string, TensorData>([['input_ids', { dtype: 'I32', shape: [ids.length], data: Int32Array.from(ids) }]]);
  const add = (name: string, data: Float32Array | undefined, rows: number): void => {
    if (data) tensors.set(name, { dtype: 'F32', shape: [rows, data.length / Math.max(1, rows)], data });
  };
  // transformers' numbering: 0 is the embeddings, the last one is behind the final norm.
  for (let i = 0; i <= layers; i++) add(`hidden.${i}`, result.outputs.get(i === 0 ? 'embeddings' : i < layers ? `hidden.${i - 1}` : 'final'), ids.length);
  const logits = result.outputs.get('logits');
  if (!logits || bidirectional) {
    add('last_hidden', result.outputs.get('final'), ids.length);
    return tensors;
  }
  add('logits', logits, ids.length);
  const tokens: number[] = [];
  const rows: Float32Array[] = [logits.slice(logits.length - width)];
  for (let token = result.argmax; tokens.length < steps;) {
    tokens.push(token);
    if (tokens.length === steps) break;
    const step = await session.feed([token], { outputs: ['logits'] });
    rows.push(step.outputs.get('logits') ?? new Float32Array(width));
    token = step.argmax;
  }
  if (steps > 0) {
    tensors.set('generated', { dtype: 'I32', shape: [steps], data: Int32Array.from(tokens) });
    add('gen_logits', concat(rows), steps);
  }
  return tensors;
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}
