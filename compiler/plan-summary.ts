/**
 * What a reviewer wants to know of a plan, as plain data in a stable order: sizes, work, kernels, fusions and buffers, layers that are alike
 * told once. Ids and slots of the plan are not in it, so that summaries of two plans can be compared: plan-diff.ts.
 */
import { decodeStep, kernelCost, planCost } from './cost.ts';
import { codeOf } from './kernel-code.ts';
import { layerOf, ownLayer, type Layer } from './layer-names.ts';
import { ranges, shapeOf } from './print-plan.ts';
import { printShape } from './kernels/print.ts';
import type { Buffer, Kernel } from './kernels/types.ts';
import type { Model, ParamValue } from './model.ts';
import type { Capacity, ExecutionPlan, MemorySummary, Target } from './plan.ts';

export interface KernelLine {
  readonly kind: Kernel['kind'];
  /** `layers.{i}.attention.q` */
  readonly label: string;
  /** `[T] x [128+64+64, 128]` */
  readonly shape: string;
  /** Estimates for one token after `step.past` others. */
  readonly flops: number;
  readonly bytes: number;
  /** What it computes, in lines. `%x` is what the layer before gives. */
  readonly code: string;
}

/** Kernels outside of layers in one place, or those of layers that are alike. */
export interface KernelSection {
  /** `before the layers`, `layers 0..5`, `after layer 3`, `after the layers`; `all` where there are no layers. */
  readonly where: string;
  readonly layers: readonly number[];
  readonly kernels: readonly KernelLine[];
}

/** A decision of a pass, with the layers that it holds for. One that is there n times in a layer is n groups. */
export interface FusionGroup {
  readonly pass: string;
  readonly fired: boolean;
  readonly origin: string;
  readonly reason: string;
  readonly layers: readonly number[];
}

/** A buffer, with the layers that have it. */
export interface BufferGroup {
  readonly role: Buffer['role'];
  readonly name: string;
  /** Format or element type, and shape: `q8_0[128, 128]`. */
  readonly type: string;
  /** Of one layer's. */
  readonly bytes: number;
  /** Of a constant: its first and last numbers, and their sum. */
  readonly values?: string;
  readonly layers: readonly number[];
}

export interface PlanSummary {
  readonly model: string;
  readonly target: Target;
  readonly capacity: Capacity;
  /** Where the model is known: a plan does not keep them. */
  readonly params?: Readonly<Record<string, ParamValue>>;
  /** Numbers that the weights hold; a tied table counts once. */
  readonly parameters: number;
  readonly memory: MemorySummary;
  /** Bytes of the memory that activations and outputs share, largest first. */
  readonly sharedSlots: readonly number[];
  /** One token after `past` others: arithmetic, and bytes read and written. */
  readonly step: { readonly past: number; readonly flops: number; readonly bytes: number };
  readonly kernels: Readonly<Record<'total' | Kernel['kind'], number>>;
  /** How often each pass did something, and how often it nearly did. */
  readonly passes: readonly { readonly pass: string; readonly fired: number; readonly refused: number }[];
  readonly outputs: readonly string[];
  readonly sections: readonly KernelSection[];
  readonly fusions: readonly FusionGroup[];
  readonly buffers: readonly BufferGroup[];
}

export function summarise(plan: ExecutionPlan, model?: Pick<Model, 'params'>): PlanSummary {
  const past = plan.capacity.context - 1;
  const ofKind = (kind: Kernel['kind']): number => plan.kernels.filter((k) => k.kind === kind).length;
  return {
    model: plan.model, target: plan.target, capacity: plan.capacity,
    ...(model ? { params: model.params } : {}),
    parameters: plan.weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    memory: plan.memory,
    sharedSlots: sharedSlots(plan),
    step: { past, ...planCost(plan, decodeStep(past)) },
    kernels: { total: plan.kernels.length, nest: ofKind('nest'), linear: ofKind('linear'), attention: ofKind('attention'), topk: ofKind('topk'), argmax: ofKind('argmax') },
    passes: [...new Set(plan.fusions.map((f) => f.pass))].map((pass) => {
      const own = plan.fusions.filter((f) => f.pass === pass);
      const fired = own.filter((f) => f.fired).length;
      return { pass, fired, refused: own.length - fired };
    }),
    outputs: plan.outputs.map((o) => o.name),
    sections: sections(plan), fusions: fusionGroups(plan), buffers: bufferGroups(plan),
  };
}

function sharedSlots(plan: ExecutionPlan): number[] {
  const shared = new Set(plan.placements.filter((p) => p.first !== undefined).map((p) => p.slot));
  return plan.slots.filter((s) => shared.has(s.slot)).map((s) => s.bytes).sort((a, b) => b - a);
}

/** Layers whose kernels are the same but for the layer's number are one section, wherever they are. */
function sections(plan: ExecutionPlan): KernelSection[] {
  const buffers = new Map(plan.buffers.map((b) => [b.id, b]));
  const step = decodeStep(plan.capacity.context - 1);
  const code = codeOf(plan);
  const layers = plan.kernels.map((k) => layerOf(k.origin.label));
  const last = Math.max(-1, ...layers.map((layer) => layer ?? -1));
  const parts = new Map<string, { readonly layer: Layer; readonly kernels: KernelLine[] }>();
  let reached = -1;
  plan.kernels.forEach((k, at) => {
    const layer = layers[at];
    if (layer !== undefined) reached = Math.max(reached, layer);
    const where = layer !== undefined ? `layer ${layer}` : last < 0 ? 'all' : reached < 0 ? 'before the layers' : reached === last ? 'after the layers' : `after layer ${reached}`;
    const part = parts.get(where) ?? { layer, kernels: [] };
    parts.set(where, part);
    part.kernels.push({ kind: k.kind, label: ownLayer(k.origin.label, layer), shape: shapeOf(k, buffers), ...kernelCost(k, buffers, step), code: code(k) });
  });
  const groups = new Map<string, { readonly where: string; readonly layers: number[]; readonly kernels: KernelLine[] }>();
  for (const [where, { layer, kernels }] of parts) {
    const key = layer === undefined ? where : JSON.stringify(kernels);
    const group = groups.get(key) ?? { where, layers: [], kernels };
    groups.set(key, group);
    if (layer !== undefined) group.layers.push(layer);
  }
  return [...groups.values()].map((g) => (g.layers.length === 0 ? g : { ...g, where: layersText(g.layers) }));
}

/** `layer 3`, `layers 0..5, 8` */
export const layersText = (layers: readonly number[]): string => `layer${new Set(layers).size === 1 ? '' : 's'} ${ranges(layers)}`;

/** Joins what differs in the layer only. What a layer has twice stays apart. */
function grouped<T extends object>(items: readonly { readonly layer: Layer; readonly item: T }[]): (T & { readonly layers: readonly number[] })[] {
  const times = new Map<string, number>();
  const groups = new Map<string, T & { readonly layers: number[] }>();
  for (const { layer, item } of items) {
    const text = JSON.stringify(item);
    const here = `${layer ?? ''} ${text}`;
    const before = times.get(here) ?? 0;
    times.set(here, before + 1);
    const key = `${layer === undefined} ${before} ${text}`;
    const group = groups.get(key) ?? { ...item, layers: [] };
    groups.set(key, group);
    if (layer !== undefined) group.layers.push(layer);
  }
  return [...groups.values()];
}

function fusionGroups(plan: ExecutionPlan): FusionGroup[] {
  const last = Math.max(-1, ...plan.kernels.map((k) => layerOf(k.origin.label) ?? -1));
  return grouped(plan.fusions.map(({ pass, fired, origin, reason }) => {
    const layer = layerOf(origin);
    return { layer, item: { pass, fired, origin: ownLayer(origin, layer), reason: ownLayer(reason, layer, last) } };
  }));
}

const roles = ['weight', 'constant', 'state', 'input', 'activation', 'output'] as const satisfies readonly Buffer['role'][];

function bufferGroups(plan: ExecutionPlan): BufferGroup[] {
  const bytes = new Map(plan.placements.map((p) => [p.buffer, p.bytes]));
  return grouped(roles.flatMap((role) => plan.buffers.filter((b) => b.role === role)).map((b) => {
    const layer = layerOf(b.name);
    const type = `${b.format ?? b.dtype}${printShape(b.shape)}${b.rowOrder === undefined ? '' : ', rows reordered'}`;
    return { layer, item: { role: b.role, name: ownLayer(b.name, layer), type, bytes: bytes.get(b.id) ?? 0, ...(b.role === 'constant' ? { values: valuesOf(b.data ?? []) } : {}) } };
  }));
}

/** Enough to see that numbers changed, with so few digits that they are the same on every machine. */
function valuesOf(data: readonly number[]): string {
  const short = (x: number): string => String(Number(x.toPrecision(6)));
  const shown = data.length <= 4 ? data.map(short) : [...data.slice(0, 3).map(short), '..', short(data[data.length - 1] ?? 0)];
  return `${shown.join(' ')}${data.length <= 4 ? '' : `, sum ${short(data.reduce((a, b) => a + b, 0))}`}`;
}
