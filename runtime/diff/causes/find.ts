/** Finds what is likely wrong with a model by trying: of the alternatives, which one makes the error vanish? */
import type { Location } from '../../../compiler/diagnostics.ts';
import type { Graph, WeightSlot } from '../../../compiler/graph/types.ts';
import { lowerModel } from '../../../compiler/lower/lower-model.ts';
import type { Model } from '../../../compiler/model.ts';
import type { WeightProvider } from '../../backend.ts';
import type { LoadedModel } from '../../model.ts';
import { valuesWithin, type Stretch } from '../inside.ts';
import { difference, type Difference, type Limits } from '../report.ts';
import { pruned, referenceValues, type Value } from '../values.ts';
import { show } from './change.ts';
import { causes as allCauses } from './index.ts';
import { knobs, type Knob } from './knobs.ts';
import type { Alternative, Cause, Scope, WeightChange } from './types.ts';

export interface TriedChange {
  readonly cause: string;
  readonly text: string;
}

export interface LikelyCause {
  /** What has to change, one after the other. */
  readonly changes: readonly TriedChange[];
  /** How far the output is from what was expected then. */
  readonly difference: Difference;
  /** Other changes with the same effect. */
  readonly same: readonly TriedChange[];
  /** The first output that differs then in the whole model; null where none does, absent where nobody looked. */
  readonly next?: string | null;
  /** The first named value that the changes alter, and where the spec says it. */
  readonly alters?: string;
  readonly location?: Location;
}

export interface CauseReport extends Stretch {
  /** The output as the reference computes it from the spec as it is; absent where that would take too much. */
  readonly before?: Difference;
  /** Whether the spec is right: the reference agrees, so that the device or a pass is wrong. */
  readonly agrees: boolean;
  /** Where the reference would need too many numbers for the layers up to there: how many. Then nothing is tried. */
  readonly tooLarge?: number;
  /** Alternatives that were tried, and those that were left for want of time. */
  readonly tried: number;
  readonly untried: number;
  /** What makes the error vanish, the best first. */
  readonly likely?: LikelyCause;
  /** Where nothing does: what makes it at least ten times smaller, as a share of the expected size. */
  readonly nearest?: LikelyCause;
}

export interface CauseOptions extends Limits {
  readonly ids: readonly number[];
  /** What was expected, by the graph's names; `undefined` for what is not known. */
  readonly expected: (name: string) => Promise<Float32Array | undefined>;
  /** Outputs to look at in the end, in order. */
  readonly outputs: readonly string[];
  /** Most seconds to try for; 60 if absent. */
  readonly seconds?: number;
  readonly causes?: readonly (readonly Cause[])[];
}

/** One state of the search: the model so changed, and how wrong it is. */
interface Candidate {
  readonly changes: readonly TriedChange[];
  readonly model: Model;
  readonly weights: readonly WeightChange[];
  readonly difference: Difference;
}

/** What the alternatives may change, from where the numbers begin to differ. */
export function scopeOf({ stage, after }: Stretch): Scope {
  const layer = (name: string): number => Number(/^hidden\.(\d+)$/.exec(name)?.[1] ?? NaN);
  const before = after === undefined || after === 'embeddings' ? -1 : after.startsWith('hidden.') ? layer(after) : Infinity;
  return { embeddings: after === undefined, firstLayer: stage === 'embeddings' ? Infinity : before + 1, output: stage === 'final' || stage === 'logits' };
}

/** Most weights that the reference holds for the layers up to the first wrong one: 2 GB of them. */
const mostNumbers = 5e8;

/** A change has to make the error's square this much smaller to be told from luck. */
const least = 100;

class Search {
  private readonly cache = new Map<string, Promise<Float32Array>>();
  private readonly deadline: number;
  tried = 0;
  untried = 0;

  constructor(private readonly loaded: LoadedModel, private readonly stretch: Stretch, private readonly options: CauseOptions) {
    this.deadline = performance.now() + 1000 * (options.seconds ?? 60);
  }

  get late(): boolean { return performance.now() > this.deadline; }

  /** Named values of a changed model in float64, or `undefined` where it is none: it does not lower, or lacks weights. */
  async values(model: Model, changes: readonly WeightChange[], names: readonly string[]): Promise<ReadonlyMap<string, Value> | undefined> {
    const part = this.part(model, names);
    const weights = part && this.provider(model, changes, part.weights);
    return weights && referenceValues(part, weights, this.options.ids);
  }

  /** The graph of a changed model as far as these values need it. */
  private part(model: Model, names: readonly string[]): Graph | undefined {
    const last = Math.max(...names.map((name) => Number(/^hidden\.(\d+)$/.exec(name)?.[1] ?? (name === 'embeddings' ? -1 : Infinity))));
    const { graph } = lowerModel(last < model.layers.length ? { ...model, layers: model.layers.slice(0, last + 1) } : model);
    if (!graph) return undefined;
    const part = pruned(graph, names);
    return part.outputs.length === 0 ? undefined : part;
  }

  private provider(model: Model, changes: readonly WeightChange[], slots: readonly WeightSlot[]): WeightProvider | undefined {
    // The last change was found last, on a model where those before it hold: it is undone first.
    const asked = slots.map((slot) => {
      let from = slot.slot;
      const transforms: ((data: Float32Array, shape: readonly number[]) => Float32Array)[] = [];
      for (const change of [...changes].reverse()) {
        const other = change(from, slot.shape);
        if (!other) continue;
        from = other.from;
        if (other.transform) transforms.unshift(other.transform);
      }
      return { slot, from, transforms };
    });
    const wanted = new Map<string, WeightSlot>();
    for (const { slot, from } of asked) {
      const other = wanted.get(from);
      if (other && other.shape.join() !== slot.shape.join()) return undefined;
      wanted.set(from, { ...slot, slot: from });
    }
    const source = this.loaded.weightsFor(model, [...wanted.values()]);
    if (!source) return undefined;
    const byName = new Map(asked.map((one) => [one.slot.slot, one]));
    return {
      read: async (name) => {
        const one = byName.get(name);
        const from = one?.from ?? name;
        const shape = one?.slot.shape ?? [];
        // Recipes may have been changed too, then what was read before is something else.
        const key = `${from} ${shape.join()} ${JSON.stringify(model.recipes?.(from))}`;
        const known = this.cache.get(key) ?? source.read(from);
        this.cache.set(key, known);
        return (one?.transforms ?? []).reduce((data, transform) => transform(data, shape), await known);
      },
    };
  }

  /** Weights that the output depends on. */
  size(model: Model): number {
    return this.sizeOf(model, [this.stretch.stage]);
  }

  private sizeOf(model: Model, names: readonly string[]): number {
    return this.part(model, names)?.weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) ?? 0;
  }

  async measure(model: Model, weights: readonly WeightChange[], stage = this.stretch.stage): Promise<Difference | undefined> {
    const expected = await this.options.expected(stage);
    const found = (await this.values(model, weights, [stage]))?.get(stage);
    return expected && found && found.data.length === expected.length ? difference(stage, found.data, expected, this.options, found.shape) : undefined;
  }

  /** Every alternative to a candidate, the best first; those of later groups only where none fits before. */
  async step(from: Candidate, scope: Scope, groups: readonly (readonly Cause[])[]): Promise<Candidate[]> {
    const results: Candidate[] = [];
    for (const group of groups) {
      results.push(...await this.group(from, scope, group));
      if (results.some((c) => c.difference.close && c.difference.nmse <= from.difference.nmse / 1e4)) break;
    }
    return results.sort((a, b) => rank(a) - rank(b));
  }

  private async group(from: Candidate, scope: Scope, group: readonly Cause[]): Promise<Candidate[]> {
    const results: Candidate[] = [];
    for (const cause of group) {
      for (const one of cause.alternatives(from.model, scope)) {
        if (!this.touches(from.model, one)) continue;
        if (this.late) { this.untried++; continue; }
        this.tried++;
        const weights = one.weights ? [...from.weights, one.weights] : from.weights;
        const measured = await this.measure(one.model, weights);
        if (measured && !Number.isNaN(measured.maxAbs)) results.push({ changes: [...from.changes, { cause: cause.name, text: one.text }], model: one.model, weights, difference: measured });
      }
    }
    return results;
  }

  /** The value of a number that fits best, by Gauss-Newton steps; nothing where it leads nowhere. */
  solve(from: Candidate, scope: Scope, knob: Knob): Promise<Candidate | undefined> {
    const start = knob.value(from.model, scope);
    return start === undefined ? Promise.resolve(undefined) : this.solveFor(from, knob.name, start, (x) => knob.set(from.model, scope, x));
  }

  private async solveFor(from: Candidate, cause: string, start: number, modelAt: (value: number) => Model | undefined): Promise<Candidate | undefined> {
    const { stage } = this.stretch;
    const expected = await this.options.expected(stage);
    if (!expected || !(start > 0)) return undefined;
    const at = async (x: number): Promise<Float32Array | undefined> => {
      const model = modelAt(x);
      this.tried++;
      return model && (await this.values(model, from.weights, [stage]))?.get(stage)?.data;
    };
    let x = start, before = Infinity;
    for (let i = 0; i < 12; i++) {
      if (this.late) return undefined;
      const [now, then] = [await at(x), await at(x * 1.001)];
      if (!now || !then) return undefined;
      let along = 0, size = 0, error = 0;
      for (let n = 0; n < expected.length; n++) {
        const slope = ((then[n] ?? 0) - (now[n] ?? 0)) / 1e-3;
        along += slope * ((expected[n] ?? 0) - (now[n] ?? 0));
        size += slope * slope;
        error += ((expected[n] ?? 0) - (now[n] ?? 0)) ** 2;
      }
      // What does not lead there soon never does.
      if (size === 0 || (i >= 3 && !(error < before / 2) && error > 1e-12 * size)) return undefined;
      if (i >= 2) before = error;
      const step = Math.max(-2, Math.min(2, along / size));
      x *= Math.exp(step);
      if (Math.abs(step) < 1e-5) break;
    }
    // Numbers that people chose have few digits.
    for (const value of [Number(x.toPrecision(2)), Number(x.toPrecision(3)), Number(x.toPrecision(4)), x]) {
      const model = modelAt(value);
      const measured = model && await this.measure(model, from.weights);
      if (model && measured?.close) return { changes: [...from.changes, { cause, text: `${show(value)} in place of ${show(start)}` }], model, weights: from.weights, difference: measured };
    }
    return undefined;
  }

  /** Params of the spec: those that are true or false, and numbers that need not be whole. One may be used in several places. */
  async params(from: Candidate): Promise<Candidate | undefined> {
    const { model: { params }, withParams } = this.loaded;
    for (const [name, value] of Object.entries(params)) {
      if (this.late) { this.untried++; continue; }
      const cause = `param \`${name}\``;
      if (typeof value === 'number') {
        const found = withParams({ [name]: value * 1.001 }) && await this.solveFor(from, cause, value, (x) => withParams({ [name]: x }));
        if (found) return found;
      }
      const model = typeof value === 'boolean' ? withParams({ [name]: !value }) : undefined;
      if (!model) continue;
      this.tried++;
      const measured = await this.measure(model, []);
      if (measured?.close) return { changes: [{ cause, text: `${!value} in place of ${value}` }], model, weights: [], difference: measured };
    }
    return undefined;
  }

  /** Whether an alternative changes anything: of weights, those of the last layer within reach tell. */
  private touches(before: Model, one: Alternative): boolean {
    if (one.model !== before && one.model.recipes === before.recipes) return true;
    const { graph } = lowerModel(one.model);
    if (!graph) return false;
    return graph.weights.some(({ slot, shape }) => one.weights?.(slot, shape) !== undefined || one.model.recipes?.(slot) !== before.recipes?.(slot));
  }

  async describe(found: Candidate, alike: readonly Candidate[]): Promise<LikelyCause> {
    const next = this.late ? undefined : await this.firstDifference(found);
    const alters = this.late ? undefined : await this.firstAltered(found);
    return { changes: found.changes, difference: found.difference, same: alike.flatMap((c) => c.changes.slice(-1)), ...(next === undefined ? {} : { next }), ...(alters === undefined ? {} : { alters, ...this.placeOf(alters) }) };
  }

  private placeOf(name: string): { readonly location?: Location } {
    const { graph } = this.loaded;
    const id = graph.values.find((value) => value.name === name)?.node;
    const path = graph.nodes.find((node) => node.id === id)?.origin.path;
    const location = path === undefined ? undefined : this.loaded.placeOf(path);
    return location ? { location } : {};
  }

  private async firstDifference(found: Candidate): Promise<string | null | undefined> {
    if (this.sizeOf(found.model, this.options.outputs) > mostNumbers) return undefined;
    const values = await this.values(found.model, found.weights, this.options.outputs);
    for (const name of this.options.outputs) {
      const [value, expected] = [values?.get(name), await this.options.expected(name)];
      if (value && expected && !difference(name, value.data, expected, this.options).close) return name;
    }
    return null;
  }

  /** The first value of the model as it is that the changed model has otherwise. */
  private async firstAltered(found: Candidate): Promise<string | undefined> {
    const { model, graph } = this.loaded;
    const names = valuesWithin(graph, this.stretch);
    const [before, after] = [await this.values(model, [], names), await this.values(found.model, found.weights, names)];
    return names.find((name) => {
      const [a, b] = [before?.get(name), after?.get(name)];
      return a && b && difference(name, a.data, b.data, this.options).nmse > 1e-13;
    });
  }
}

/** Equal to a few digits is equally good: then the order of the list decides. */
function rank({ difference: d }: Candidate): number {
  return Math.round(2 * Math.log10(Math.max(d.nmse, 1e-16)));
}

/**
 * Tries every alternative on the reference, all layers from the first wrong one on changed alike, and up to three of them together. `stretch` says where
 * the numbers begin to differ from what was expected.
 */
export async function findCauses(loaded: LoadedModel, stretch: Stretch, options: CauseOptions): Promise<CauseReport | undefined> {
  const search = new Search(loaded, stretch, options);
  const numbers = search.size(loaded.model);
  if (numbers > mostNumbers) return { ...stretch, agrees: false, tooLarge: numbers, tried: 0, untried: 0 };
  const before = await search.measure(loaded.model, []);
  if (!before) return undefined;
  const report = { ...stretch, before };
  if (before.close) return { ...report, agrees: true, tried: 0, untried: 0 };

  const scope = scopeOf(stretch);
  let best: Candidate = { changes: [], model: loaded.model, weights: [], difference: before };
  let alike: Candidate[] = [];
  const solved = async (from: Candidate): Promise<Candidate | undefined> => {
    for (const knob of knobs) {
      const found = await search.solve(from, scope, knob);
      if (found && found.difference.nmse <= before.nmse / least) return found;
    }
    const param = from.changes.length === 0 ? await search.params(from) : undefined;
    return param && param.difference.nmse <= before.nmse / least ? param : undefined;
  };
  for (let depth = 0; depth < 3; depth++) {
    const found = await search.step(best, scope, options.causes ?? allCauses);
    const [first] = found;
    const exact = first?.difference.close && first.difference.nmse <= best.difference.nmse / least ? undefined : await solved(best);
    if (exact) {
      best = exact;
      alike = [];
      break;
    }
    if (!first || !(first.difference.nmse <= best.difference.nmse / (first.difference.close ? least : 4))) break;
    alike = found.slice(1).filter((c) => c.difference.close && rank(c) <= rank(first) + 1);
    best = first;
    if (best.difference.close) break;
  }
  const counts = { tried: search.tried, untried: search.untried };
  if (best.difference.close && best.difference.nmse <= before.nmse / least) return { ...report, agrees: false, ...counts, likely: await search.describe(best, alike) };
  const nearer = best.changes.length > 0 && best.difference.nmse <= before.nmse / least;
  return { ...report, agrees: false, ...counts, ...(nearer ? { nearest: await search.describe(best, []) } : {}) };
}
