/** A plan as text for a reviewer: kernels with shapes and costs, fusions with reasons, buffers and memory. Layers that are alike are folded. */
import { decodeStep, kernelCost, planCost } from './cost.ts';
import { bufferNames, printKernel, printShape } from './kernels/print.ts';
import { kernelVariants } from './kernel-variants.ts';
import type { Buffer, BufferId, Kernel } from './kernels/types.ts';
import type { ExecutionPlan, FusionRecord } from './plan.ts';

export interface PrintOptions {
  /** Every kernel with its expressions, nothing folded. */
  readonly detail?: boolean;
}

export function printPlan(plan: ExecutionPlan, options: PrintOptions = {}): string {
  const { capacity, memory, target } = plan;
  const past = capacity.context - 1;
  const variants = kernelVariants(target, plan.buffers);
  const cost = planCost(plan, decodeStep(past));
  const fired = plan.fusions.filter((f) => f.fired).length;
  return [
    `plan ${plan.model} for ${target.name}: ${plan.kernels.length} kernels, ${fired} fusions, ${plan.fusions.length - fired} near misses`,
    `steps of up to ${capacity.maxTokens} tokens, context ${capacity.context}, logits of up to ${capacity.maxLogitRows} rows`,
    `one token after ${past} others: ${count(cost.flops)}FLOP, ${bytes(cost.bytes)} read and written`,
    ...(variants === undefined ? [] : [`variants: ${variants}`]),
    '',
    `kernels (for that token: FLOP, bytes)`,
    ...kernelLines(plan, options.detail ?? false),
    '',
    'fusions (+ done, - near miss)',
    ...fusionLines(plan.fusions),
    '',
    'buffers',
    ...bufferLines(plan),
    '',
    'memory',
    `  weights      ${bytes(memory.weights)}`,
    `  constants    ${bytes(memory.constants)}`,
    `  states       ${bytes(memory.states)} (${bytes(memory.stateBytesPerToken)} a token)`,
    `  activations  ${bytes(memory.activations)} in ${slotCount(plan)} shared slots (${bytes(memory.activationsUnshared)} without sharing)`,
    `  peak         ${bytes(memory.peak)}`,
  ].join('\n') + '\n';
}

const slotCount = (plan: ExecutionPlan): number => new Set(plan.placements.filter((p) => p.first !== undefined).map((p) => p.slot)).size;

function kernelLines(plan: ExecutionPlan, detail: boolean): string[] {
  const names = bufferNames(plan.buffers);
  if (detail) return plan.kernels.map((k) => printKernel(k, names).replace(/^/gm, '  '));
  const buffers = new Map(plan.buffers.map((b) => [b.id, b]));
  const step = decodeStep(plan.capacity.context - 1);
  const lines = plan.kernels.map((k) => {
    const cost = kernelCost(k, buffers, step);
    const parts = [k.kind.padEnd(9), k.origin.label.padEnd(32), shapeOf(k, buffers).padEnd(44), `${count(cost.flops)}FLOP`.padStart(11), bytes(cost.bytes).padStart(9)];
    const layer = /^layers\.(\d+)/.exec(k.origin.label)?.[1];
    return { layer: layer === undefined ? undefined : Number(layer), text: parts.join(' ') };
  });
  return foldLayers(lines).map((line) => `  ${line}`);
}

/** The size of a kernel's work: `[T] x [128+64+64, 128]`. */
export function shapeOf(k: Kernel, buffers: ReadonlyMap<BufferId, Buffer>): string {
  switch (k.kind) {
    case 'nest': return `over ${printShape(k.space)}`;
    case 'linear': {
      const rows = k.weights.map((w) => w.rows).join(k.order === 'stacked' ? '+' : '|');
      const experts = k.group === 'expert' ? ` of ${String(buffers.get(k.weights[0]?.buffer ?? -1)?.shape[0])} experts` : k.group === 'head' ? ' a head' : '';
      return `${printShape(k.rowShape)} x [${rows}, ${k.k}]${experts}`;
    }
    case 'attention': return `[T, ${k.heads}/${k.kvHeads}, ${k.headDim}/${k.valueDim}] over ${k.keys}`;
    case 'topk': return `${printShape([...k.rowShape, k.k])} of ${k.n}`;
    case 'argmax': return `of ${k.n}`;
    default: return k satisfies never;
  }
}

/** Consecutive runs of layers with equal lines (but for the layer's number) are told once. */
export function foldLayers(lines: readonly { readonly layer?: number | undefined; readonly text: string }[]): string[] {
  const groups: { layer: number | undefined; lines: string[] }[] = [];
  for (const { layer, text } of lines) {
    const last = groups.at(-1);
    if (last && last.layer === layer) last.lines.push(text);
    else groups.push({ layer, lines: [text] });
  }
  const result: string[] = [];
  for (let n = 0; n < groups.length;) {
    const first = groups[n] as (typeof groups)[number];
    if (first.layer === undefined) { result.push(...first.lines); n++; continue; }
    const key = anyLayer(first.lines.join('\n'));
    let end = n + 1;
    while (groups[end]?.layer !== undefined && anyLayer((groups[end] as (typeof groups)[number]).lines.join('\n')) === key) end++;
    if (end === n + 1) result.push(...first.lines);
    else {
      result.push(`layers ${first.layer}..${groups[end - 1]?.layer ?? ''}, each:`, ...key.split('\n').map((line) => `  ${line}`));
    }
    n = end;
  }
  return result;
}

/** layers.3.x -> layers.{i}.x, keeping columns in place. */
const anyLayer = (text: string): string => text.replace(/layers\.\d+(\S*)( *)/g, (all, rest: string) => {
  const named = `layers.{i}${rest}`;
  return named.padEnd(all.length, ' ').slice(0, Math.max(named.length + (all.endsWith(' ') ? 1 : 0), all.length));
});

/** Records that differ only in the layer are told once, with the layers they hold for. */
function fusionLines(records: readonly FusionRecord[]): string[] {
  const groups = new Map<string, { text: string; layers: number[] }>();
  for (const r of records) {
    const layer = /layers\.(\d+)/.exec(r.origin)?.[1];
    const plain = (text: string): string => text.replace(/layers\.\d+/g, 'layers.{i}');
    const text = `${r.fired ? '+' : '-'} ${r.pass.padEnd(16)} ${plain(r.origin)}: ${plain(r.reason)}`;
    const group = groups.get(text) ?? { text, layers: [] };
    if (layer !== undefined) group.layers.push(Number(layer));
    groups.set(text, group);
  }
  return [...groups.values()].map(({ text, layers }) => `  ${text}${layers.length > 0 ? ` (layers ${ranges(layers)})` : ''}`);
}

/** 0, 1, 2, 5 -> 0..2, 5 */
export function ranges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let n = 0; n < sorted.length;) {
    let end = n;
    while (sorted[end + 1] === (sorted[end] as number) + 1) end++;
    parts.push(end === n ? String(sorted[n]) : `${sorted[n]}..${sorted[end]}`);
    n = end + 1;
  }
  return parts.join(', ');
}

function bufferLines(plan: ExecutionPlan): string[] {
  const placements = new Map(plan.placements.map((p) => [p.buffer, p]));
  const groups = new Map<string, { text: string; count: number; bytes: number }>();
  const roles = ['weight', 'constant', 'state', 'input', 'activation', 'output'] as const;
  for (const role of roles) {
    for (const b of plan.buffers.filter((x) => x.role === role)) {
      const p = placements.get(b.id);
      const slot = p?.first === undefined ? '' : ` slot ${p.slot}`;
      const text = `${role.padEnd(10)} ${b.name.replace(/layers\.\d+/, 'layers.{i}')}: ${b.format ?? b.dtype}${printShape(b.shape)}${slot}`;
      const group = groups.get(text) ?? { text, count: 0, bytes: 0 };
      group.count++;
      group.bytes += p?.bytes ?? 0;
      groups.set(text, group);
    }
  }
  return [...groups.values()].map((g) => `  ${g.text}, ${bytes(g.bytes)}${g.count > 1 ? ` in ${g.count}` : ''}`);
}

const scaled = (x: number, base: number, units: readonly string[], digits: number): string => {
  let value = x;
  let unit = 0;
  while (value >= base && unit < units.length - 1) { value /= base; unit++; }
  return `${unit === 0 ? Math.round(value) : value.toFixed(value >= 100 ? digits - 1 : digits)} ${units[unit] ?? ''}`;
};
/** 12345678 -> `12.3 M`, to stand before a unit. `digits` after the point, one less from 100 on. */
export const count = (x: number, digits = 1): string => scaled(x, 1000, ['', 'k', 'M', 'G', 'T'], digits);
export const bytes = (x: number, digits = 1): string => scaled(x, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], digits);
