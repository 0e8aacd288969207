/**
 * scores -> elementwise and mask -> softmax (with sinks) -> mix becomes one attention kernel. The mask becomes data, so that keys
 * outside it are never read; queries, keys and values become strided views of the buffers that hold them.
 */
import { affine, flatten, stridesOf } from '../kernels/affine.ts';
import { accumulator, load, rewriteScalar, sameScalar, substituteAxes, loadsOf } from '../kernels/scalar-expression.ts';
import { axes } from '../kernels/index-expression.ts';
import { extentsOf } from '../kernels/simplify-index.ts';
import { isLayout } from './cost.ts';
import { keptBecause } from './kept.ts';
import { mergedNodes, producerOf, Workspace, type Place } from './workspace.ts';
import type { AttentionKernel, BufferId, HeadView, Kernel, NestKernel } from '../kernels/types.ts';
import type { MaskWindow, Node } from '../graph/types.ts';
import type { Index, Scalar } from '../kernels/scalar.ts';
import type { KernelPass, KernelPassContext } from './types.ts';

export const attentionPass: KernelPass = {
  name: 'attention',
  description: 'scores, mask, softmax and the mix of values become one kernel that never stores the scores',
  run(schedule, context) {
    const w = new Workspace(schedule, context.reads);
    for (let place = 0; place < w.places; place++) {
      const mix = nestOf(w.at(place), 'mix', context);
      if (!mix) continue;
      const found = match(w, mix.kernel, mix.node, context);
      const origin = mix.kernel.origin.label;
      if (typeof found === 'string') { context.record(false, origin, found); continue; }
      for (const at of found.absorbed) w.remove(at);
      w.replace(place, found.kernel);
      const { mask, sinks } = found.kernel;
      const what = ['scores', ...(mask.causal || mask.window ? ['mask'] : []), 'softmax', ...(sinks === undefined ? [] : ['sinks']), 'mix'];
      context.record(true, origin, `${what.join(' + ')} in one kernel; the scores [T, ${found.kernel.heads}, ${found.kernel.keys}] are never stored`);
    }
    return w.finish();
  },
};

interface Matched { readonly kernel: AttentionKernel; readonly absorbed: readonly Place[] }

/** The kernel if it is an unfused one of this operator. */
function nestOf(kernel: Kernel | undefined, op: Node['operator']['op'], { node }: KernelPassContext): { readonly kernel: NestKernel; readonly node: Node } | undefined {
  if (kernel?.kind !== 'nest' || kernel.nodes.length !== 1) return undefined;
  const n = node(kernel.nodes[0] as number);
  return n?.operator.op === op ? { kernel, node: n } : undefined;
}

function match(w: Workspace, mix: NestKernel, mixNode: Node, context: KernelPassContext): Matched | string {
  const [probabilities, values] = reads(mix);
  if (probabilities === undefined || values === undefined) return 'the mix has no two operands';
  const target = mix.stores[0];
  if (!target) return 'the mix stores nothing';
  const soft = sole(w, probabilities);
  const softmax = soft && nestOf(soft.kernel, 'softmax', context);
  if (!soft || !softmax) return mustStore(w, probabilities) ?? 'the weights of the mix are no softmax, or are used elsewhere too';
  const [logits, sinks] = reads(softmax.kernel);
  if (logits === undefined) return 'the softmax has no operand';
  const absorbed: Place[] = [soft.place];

  // From the softmax's operand back to the scores: maps and at most one mask.
  let score: Scalar = load(logits, axes(3));
  let buffer = logits;
  let mask: { causal: boolean; window?: MaskWindow } | undefined;
  const kernels: Kernel[] = [softmax.kernel];
  for (;;) {
    const producer = sole(w, buffer);
    if (!producer || producer.kernel.kind !== 'nest') return mustStore(w, buffer) ?? 'the scores are used elsewhere too, or are no product of queries and keys';
    const kernel = producer.kernel;
    absorbed.push(producer.place);
    kernels.push(kernel);
    const node = context.node(kernel.nodes[0] as number);
    const value = kernel.stores[0]?.value;
    if (!node || !value || kernel.nodes.length !== 1) return 'the scores have been fused already';
    const operator = node.operator;
    if (operator.op === 'scores') {
      const product = accumulator(axes(3));
      const whole = replaceLoad(score, buffer, product);
      if (loadsOf(whole).some((l) => l.source === buffer)) return 'a score depends on scores of other keys';
      return finish(w, context, mix, mixNode, kernel, kernels, absorbed, whole, mask, sinks, values, target.buffer);
    }
    if (operator.op === 'mask') {
      if (mask) return 'the scores are masked twice';
      const [from] = reads(kernel);
      if (from === undefined) return 'the mask has no operand';
      if (!keepsMasked(score, load(buffer, axes(3)))) return 'what follows the mask could bring a masked score back';
      mask = { causal: operator.causal, ...(operator.window ? { window: operator.window } : {}) };
      score = replaceLoad(score, buffer, load(from, axes(3)));
      buffer = from;
      continue;
    }
    if (operator.op !== 'map') return `a ${operator.op} stands between scores and softmax`;
    // The operand that the scores come through is the one produced by another link of the chain.
    const next = [...new Set(loadsOf(value).map((l) => l.source))].filter((id) => leadsToScores(w, id, context));
    const [through] = next;
    if (through === undefined || next.length > 1) return 'the scores are combined with other scores';
    score = replaceLoad(score, buffer, value);
    buffer = through;
  }
}

/** Whether the buffer is computed, through maps and masks, from scores. */
function leadsToScores(w: Workspace, id: BufferId, context: KernelPassContext): boolean {
  const kernel = w.writer(id)?.kernel;
  if (kernel?.kind !== 'nest' || kernel.nodes.length !== 1) return false;
  const op = context.node(kernel.nodes[0] as number)?.operator.op;
  if (op === 'scores') return true;
  if (op !== 'map' && op !== 'mask') return false;
  return reads(kernel).some((from) => leadsToScores(w, from, context));
}

function finish(
  w: Workspace, context: KernelPassContext, mix: NestKernel, mixNode: Node, scores: NestKernel, kernels: readonly Kernel[], absorbed: readonly Place[],
  score: Scalar, mask: { causal: boolean; window?: MaskWindow } | undefined, sinks: BufferId | undefined, values: BufferId, target: BufferId,
): Matched | string {
  const scoresNode = context.node(scores.nodes[0] as number);
  const [queries, keys] = reads(scores);
  if (queries === undefined || keys === undefined || !scoresNode) return 'the scores have no two operands';
  const q = w.buffer(queries).shape;
  const k = w.buffer(keys).shape;
  const v = w.buffer(values).shape;
  if (q[0] !== 'T') return `the queries' rows are ${q[0]}, not the step's tokens`;
  const [heads, headDim] = [q[1] as number, q[2] as number];
  const [kvHeads, valueDim] = [k[1] as number, mixNode.shape[2] as number];
  if (v[1] !== kvHeads) return `keys have ${kvHeads} heads, values ${String(v[1])}`;
  const [query, key, value] = [viewOf(w, queries), viewOf(w, keys), viewOf(w, values)];
  if (!query || !key || !value) return 'queries, keys or values are no strided view of a buffer';
  const kernel: AttentionKernel = {
    kind: 'attention', id: mix.id, origin: mix.origin, nodes: mergedNodes(mix, ...kernels), sources: [],
    heads, kvHeads, headDim, valueDim, keys: k[0] ?? 'S', query, key, value, mask: mask ?? { causal: false }, score,
    ...(sinks === undefined ? {} : { sinks }),
    stores: [{ buffer: target, index: axes(3), value: accumulator(axes(3)) }],
  };
  return { kernel, absorbed };
}

/** Buffers that a nest loads, in order of first use. */
const reads = (kernel: NestKernel): BufferId[] => [...new Set(kernel.stores.flatMap((s) => loadsOf(s.value).map((l) => l.source)))];

/** The reason if the host sees the buffer: one kernel for all never has all scores of a query at once. */
function mustStore(w: Workspace, id: BufferId): string | undefined {
  const kept = keptBecause(w.buffer(id));
  return kept && `${kept}: it must be stored, so that scores, softmax and mix stay apart`;
}

/** The kernel that writes a buffer which nobody but one kernel reads and the host does not see. */
function sole(w: Workspace, id: BufferId): { readonly place: Place; readonly kernel: Kernel } | undefined {
  return w.buffer(id).role === 'activation' && w.readers(id).length === 1 ? w.writer(id) : undefined;
}

const replaceLoad = (x: Scalar, buffer: BufferId, by: Scalar): Scalar =>
  rewriteScalar(x, (part) => (part.op === 'load' && part.source === buffer && sameScalar(part, load(buffer, axes(3))) ? by : undefined));

/** Whether the value stays far below all others where `masked` is: only additions of other things, and products with positive constants. */
function keepsMasked(x: Scalar, masked: Scalar): boolean {
  if (sameScalar(x, masked)) return true;
  if (x.op !== 'binary') return false;
  const holds = (part: Scalar): boolean => loadsOf(part).some((l) => sameScalar(l, masked));
  const positive = (part: Scalar): boolean => part.op === 'const' && part.value > 0;
  switch (x.fn) {
    case 'add': return (keepsMasked(x.a, masked) && !holds(x.b)) || (keepsMasked(x.b, masked) && !holds(x.a));
    case 'sub': return keepsMasked(x.a, masked) && !holds(x.b);
    case 'mul': return (keepsMasked(x.a, masked) && positive(x.b)) || (keepsMasked(x.b, masked) && positive(x.a));
    case 'div': return keepsMasked(x.a, masked) && positive(x.b);
    default: return false;
  }
}

/** A tensor [rows, heads, dim] as a strided view: of its own buffer, or of the one that it is a slice or reshape of. */
function viewOf(w: Workspace, id: BufferId): HeadView | undefined {
  const shape = w.buffer(id).shape;
  let index: readonly Index[] = axes(3);
  let buffer = id;
  let best: HeadView | undefined;
  for (;;) {
    const view = headView(buffer, index, w, shape);
    if (view) best = view;
    const writer = w.writer(buffer);
    const p = writer && producerOf(w, writer.place);
    if (!p || !isLayout(p.store.value) || p.store.value.op !== 'load') return best;
    const at = index;
    const moved = substituteAxes(p.store.value, (n) => at[n], extentsOf(shape));
    if (moved.op !== 'load') return best;
    index = moved.index;
    buffer = moved.source;
  }
}

function headView(buffer: BufferId, index: readonly Index[], w: Workspace, shape: readonly (number | string)[]): HeadView | undefined {
  const b = w.buffer(buffer);
  if (!stridesOf(b.shape)) return undefined;
  // Axis 1 of extent 1 (a single key head) has no stride of its own.
  const extents = (n: number): number | undefined => (n > 0 ? (shape[n] as number) : undefined);
  const flat = flatten(index, b.shape, extents);
  const form = flat && affine(flat, extents);
  if (!form || form.dims.size > 0 || [...form.axes.keys()].some((n) => n > 2)) return undefined;
  if (shape[2] !== 1 && form.axes.get(2) !== 1) return undefined;
  return { buffer, offset: form.constant, rowStride: form.axes.get(0) ?? 0, headStride: form.axes.get(1) ?? 0 };
}
