/** A model against a recording: what another implementation, or Peel earlier, computed for the same ids. */
import type { Graph } from '../../compiler/graph/types.ts';
import { argmax } from '../sampling/sampler.ts';
import type { Session } from '../session.ts';
import { weightError, weightProblem } from '../weights/problem.ts';
import { readTensor, type TensorSource } from '../weights/safetensors.ts';
import { comparedOutputs, outputName } from './outputs.ts';
import { difference, rowsOf, verdict, type ComparisonReport, type Difference, type Limits, type TokenComparison } from './report.ts';
import { agreement } from './sessions.ts';

/** The values of a recording under the graph's names. */
export interface Recording {
  readonly file: string;
  readonly ids: readonly number[];
  /** Graph's name -> recorded name, outputs of layers first, each in the order of computation. */
  readonly names: ReadonlyMap<string, string>;
  /** Tensors that could be values of the model by their names, but are none. */
  readonly unknown: readonly string[];
  read(name: string): Promise<Float32Array>;
}

/** A safetensors file, with what it says of itself. */
type RecordingSource = TensorSource & { readonly metadata?: ReadonlyMap<string, string> };

const known = new Set(['input_ids', 'generated', 'gen_logits']);

/** Throws PeelError (exit code 11) for a file that holds nothing to compare with, or another number of layers. */
export async function readRecording(source: RecordingSource, file: string, layers: number, graph?: Graph): Promise<Recording> {
  const tensors = [...source.tensors.keys()];
  const order = [...comparedOutputs(layers), ...(graph?.values ?? []).map((v) => v.name)];
  // A file of values that Peel saved calls them as they are: its hidden.0 is behind layer 0.
  const own = source.metadata?.get('names') === 'peel';
  const nameOf = (tensor: string): string | undefined => (own ? order.find((value) => value === tensor) : outputName(tensor, layers) ?? (tensor.startsWith('hidden.') ? undefined : order.find((value) => value === tensor)));
  const recorded = new Map<string, string>();
  for (const name of tensors) {
    const output = nameOf(name);
    if (output !== undefined && !recorded.has(output)) recorded.set(output, name);
  }
  const beyond = tensors.filter((name) => /^hidden\.\d+$/.test(name) && nameOf(name) === undefined);
  const ids = source.tensors.get('input_ids');
  if (ids && ids.shape.length > 1 && (ids.shape[0] ?? 1) > 1) {
    throw weightError(weightProblem('E601', file, `has shape [${ids.shape.join(', ')}]: one sequence is compared at a time`, { tensor: 'input_ids' }));
  }
  const values = await readTensor(source, 'input_ids', file);
  if (recorded.size === 0 || beyond.length > 0) {
    throw weightError(weightProblem('E703', file, recorded.size === 0
      ? 'holds no hidden.{i}, last_hidden, logits or named value to compare with' : `holds ${beyond.join(', ')}, the model has ${layers} layers`));
  }
  if (graph) checkSizes(source, file, graph, recorded, values.length);
  return {
    file, ids: [...values],
    names: new Map([...new Set(order)].flatMap((name) => { const r = recorded.get(name); return r === undefined ? [] : [[name, r] as const]; })),
    unknown: tensors.filter((name) => !known.has(name) && nameOf(name) === undefined && !recorded.has(name)),
    read: (name) => readTensor(source, recorded.get(name) ?? name, file),
  };
}

/** Values have a row a token, and keys as many. */
function checkSizes(source: TensorSource, file: string, graph: Graph, recorded: ReadonlyMap<string, string>, tokens: number): void {
  const shapes = new Map(graph.nodes.map((node) => [node.id, node.shape]));
  const problems = graph.values.flatMap(({ name, node }) => {
    const tensor = recorded.get(name);
    const info = tensor === undefined ? undefined : source.tensors.get(tensor);
    const shape = shapes.get(node)?.map((d) => (typeof d === 'number' ? d : tokens));
    const count = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
    if (tensor === undefined || !info || !shape || count(info.shape) === count(shape)) return [];
    return [weightProblem('E601', file, `holds ${count(info.shape)} numbers for ${tokens} tokens, the model gives ${count(shape)}, [${shape.join(', ')}]`,
      { tensor, hint: 'was it made with the same ids, by a model of this size?' })];
  });
  if (problems.length > 0) throw weightError(...problems);
}

/** The difference of a value from its recording. Throws PeelError (exit code 11) where they cannot be the same thing. */
export async function fromRecording(recording: Recording, name: string, found: Float32Array, limits: Limits, shape?: readonly number[]): Promise<Difference> {
  const expected = await recording.read(name);
  const { ids, file } = recording;
  if (found.length !== expected.length) {
    throw weightError(weightProblem('E601', file, `holds ${expected.length} numbers for ${ids.length} tokens, the model gives ${found.length}`,
      { tensor: recording.names.get(name) ?? name, hint: 'was it made with the same ids, by a model of this size?' }));
  }
  return difference(name, found, expected, limits, shape ?? rowsOf(expected, ids.length));
}

/**
 * Runs the ids recorded in `golden` (`input_ids`) and compares every recorded output (`hidden.{i}`, `logits` or `last_hidden`), the greedy
 * continuation (`generated`, `gen_logits`), and prefill with token-by-token decode. The model's plan must bring its outputs back; `more` names
 * recorded values that it brings back besides.
 */
export async function compareWithRecording(session: Session, golden: RecordingSource, file: string, limits: Limits | number, more?: Graph): Promise<ComparisonReport> {
  const within = typeof limits === 'number' ? { tolerance: limits } : limits;
  const recording = await readRecording(golden, file, session.model.layers, more);
  const { ids } = recording;
  const outputs = comparedOutputs(session.model.layers).filter((name) => recording.names.has(name));
  const names = outputs.length > 0 ? outputs : [...recording.names.keys()];
  session.rewind(0);
  const result = await session.feed(ids, { outputs: names, logitRows: ids.length });
  const differences: Difference[] = [];
  for (const name of names) differences.push(await fromRecording(recording, name, result.outputs.get(name) ?? new Float32Array(0), within));
  const logits = result.outputs.get('logits');
  if (logits === undefined || session.model.bidirectional) return verdict(within, differences, [], undefined);

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
    if (golden.tensors.has('gen_logits')) differences.push(difference('gen_logits', rows, await readTensor(golden, 'gen_logits', file), within, [expected.length, width]));
  }
  return verdict(within, differences, await agreement(session, ids, logits, within), tokens);
}
