/**
 * Elementwise and layout producers move into what reads them: a chain of any length becomes one kernel, a softmax takes in its
 * mask, a norm its weights, reshapes and slices become index arithmetic. A producer with several readers moves only where it
 * just moves data.
 */
import { countNodes, hasReduce, loadsOf } from '../kernels/scalar-expression.ts';
import { isHeavy, isLayout, occurrences, repetition, type Occurrence } from './cost.ts';
import { operatorsOf } from './describe.ts';
import { inlineIntoKernel } from './replace-loads.ts';
import { keptBecause } from './kept.ts';
import { mergedNodes, producerOf, Workspace, type Place } from './workspace.ts';
import type { Buffer, Kernel, NestKernel, Schedule, Store } from '../kernels/types.ts';
import type { Scalar, Shape } from '../kernels/scalar.ts';
import type { KernelPass, KernelPassContext } from './types.ts';

/** Beyond this many nodes an expression costs more to compile than its kernel saves. */
const MOST_NODES = 900;
/** How many times over elementwise work may be repeated to save a pass over memory. */
const MOST_REPEATS = 6;

export const inlinePass: KernelPass = {
  name: 'inline',
  description: 'elementwise chains and layout changes become part of the kernel that reads them',
  run: (schedule, context) => inline(schedule, context, true),
};

/** After the epilogues: what was left for them and did not fit. */
export const inlineRestPass: KernelPass = {
  name: 'inline-rest',
  description: 'elementwise work that could not follow a product becomes part of the kernel that reads it',
  run: (schedule, context) => inline(schedule, context, false),
};

function inline(schedule: Schedule, { record, reads, alike, node }: KernelPassContext, beforeEpilogues: boolean): Schedule {
  const w = new Workspace(schedule, reads);
  for (let place = 0; place < w.places; place++) {
    const p = producerOf(w, place);
    if (!p) {
      if (!beforeEpilogues) noteKept(w, place, record);
      continue;
    }
    const readers = w.readers(p.buffer.id);
    const definition = { buffer: p.buffer.id, value: p.store.value };
    const layout = isLayout(p.store.value);
    const label = p.kernel.origin.label;
    if (readers.length === 0) { w.remove(place); continue; }
    if (readers.length > 1 && !layout) {
      if (!beforeEpilogues && !hasReduce(p.store.value)) record(false, label, `its result is read by ${readers.length} kernels: computed once and kept`);
      continue;
    }
    let left = readers.length;
    for (const reader of readers) {
      const consumer = w.at(reader) as Kernel;
      const refusal = refuse(w, consumer, p, layout, beforeEpilogues);
      const fused = refusal !== undefined ? undefined : inlineIntoKernel(consumer, definition, alike);
      if (!fused) {
        if (refusal) record(false, label, `${operatorsOf(p.kernel, node)} not into ${describe(consumer, node)} of ${consumer.origin.label}: ${refusal}`);
        continue;
      }
      w.replace(reader, { ...fused, nodes: mergedNodes(p.kernel, consumer) });
      left--;
      if (!layout) record(true, label, `${operatorsOf(p.kernel, node)} computed inside ${describe(consumer, node)} of ${consumer.origin.label}`);
    }
    if (left === 0) w.remove(place);
  }
  return w.finish();
}

/** Says of a nest that only one other goes on with why it stays apart: its result is looked at. (Products say so for themselves.) */
function noteKept(w: Workspace, place: Place, record: KernelPassContext['record']): void {
  const kernel = w.at(place);
  const [store, ...more] = kernel?.kind === 'nest' ? kernel.stores : [];
  const kept = store && more.length === 0 ? keptBecause(w.buffer(store.buffer)) : undefined;
  const [reader, ...others] = kept && store ? w.readers(store.buffer) : [];
  const consumer = reader === undefined || others.length > 0 ? undefined : w.at(reader);
  if (kernel && kept && consumer && consumer.kind !== 'linear' && consumer.kind !== 'argmax') record(false, kernel.origin.label, `not into ${consumer.origin.label}, which reads it: ${kept}`);
}

const describe = (k: Kernel, node: KernelPassContext['node']): string => `the ${k.kind === 'nest' ? operatorsOf(k, node) : k.kind}`;

/** Why a value should not be computed where `consumer` reads it; empty reasons are for what another pass decides. */
function refuse(w: Workspace, consumer: Kernel, p: { readonly kernel: NestKernel; readonly store: Store; readonly buffer: Buffer }, layout: boolean, beforeEpilogues: boolean): string | undefined {
  const { value } = p.store;
  const { space } = p.kernel;
  const buffer = p.buffer.id;
  switch (consumer.kind) {
    case 'linear':
      // Arithmetic in front of a product is decided by the linear-input pass, after what can go behind the product before it.
      return layout ? undefined : '';
    case 'argmax': return '';
    case 'attention':
      if (layout) return undefined;
      return hasReduce(value) ? 'a reduction does not fit an attention kernel' : undefined;
    case 'topk': case 'nest': {
      const expressions = consumer.kind === 'nest' ? consumer.stores.map((s) => s.value) : [consumer.value];
      const consumerSpace = consumer.kind === 'nest' ? consumer.space : [...consumer.rowShape, consumer.n];
      const uses: Occurrence[] = expressions.flatMap((x) => occurrences(x, buffer, consumerSpace));
      if (beforeEpilogues && !layout && !hasReduce(value) && followsProduct(w, value)) {
        const again = uses.some((u) => [...u.context].some((a) => a >= u.rank));
        if (again || consumerSpace[0] !== space[0]) return '';
      }
      return layout && uses.length <= 2 ? undefined : repeatsTooMuch({ value, space, layout }, expressions, uses);
    }
    default: return consumer satisfies never;
  }
}

/** Why computing a nest's value wherever these expressions read it would repeat too much. */
export function repeatsTooMuch({ value, space, layout }: { readonly value: Scalar; readonly space: Shape; readonly layout: boolean }, expressions: readonly Scalar[], uses: readonly Occurrence[]): string | undefined {
  const size = expressions.reduce((n, x) => n + countNodes(x), 0) + uses.length * countNodes(value);
  if (size > MOST_NODES) return `the joined expression would have ${size} nodes`;
  const { elements, reduces, nested } = repetition(value, space, uses);
  if (nested) return 'its reduction would be repeated inside another';
  if (reduces > 2) return `its reduction would be computed ${Math.round(reduces)} times over`;
  const most = isHeavy(value) ? MOST_REPEATS : MOST_REPEATS * 2;
  return !layout && elements > most ? `it would be computed ${Math.round(elements)} times over` : undefined;
}

/** Elementwise work on what a product gave: it goes behind the product (see the epilogue pass) rather than into a reduction that reads it again, or into other rows. */
const followsProduct = (w: Workspace, value: Scalar): boolean => loadsOf(value).some((l) => w.writer(l.source)?.kernel.kind === 'linear');
