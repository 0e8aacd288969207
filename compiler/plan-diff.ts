/** What changed from one plan to another: settings, params, sizes, kernels, fusions, weights and other buffers. Layers that changed alike are told once. */
import type { ParamValue } from './model.ts';
import type { ExecutionPlan } from './plan.ts';
import { layersText, summarise, type BufferGroup, type FusionGroup, type KernelLine, type KernelSection, type PlanSummary } from './plan-summary.ts';

export interface SettingChange { readonly name: string; readonly before: string; readonly after: string }
/** `before` or `after` is absent where there is no such param. */
export interface ParamChange { readonly name: string; readonly before?: ParamValue; readonly after?: ParamValue }
export interface TotalChange { readonly name: string; readonly unit: 'number' | 'bytes' | 'FLOP'; readonly before: number; readonly after: number }
/** Added without `before`, removed without `after`, else changed in `fields`. */
export interface KernelChange { readonly before?: KernelLine; readonly after?: KernelLine; readonly fields: readonly (keyof KernelLine)[] }
export interface SectionChange {
  /** `before the layers`, `layers 0..5`, ... */
  readonly where: string;
  readonly layers: readonly number[];
  readonly kernels: readonly KernelChange[];
  /** Where the kernels that both have run in another order: theirs now. */
  readonly order?: readonly string[];
}
export type Decision = Pick<FusionGroup, 'fired' | 'reason'>;
/** What a pass says now of something, and what it said. Absent where it says nothing. */
export interface FusionChange { readonly pass: string; readonly origin: string; readonly layers: readonly number[]; readonly before?: Decision; readonly after?: Decision }
export interface BufferChange { readonly before?: BufferGroup; readonly after?: BufferGroup; readonly layers: readonly number[] }

export interface PlanDiff {
  readonly equal: boolean;
  readonly before: PlanSummary;
  readonly after: PlanSummary;
  readonly settings: readonly SettingChange[];
  /** Only where both sides know them. */
  readonly params: readonly ParamChange[];
  readonly totals: readonly TotalChange[];
  readonly kernels: readonly SectionChange[];
  readonly fusions: readonly FusionChange[];
  readonly weights: readonly BufferChange[];
  /** All but weights. */
  readonly buffers: readonly BufferChange[];
}

export const diffPlans = (before: ExecutionPlan, after: ExecutionPlan): PlanDiff => diffSummaries(summarise(before), summarise(after));

export function diffSummaries(before: PlanSummary, after: PlanSummary): PlanDiff {
  const isWeight = (b: BufferGroup): boolean => b.role === 'weight';
  const changes = {
    settings: settingChanges(before, after),
    params: before.params && after.params ? paramChanges(before.params, after.params) : [],
    totals: totalChanges(before, after),
    kernels: sectionChanges(before.sections, after.sections),
    fusions: fusionChanges(before.fusions, after.fusions),
    weights: bufferChanges(before.buffers.filter(isWeight), after.buffers.filter(isWeight)),
    buffers: bufferChanges(before.buffers.filter((b) => !isWeight(b)), after.buffers.filter((b) => !isWeight(b))),
  };
  return { equal: Object.values(changes).every((list) => list.length === 0), before, after, ...changes };
}

function settingChanges(a: PlanSummary, b: PlanSummary): SettingChange[] {
  const of = (s: PlanSummary): Map<string, string> => new Map<string, string>([
    ['model', s.model], ['target', s.target.name],
    ...Object.entries(s.target).filter(([key]) => key !== 'name').map(([key, value]) => [`target's ${key}`, String(value)] as const),
    ['context', String(s.capacity.context)], ['tokens a step', String(s.capacity.maxTokens)], ['rows of logits', String(s.capacity.maxLogitRows)], ['outputs', s.outputs.join(', ')],
  ]);
  const [before, after] = [of(a), of(b)];
  return [...before].map(([name, value]) => ({ name, before: value, after: after.get(name) ?? '' })).filter((c) => c.before !== c.after);
}

function paramChanges(a: Readonly<Record<string, ParamValue>>, b: Readonly<Record<string, ParamValue>>): ParamChange[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((name) => {
    const [before, after] = [a[name], b[name]];
    if (JSON.stringify(before) === JSON.stringify(after)) return [];
    return [{ name, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
  });
}

/** Every number of a summary that is compared, in the order in which it is shown. */
export function totalsOf(s: PlanSummary): readonly { readonly name: string; readonly unit: TotalChange['unit']; readonly value: number }[] {
  const number = (name: string, value: number): { name: string; unit: 'number'; value: number } => ({ name, unit: 'number', value });
  const bytes = (name: string, value: number): { name: string; unit: 'bytes'; value: number } => ({ name, unit: 'bytes', value });
  const fusions = (key: 'fired' | 'refused'): number => s.passes.reduce((sum, pass) => sum + pass[key], 0);
  const { memory, kernels, step } = s;
  return [
    number('parameters', s.parameters), bytes('weights', memory.weights), bytes('constants', memory.constants), bytes('states', memory.states),
    bytes('states a token', memory.stateBytesPerToken), bytes('activations', memory.activations), bytes('activations unshared', memory.activationsUnshared),
    number('shared slots', s.sharedSlots.length), bytes('largest slot', s.sharedSlots[0] ?? 0), bytes('peak', memory.peak),
    { name: 'FLOP a token', unit: 'FLOP', value: step.flops }, bytes('read and written a token', step.bytes),
    number('kernels', kernels.total), number('nests', kernels.nest), number('products', kernels.linear), number('attentions', kernels.attention),
    number('topk', kernels.topk), number('argmax', kernels.argmax), number('fusions', fusions('fired')), number('near misses', fusions('refused')),
  ];
}

function totalChanges(a: PlanSummary, b: PlanSummary): TotalChange[] {
  const now = totalsOf(b);
  return totalsOf(a).map(({ name, unit, value }, n) => ({ name, unit, before: value, after: now[n]?.value ?? 0 })).filter((c) => c.before !== c.after);
}

/** The layers of both sides, and a key for each that is the same where the layer is in the same group on both. */
function pairedLayers<T extends { readonly layers: readonly number[] }>(a: readonly T[], b: readonly T[]): { readonly before?: T; readonly after?: T; readonly layers: readonly number[] }[] {
  const [before, after] = [a, b].map((groups) => new Map(groups.flatMap((g) => g.layers.map((layer) => [layer, g] as const)))) as [Map<number, T>, Map<number, T>];
  const pairs = new Map<T | undefined, Map<T | undefined, number[]>>();
  for (const layer of [...new Set([...before.keys(), ...after.keys()])].sort((x, y) => x - y)) {
    const row = pairs.get(before.get(layer)) ?? new Map<T | undefined, number[]>();
    pairs.set(before.get(layer), row);
    row.set(after.get(layer), [...(row.get(after.get(layer)) ?? []), layer]);
  }
  return [...pairs].flatMap(([one, row]) => [...row].map(([other, layers]) => ({ ...(one ? { before: one } : {}), ...(other ? { after: other } : {}), layers })))
    .sort((x, y) => (x.layers[0] ?? 0) - (y.layers[0] ?? 0));
}

function sectionChanges(a: readonly KernelSection[], b: readonly KernelSection[]): SectionChange[] {
  const outside = (sections: readonly KernelSection[]): Map<string, KernelSection> => new Map(sections.filter((s) => s.layers.length === 0).map((s) => [s.where, s]));
  const [before, after] = [outside(a), outside(b)];
  const between = (where: string): number => (where.startsWith('before') ? -1 : Number(/^after layer (\d+)/.exec(where)?.[1] ?? 1e9));
  const pairs: { where: string; layers: readonly number[]; place: number; before?: KernelSection | undefined; after?: KernelSection | undefined }[] = [
    ...pairedLayers(a, b).map((pair) => ({ ...pair, where: layersText(pair.layers), place: pair.layers[0] ?? 0 })),
    ...[...new Set([...before.keys(), ...after.keys()])].map((where) => ({ where, layers: [], place: between(where) + 0.5, before: before.get(where), after: after.get(where) })),
  ];
  // Layers of different kinds may change alike: each change is told once, under all its layers.
  const joined = new Map<string, { readonly where: string; readonly layers: number[]; readonly change: KernelChange | readonly string[] }>();
  for (const { where, layers, ...pair } of pairs.sort((x, y) => x.place - y.place)) {
    const [old, now] = [pair.before?.kernels ?? [], pair.after?.kernels ?? []];
    const order = orderNow(old, now);
    const times = new Map<string, number>();
    for (const change of [...kernelChanges(old, now), ...(order ? [order] : [])]) {
      const text = JSON.stringify(change);
      const same = times.get(text) ?? 0;
      times.set(text, same + 1);
      const key = `${layers.length === 0 ? where : ''} ${same} ${text}`;
      const group = joined.get(key) ?? { where, layers: [], change };
      joined.set(key, group);
      group.layers.push(...layers);
    }
  }
  const sections = new Map<string, SectionChange>();
  for (const group of joined.values()) {
    const layers = [...group.layers].sort((x, y) => x - y);
    const where = layers.length === 0 ? group.where : layersText(layers);
    const section = sections.get(where) ?? { where, layers, kernels: [] };
    sections.set(where, 'fields' in group.change ? { ...section, kernels: [...section.kernels, group.change] } : { ...section, order: group.change });
  }
  return [...sections.values()];
}

/** Labels, numbered where several kernels have the same. */
function keyed(kernels: readonly KernelLine[]): Map<string, KernelLine> {
  const times = new Map<string, number>();
  return new Map(kernels.map((k) => {
    const n = times.get(k.label) ?? 0;
    times.set(k.label, n + 1);
    return [`${k.label} ${n}`, k];
  }));
}

/** In the order of the new plan; what was removed stands where it was, before what came in its place. */
function kernelChanges(a: readonly KernelLine[], b: readonly KernelLine[]): KernelChange[] {
  const [before, after] = [keyed(a), keyed(b)];
  const gone = [...before.keys()];
  const changes: KernelChange[] = [];
  const dropUntil = (key: string | undefined): void => {
    const end = key === undefined ? gone.length : gone.indexOf(key);
    if (end < 0) return;
    for (const removed of gone.splice(0, end)) {
      const kernel = before.get(removed);
      if (kernel && !after.has(removed)) changes.push({ before: kernel, fields: [] });
    }
    gone.shift();
  };
  let added: KernelChange[] = [];
  const reach = (key: string | undefined): void => {
    dropUntil(key);
    changes.push(...added);
    added = [];
  };
  for (const [key, kernel] of after) {
    const old = before.get(key);
    if (!old) { added.push({ after: kernel, fields: [] }); continue; }
    reach(key);
    const fields = (['kind', 'shape', 'flops', 'bytes', 'code'] as const).filter((field) => old[field] !== kernel[field]);
    if (fields.length > 0) changes.push({ before: old, after: kernel, fields });
  }
  reach(undefined);
  return changes;
}

function orderNow(a: readonly KernelLine[], b: readonly KernelLine[]): string[] | undefined {
  const [before, after] = [[...keyed(a).keys()], [...keyed(b).keys()]];
  const now = after.filter((key) => before.includes(key));
  return before.filter((key) => after.includes(key)).join('\n') === now.join('\n') ? undefined : now.map((key) => key.replace(/ \d+$/, ''));
}

/** A group a layer: what is compared is what holds in one layer; changes that are the same in several are joined again. */
function perLayer<T extends { readonly layers: readonly number[] }, C extends object>(
  a: readonly T[], b: readonly T[], key: (item: T) => string, compare: (before: readonly T[], after: readonly T[]) => readonly C[],
): (C & { readonly layers: readonly number[] })[] {
  const places = new Map<string, { readonly layer: number | undefined; readonly before: T[]; readonly after: T[] }>();
  for (const [side, groups] of [['before', a], ['after', b]] as const) {
    for (const group of groups) {
      for (const layer of group.layers.length === 0 ? [undefined] : group.layers) {
        const at = `${layer ?? ''} ${key(group)}`;
        const place = places.get(at) ?? { layer, before: [], after: [] };
        places.set(at, place);
        place[side].push(group);
      }
    }
  }
  const joined = new Map<string, C & { readonly layers: number[] }>();
  for (const { layer, before, after } of places.values()) {
    for (const change of compare(before, after)) {
      const text = `${layer === undefined} ${JSON.stringify(change)}`;
      const group = joined.get(text) ?? { ...change, layers: [] };
      joined.set(text, group);
      if (layer !== undefined) group.layers.push(layer);
    }
  }
  return [...joined.values()].map((change) => ({ ...change, layers: [...change.layers].sort((x, y) => x - y) }));
}

function fusionChanges(a: readonly FusionGroup[], b: readonly FusionGroup[]): FusionChange[] {
  const plain = ({ fired, reason }: FusionGroup): Decision => ({ fired, reason });
  const same = (x: FusionGroup) => (y: FusionGroup): boolean => x.fired === y.fired && x.reason === y.reason;
  const changes = perLayer(a, b, (f) => `${f.pass} ${f.origin}`, (before, after): Omit<FusionChange, 'layers'>[] => {
    const { pass, origin } = (before[0] ?? after[0]) as FusionGroup;
    const [gone, come] = [[...before], [...after]];
    for (const one of before) {
      const at = come.findIndex(same(one));
      if (at >= 0) { come.splice(at, 1); gone.splice(gone.indexOf(one), 1); }
    }
    // What fired and now does not, or the other way round, belongs together; then what has another reason.
    const pairs: { before?: FusionGroup | undefined; after?: FusionGroup | undefined }[] = [];
    for (const flips of [true, false]) {
      for (const one of [...gone]) {
        const at = come.findIndex((other) => (one.fired !== other.fired) === flips);
        if (at < 0) continue;
        pairs.push({ before: one, after: come.splice(at, 1)[0] });
        gone.splice(gone.indexOf(one), 1);
      }
    }
    pairs.push(...gone.map((one) => ({ before: one })), ...come.map((one) => ({ after: one })));
    return pairs.map(({ before: old, after: now }) => ({ pass, origin, ...(old ? { before: plain(old) } : {}), ...(now ? { after: plain(now) } : {}) }));
  });
  // What is lost, what is new, what is done otherwise; near misses that come or go last.
  const weight = ({ before, after }: FusionChange): number => {
    const [old, now] = [before?.fired ?? false, after?.fired ?? false];
    return old === now ? before && after ? 2 : 3 : old ? 0 : 1;
  };
  return changes.sort((x, y) => weight(x) - weight(y));
}

function bufferChanges(a: readonly BufferGroup[], b: readonly BufferGroup[]): BufferChange[] {
  const one = (group: BufferGroup): BufferGroup => ({ ...group, layers: [] });
  return perLayer(a, b, (x) => `${x.role} ${x.name}`, (before, after): Omit<BufferChange, 'layers'>[] =>
    Array.from({ length: Math.max(before.length, after.length) }, (_, n) => [before[n], after[n]] as const)
      .filter(([old, now]) => old?.type !== now?.type || old?.bytes !== now?.bytes || old?.values !== now?.values)
      .map(([old, now]) => ({ ...(old ? { before: one(old) } : {}), ...(now ? { after: one(now) } : {}) })));
}
