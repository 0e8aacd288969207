/** `golden: { file: llama.safetensors, tolerance: 1e-4 }`: recorded layers, named values, logits and greedy tokens. `--update` records what Peel computes. */
import { existsSync } from 'node:fs';
import { comparedOutputs } from '../../diff/outputs.ts';
import { record } from '../../diff/record.ts';
import { compareWithRecording, fromRecording, readRecording, type Recording } from '../../diff/recording.ts';
import type { ComparisonReport, Difference } from '../../diff/report.ts';
import type { Session } from '../../session.ts';
import { openSafetensors } from '../../weights/safetensors.ts';
import { writeSafetensors } from '../../weights/writer.ts';
import type { CaseContext, Finding } from '../case.ts';
import { randomIds } from './agree/trial.ts';
import { expectation, failed } from './expectation.ts';
import { several } from './where.ts';

interface WantedGolden {
  readonly file: string;
  readonly tolerance?: number;
  /** What --update records: ids, how many greedy tokens after them, and patterns of values inside the model. */
  readonly ids?: readonly number[];
  readonly tokens?: number;
  readonly values?: readonly string[];
}

const TOLERANCE = 1e-4;
/** Of a new recording where the case does not say. */
const RECORDED_IDS = 12, RECORDED_TOKENS = 8;

export const golden = expectation<WantedGolden>('golden', async (context, wanted) => {
  const file = context.file(wanted.file);
  if (context.update) return [await write(context, file, wanted)];
  if (!existsSync(file)) return [failed(`there is no file ${file}; \`peel test --update\` records what Peel computes`, '/file')];
  const { model, graph } = await context.model();
  const source = await openSafetensors(file);
  try {
    const { tolerance = TOLERANCE } = wanted;
    const recording = await readRecording(source, file, model.layers.length, graph);
    const inside = valuesInside(recording, model.layers.length);
    const session = await open(context, recording.ids.length + (source.tensors.get('generated')?.shape[0] ?? 0), inside);
    const report = await compareWithRecording(session, source, file, tolerance);
    const values = await compareValues(session, recording, inside, tolerance);
    const says = explain(report, values, tolerance);
    return [
      ...(recording.unknown.length > 0 ? [failed(`${file} holds ${several(recording.unknown)}, which the model has no value for`, '/file')] : []),
      ...(says === undefined ? [] : [failed(`against ${file}: ${says}`, '/file')]),
    ];
  } finally {
    await source.dispose();
  }
});

/** Recorded values other than the outputs of layers. */
function valuesInside({ names }: Recording, layers: number): string[] {
  const outputs = new Set(comparedOutputs(layers));
  return [...names.keys()].filter((name) => !outputs.has(name));
}

async function open(context: CaseContext, length: number, taps: readonly string[]): Promise<Session> {
  const { model } = await context.model();
  return context.session({ context: length, maxTokens: length, logitRows: length, outputs: comparedOutputs(model.layers.length), taps });
}

async function compareValues(session: Session, recording: Recording, names: readonly string[], tolerance: number): Promise<Difference[]> {
  if (names.length === 0) return [];
  session.rewind(0);
  const { outputs, shapes } = await session.feed(recording.ids, { outputs: names });
  const differences: Difference[] = [];
  for (const name of names) differences.push(await fromRecording(recording, name, outputs.get(name) ?? new Float32Array(0), { tolerance }, shapes.get(name)));
  return differences;
}

/** What is wrong, in two lines: what decides, and the first that differs. */
function explain({ passed, outputs, agreement, tokens, firstDivergence }: ComparisonReport, values: readonly Difference[], tolerance: number): string | undefined {
  const apart = values.find(({ close }) => !close);
  if (passed && !apart) return undefined;
  const worst = [...outputs, ...agreement].filter((d) => !d.close || !(d.maxAbs <= tolerance)).at(-1) ?? apart;
  const says = worst ? [`${worst.name} differ by ${worst.maxAbs.toExponential(1)} where ${tolerance.toExponential(0)} is allowed`] : [];
  if (tokens && tokens.firstDifference >= 0) {
    const at = tokens.firstDifference;
    says.push(`greedy token ${at} is ${tokens.found[at] ?? 'none'}, recorded is ${tokens.expected[at] ?? 'none'}`);
  }
  const first = [...(firstDivergence === undefined ? [] : [`the first layer apart: ${firstDivergence}`]), ...(apart ? [`the first value inside apart: ${apart.name}`] : [])];
  return `${says.join('; ')}${first.length === 0 ? '' : `\n${first.join('; ')}`}`;
}

/** The ids and values of the file that is there, unless the case names others. */
async function write(context: CaseContext, file: string, wanted: WantedGolden): Promise<Finding> {
  const { model } = await context.model();
  const before = existsSync(file) ? await recorded(context, file) : undefined;
  const ids = wanted.ids ?? before?.ids ?? randomIds(context.test.seed, RECORDED_IDS, model.embeddings.token.rows);
  const tokens = wanted.tokens ?? before?.tokens ?? RECORDED_TOKENS;
  const session = await open(context, ids.length + tokens, wanted.values ?? before?.values ?? []);
  const tensors = await record(session, ids, tokens, session.taps);
  await writeSafetensors(file, tensors, { format: 'pt' });
  return { kind: 'written', at: '/file', message: `${file}: ${ids.length} ids, ${tensors.size} tensors` };
}

async function recorded(context: CaseContext, file: string): Promise<{ readonly ids: readonly number[]; readonly tokens: number; readonly values: readonly string[] }> {
  const { model, graph } = await context.model();
  const source = await openSafetensors(file);
  try {
    const recording = await readRecording(source, file, model.layers.length, graph);
    return { ids: recording.ids, tokens: source.tensors.get('generated')?.shape[0] ?? 0, values: valuesInside(recording, model.layers.length) };
  } finally {
    await source.dispose();
  }
}
