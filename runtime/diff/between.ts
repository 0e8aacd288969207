/** One way of running a model against another, down to the operator, and to the pass where fusion is what makes the difference. */
import type { LoadedModel, SessionOptions } from '../model.ts';
import type { Session } from '../session.ts';
import { lookInside, stretchOf, type Inside, type Stretch } from './inside.ts';
import { comparedOutputs } from './outputs.ts';
import { findPass, passNames, type PassBlame } from './passes.ts';
import { difference, isRounding, type ComparisonReport, type Difference, type Limits } from './report.ts';
import { compareSessions } from './sessions.ts';
import { pruned, referenceValues, sessionValues } from './values.ts';

/** A model and how it is run. */
export interface Side {
  readonly model: LoadedModel;
  readonly options: SessionOptions;
  /** Such as `fused` or `cpu`. */
  readonly name: string;
}

export interface BetweenReport extends ComparisonReport {
  readonly sides: readonly [string, string];
  readonly devices: readonly [Session['device'], Session['device']];
  readonly inside?: Inside;
  /** The outputs token by token, where only so they differ. */
  readonly stepwise?: readonly Difference[];
  /** The logits as they are where no output of a layer is kept. */
  readonly plain?: Difference;
  /** Where one of two devices is wrong by the reference: which, by its place in `sides`. */
  readonly wrong?: number;
  readonly pass?: PassBlame;
}

export interface BetweenOptions extends Limits {
  readonly ids: readonly number[];
  /** Greedy tokens to compare. */
  readonly steps: number;
  /** The first side's fusion is what is looked at: the second is the same without it. */
  readonly fusion?: boolean;
  /** Both should give the same numbers: find out which one does not, and whether its fusion is why. */
  readonly devices?: boolean;
}

async function withSession<R>({ model, options }: Side, more: SessionOptions, use: (session: Session) => Promise<R>): Promise<R> {
  const session = await model.session({ ...options, ...more });
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

/** The result that a plan gives as it usually is, with nothing kept that one could look at. */
async function result(side: Side, ids: readonly number[], chunk?: number): Promise<Float32Array> {
  return withSession(side, { taps: [] }, async (session) => {
    const name = session.outputs > 0 ? 'logits' : 'final';
    const { outputs } = await session.feed(ids, { outputs: [name], logitRows: ids.length, ...inSteps(chunk) });
    return outputs.get(name) ?? new Float32Array(0);
  });
}

export async function compareSides(first: Side, second: Side, options: BetweenOptions): Promise<BetweenReport> {
  const { ids, steps, fusion = false } = options;
  const kept = { outputs: comparedOutputs(first.model.model.layers.length), taps: [] };
  const limits: Limits = { tolerance: options.tolerance, ...(options.nmse === undefined ? {} : { nmse: options.nmse }) };
  const sides = [first.name, second.name] as const;
  const compared = await withSession(first, kept, (a) => withSession(second, kept, async (b) => ({ ...await compareSessions(a, b, ids, steps, limits), sides, devices: [a.device, b.device] as const })));
  const plain = fusion ? await comparePlain(first, second, ids, limits) : undefined;
  const report = { ...compared, ...(plain ? { plain } : {}), passed: compared.passed && (plain?.close ?? true) };
  if (report.passed || isRounding(report)) return report;

  // Where a prefill agrees, what is wrong is wrong of single tokens.
  const single = (report.firstDivergence === undefined || report.firstDivergence === 'gen_logits') && plain?.close !== false;
  const stepwise = single ? await compareSteps(first, second, ids, kept.outputs, limits) : undefined;
  const stage = stepwise?.find((d) => !d.close)?.name ?? report.firstDivergence;
  const chunk = stepwise?.some((d) => !d.close) ? 1 : undefined;
  const inside = stage === undefined ? undefined : await look(first, second, stretchOf(stepwise ?? report.outputs, stage), stepwise ?? report.outputs, ids, limits, chunk);
  const found = { ...report, ...(stage === undefined ? {} : { firstDivergence: stage }), ...(stepwise && chunk !== undefined ? { stepwise } : {}), ...(inside ? { inside } : {}) };
  if (fusion) {
    const pass = await blame(first, second, found, ids, limits, chunk);
    return pass ? { ...found, pass } : found;
  }
  return options.devices === true && chunk === undefined ? { ...found, ...await blameDevice([first, second], found, ids, limits) } : found;
}

/** Which of two devices is wrong, and the pass that makes it so, if one does. */
async function blameDevice(sides: readonly [Side, Side], report: BetweenReport, ids: readonly number[], limits: Limits): Promise<Pick<BetweenReport, 'wrong' | 'pass'>> {
  const exact = report.devices.findIndex(({ device }) => device === 'reference');
  const wrong = exact >= 0 ? 1 - exact : await wrongSide(sides, report, ids, limits);
  const side = wrong === undefined ? undefined : sides[wrong];
  const stage = report.firstDivergence;
  if (wrong === undefined || !side || stage === undefined || stage === 'gen_logits') return {};
  const unfused: Side = { ...side, options: { ...side.options, plan: { ...side.options.plan, fuse: false } } };
  const other = sides[1 - wrong] ?? side;
  if (!difference(stage, await valueOf(unfused, stage, ids), await valueOf(other, stage, ids), limits).close) return { wrong };
  const pass = await blame(side, unfused, report, ids, limits);
  return { wrong, ...(pass ? { pass } : {}) };
}

async function comparePlain(first: Side, second: Side, ids: readonly number[], limits: Limits): Promise<Difference> {
  const [a, b] = [await result(first, ids), await result(second, ids)];
  return difference('logits', a, b, limits);
}

const inSteps = (chunk: number | undefined): { readonly chunk?: number } => (chunk === undefined ? {} : { chunk });

/** Every output of the ids fed one by one. */
async function compareSteps(first: Side, second: Side, ids: readonly number[], outputs: readonly string[], limits: Limits): Promise<Difference[]> {
  const { graph } = first.model;
  const names = outputs.filter((name) => graph.outputs.some((output) => output.name === name));
  const feed = (side: Side) => withSession(side, { outputs: names, taps: [] }, async (session) => session.feed(ids, { outputs: names, logitRows: ids.length, chunk: 1 }));
  const [a, b] = [await feed(first), await feed(second)];
  return names.map((name) => difference(name, a.outputs.get(name) ?? new Float32Array(0), b.outputs.get(name) ?? new Float32Array(0), limits, b.shapes.get(name)));
}

/** The values before the first output that differs. */
async function look(first: Side, second: Side, stretch: Stretch, outputs: readonly Difference[], ids: readonly number[], limits: Limits, chunk: number | undefined): Promise<Inside | undefined> {
  const { graph } = first.model;
  if (!graph.values.some((value) => value.name === stretch.stage)) return undefined;
  return lookInside(graph, stretch, sessionValues(first.model, first.options, ids, chunk), sessionValues(second.model, second.options, ids, chunk), outputs, limits);
}

/** The pass that makes the first side differ from the second, which runs without any. */
async function blame(first: Side, second: Side, report: BetweenReport, ids: readonly number[], limits: Limits, chunk?: number): Promise<PassBlame | undefined> {
  const expected = await result(second, ids, chunk);
  const plainly = report.plain?.close === false;
  const stage = report.firstDivergence;
  const kept = plainly || stage === undefined ? undefined : stage === 'gen_logits' ? 'logits' : stage;
  const wanted = kept === undefined ? expected : await valueOf(second, kept, ids, chunk);
  const side = (without: readonly string[]): Side => ({ ...first, options: { ...first.options, plan: { ...first.options.plan, fuse: { without } } } });
  const agrees = async (without: readonly string[]): Promise<boolean> => {
    const found = kept === undefined ? await result(side(without), ids, chunk) : await valueOf(side(without), kept, ids, chunk);
    return difference(kept ?? 'logits', found, wanted, limits).close;
  };
  const passes = passNames(first.options.plan?.passes);
  if (await agrees([])) return undefined;
  const found = await findPass(passes, agrees);
  if (!found) return undefined;
  const plan = await withSession(first, {}, (session) => Promise.resolve(session.plan));
  const layer = /^(?:hidden|layers)\.(\d+)/.exec(report.inside?.first?.name ?? stage ?? '')?.[1];
  const branch = /^layers\.\d+\.[^.]+/.exec(report.inside?.first?.name ?? '')?.[0];
  const fired = (plan?.fusions ?? []).filter((fusion) => fusion.pass === found.pass && fusion.fired);
  const near = fired.filter((fusion) => branch !== undefined && fusion.origin.startsWith(branch));
  const inLayer = fired.filter((fusion) => layer === undefined || fusion.origin.startsWith(`layers.${layer}.`));
  return { ...found, fusions: near.length > 0 ? near : inLayer };
}

async function valueOf(side: Side, name: string, ids: readonly number[], chunk?: number): Promise<Float32Array> {
  return withSession(side, { outputs: comparedOutputs(side.model.model.layers.length), taps: [] }, async (session) =>
    (await session.feed(ids, { outputs: [name], logitRows: ids.length, ...inSteps(chunk) })).outputs.get(name) ?? new Float32Array(0));
}

/** Which of two sides the reference contradicts at the output where they part: 0, 1, or `undefined` where it is neither or both. */
async function wrongSide(sides: readonly [Side, Side], report: BetweenReport, ids: readonly number[], limits: Limits): Promise<number | undefined> {
  const stage = report.firstDivergence;
  const { model } = sides[0];
  if (stage === undefined || stage === 'gen_logits') return undefined;
  const part = pruned(model.graph, [stage]);
  const weights = model.weightsFor(model.model, part.weights);
  const expected = weights && (await referenceValues(part, weights, ids)).get(stage)?.data;
  if (!expected) return undefined;
  const wrong: number[] = [];
  for (const [i, side] of sides.entries()) if (!difference(stage, await valueOf(side, stage, ids), expected, limits).close) wrong.push(i);
  return wrong.length === 1 ? wrong[0] : undefined;
}

