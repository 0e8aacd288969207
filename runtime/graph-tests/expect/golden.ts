/** `golden: { file: llama.safetensors, tolerance: 1e-4 }`: recorded layers, logits and greedy tokens. `--update` records what Peel computes. */
import { existsSync } from 'node:fs';
import { comparedOutputs, compareWithRecording, record, type ComparisonReport } from '../../compare.ts';
import { openSafetensors, readTensor } from '../../weights/safetensors.ts';
import { writeSafetensors } from '../../weights/writer.ts';
import type { CaseContext, Finding } from '../case.ts';
import { randomIds } from './agree/trial.ts';
import { expectation, failed } from './expectation.ts';

interface WantedGolden {
  readonly file: string;
  readonly tolerance?: number;
  /** With --update: the ids to record, and how many greedy tokens after them. */
  readonly ids?: readonly number[];
  readonly tokens?: number;
}

const TOLERANCE = 1e-4;
/** Ids of a new recording where none are given. */
const RECORDED_IDS = 12;

export const golden = expectation<WantedGolden>('golden', async (context, wanted) => {
  const file = context.file(wanted.file);
  if (context.update) return [await write(context, file, wanted)];
  if (!existsSync(file)) return [failed(`there is no file ${file}; \`peel test --update\` records what Peel computes`, '/file')];
  const recording = await openSafetensors(file);
  try {
    const length = Math.max(1, (recording.tensors.get('input_ids')?.shape[0] ?? 0) + (recording.tensors.get('generated')?.shape[0] ?? 0));
    const { tolerance = TOLERANCE } = wanted;
    const report = await compareWithRecording(await open(context, length), recording, file, tolerance);
    return report.passed ? [] : [failed(explain(report, file), '/file')];
  } finally {
    await recording.dispose();
  }
});

async function open(context: CaseContext, length: number) {
  const { model } = await context.model();
  return context.session({ context: length, maxTokens: length, logitRows: length, outputs: comparedOutputs(model.layers.length) });
}

function explain({ outputs, agreement, tokens, tolerance, firstDivergence }: ComparisonReport, file: string): string {
  const worst = [...outputs, ...agreement].filter((d) => !d.close || !(d.maxAbs <= tolerance)).at(-1);
  const says = worst ? [`${worst.name} differ by ${worst.maxAbs.toExponential(1)} where ${tolerance.toExponential(0)} is allowed`] : [];
  if (tokens && tokens.firstDifference >= 0) {
    const at = tokens.firstDifference;
    says.push(`greedy token ${at} is ${tokens.found[at] ?? 'none'}, recorded is ${tokens.expected[at] ?? 'none'}`);
  }
  return `against ${file}: ${says.join('; ')}${firstDivergence === undefined ? '' : `\nfirst apart: ${firstDivergence}`}`;
}

/** The ids of the file that is there, unless the case names others. */
async function write(context: CaseContext, file: string, wanted: WantedGolden): Promise<Finding> {
  const ids = wanted.ids ?? await recordedIds(file) ?? randomIds(context.test.seed, RECORDED_IDS, (await context.model()).model.embeddings.token.rows);
  const { tokens = 8 } = wanted;
  const tensors = await record(await open(context, ids.length + tokens), ids, tokens);
  await writeSafetensors(file, tensors, { format: 'pt' });
  return { kind: 'written', at: '/file', message: `${file}: ${ids.length} ids, ${[...tensors.keys()].length} tensors` };
}

async function recordedIds(file: string): Promise<number[] | undefined> {
  if (!existsSync(file)) return undefined;
  const before = await openSafetensors(file);
  try {
    return before.tensors.has('input_ids') ? [...await readTensor(before, 'input_ids', file)] : undefined;
  } finally {
    await before.dispose();
  }
}
