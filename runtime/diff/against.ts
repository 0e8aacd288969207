/** A model against a recording, down to the operator where that is recorded, and to the likely cause. */
import type { LoadedModel, SessionOptions } from '../model.ts';
import type { Session } from '../session.ts';
import type { TensorSource } from '../weights/safetensors.ts';
import { findCauses, type CauseReport } from './causes/find.ts';
import { lookInside, stretchOf, type Inside } from './inside.ts';
import { comparedOutputs } from './outputs.ts';
import { compareWithRecording, readRecording, type Recording } from './recording.ts';
import { isRounding, type ComparisonReport, type Limits } from './report.ts';
import { sessionValues, type Value } from './values.ts';

export interface AgainstReport extends ComparisonReport {
  readonly device: Session['device'];
  /** Tensors of the recording that are no values of the model. */
  readonly unknown: readonly string[];
  readonly inside?: Inside;
  readonly causes?: CauseReport;
}

export interface AgainstOptions extends Limits {
  /** Most seconds to look for the likely cause; 0: not at all. 60 if absent. */
  readonly seconds?: number;
}

/** `session`: how to run the model, for as many tokens as were recorded. */
export async function compareAgainst(model: LoadedModel, source: TensorSource, file: string, session: SessionOptions, options: AgainstOptions): Promise<AgainstReport> {
  const { graph } = model;
  const layers = model.model.layers.length;
  const recording = await readRecording(source, file, layers, graph);
  const outputs = comparedOutputs(layers);
  const coarse = outputs.some((name) => recording.names.has(name));
  const running = await model.session({ ...session, outputs, taps: coarse ? [] : [...recording.names.keys()] });
  const { device } = running;
  let compared: ComparisonReport;
  try {
    compared = await compareWithRecording(running, source, file, options, graph);
  } finally {
    await running.dispose();
  }
  const report: AgainstReport = { ...compared, device, unknown: recording.unknown };
  const stage = compared.firstDivergence;
  if (compared.passed || isRounding(compared) || stage === undefined || !graph.values.some(({ name }) => name === stage)) return report;

  const stretch = stretchOf(compared.outputs, stage);
  const inside = await lookInside(graph, stretch, sessionValues(model, session, recording.ids), (names) => recordedValues(recording, names), compared.outputs, options);
  // What is recorded of the inside narrows it down.
  const detailed = inside.values.length > 1;
  const causes = options.seconds === 0 ? undefined : await findCauses(model, stretch, {
    ...options, ids: recording.ids, outputs: outputs.filter((name) => recording.names.has(name)),
    expected: async (name) => (recording.names.has(name) ? recording.read(name) : undefined),
  });
  return { ...report, ...(detailed || inside.vanished ? { inside } : {}), ...(causes ? { causes } : {}) };
}

async function recordedValues(recording: Recording, names: readonly string[]): Promise<ReadonlyMap<string, Value>> {
  const values = new Map<string, Value>();
  for (const name of names) if (recording.names.has(name)) values.set(name, { data: await recording.read(name) });
  return values;
}
