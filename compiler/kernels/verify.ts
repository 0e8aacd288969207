/** The invariants of a schedule. What is wrong, as text; empty where all is well. */
import { affine } from './affine.ts';
import { expressionSources, buffersRead, buffersWritten } from './sources.ts';
import { freeAxes, nodeIndices, visitScalar } from './scalar-expression.ts';
import { visitIndex } from './index-expression.ts';
import { InternalError } from '../diagnostics.ts';
import { printSchedule } from './print.ts';
import { extentsOf } from './simplify-index.ts';
import type { Buffer, BufferId, Kernel, LinearKernel, Schedule, Store } from './types.ts';
import type { Index, Scalar, Shape } from './scalar.ts';

export function verifySchedule(schedule: Pick<Schedule, 'buffers' | 'kernels' | 'outputs'>): string[] {
  const problems: string[] = [];
  const buffers = new Map(schedule.buffers.map((b) => [b.id, b]));
  if (buffers.size !== schedule.buffers.length) problems.push('buffer ids repeat');
  const ids = new Set<number>();
  const written = new Set<BufferId>(schedule.buffers.filter((b) => b.role !== 'activation' && b.role !== 'output').map((b) => b.id));
  for (const kernel of schedule.kernels) {
    const say = (text: string): void => { problems.push(`kernel ${kernel.id} (${kernel.origin.label}): ${text}`); };
    if (ids.has(kernel.id)) say('id repeats');
    ids.add(kernel.id);
    for (const id of [...buffersRead(kernel, false), ...buffersWritten(kernel)]) if (!buffers.has(id)) say(`unknown buffer ${id}`);
    const reads = buffersRead(kernel, false);
    for (const id of reads) {
      if (buffers.has(id) && !written.has(id)) say(`reads ${buffers.get(id)?.name} before it is written`);
    }
    for (const id of buffersWritten(kernel)) {
      const role = buffers.get(id)?.role;
      if (reads.has(id)) say(`reads and writes ${buffers.get(id)?.name}`);
      if (role === 'weight' || role === 'constant' || role === 'input') say(`writes the ${role} ${buffers.get(id)?.name}`);
      written.add(id);
    }
    for (const source of expressionSources(kernel)) if (kernel.sources[source] === undefined) say(`no source ${source}`);
    if (new Set(kernel.sources).size !== kernel.sources.length) say('a source repeats');
    verifyKernel(kernel, buffers, say);
  }
  for (const o of schedule.outputs) if (!written.has(o.buffer)) problems.push(`output ${o.name} is never written`);
  return problems;
}

/** Throws with the schedule printed where an invariant does not hold. */
export function checkSchedule(schedule: Schedule, where: string): Schedule {
  const problems = verifySchedule(schedule);
  if (problems.length > 0) throw new InternalError(where, problems.slice(0, 5).join('; '), printSchedule(schedule));
  return schedule;
}

type Say = (text: string) => void;
type Buffers = ReadonlyMap<BufferId, Buffer>;

function verifyKernel(kernel: Kernel, buffers: Buffers, say: Say): void {
  switch (kernel.kind) {
    case 'nest':
      if (kernel.stores.length === 0) say('stores nothing');
      for (const s of kernel.stores) verifyStore(kernel, s, kernel.space.length, undefined, buffers, say);
      return;
    case 'linear': verifyLinear(kernel, buffers, say); return;
    case 'attention':
      if (kernel.heads % kernel.kvHeads !== 0) say(`${kernel.heads} heads do not divide by ${kernel.kvHeads} key heads`);
      verifyScalar(kernel, kernel.score, 3, 3, buffers, say);
      for (const s of kernel.stores) verifyStore(kernel, s, 3, 3, buffers, say);
      return;
    case 'topk': verifyScalar(kernel, kernel.value, kernel.rowShape.length + 1, undefined, buffers, say); return;
    case 'argmax': return;
    default: return kernel satisfies never;
  }
}

function verifyLinear(kernel: LinearKernel, buffers: Buffers, say: Say): void {
  const rank = kernel.rowShape.length + 1;
  const total = kernel.weights.reduce((n, w) => n + w.rows, 0);
  const step = kernel.order === 'stacked' ? 1 : kernel.weights.length;
  for (const w of kernel.weights) {
    const b = buffers.get(w.buffer);
    if (!b) continue;
    const [rows, k] = b.shape.slice(-2);
    if (rows !== w.rows || k !== kernel.k) say(`weight ${b.name} is [${b.shape.join(', ')}], not ${w.rows} rows of ${kernel.k}`);
    if ((b.shape.length === 3) !== (kernel.group !== 'none')) say(`weight ${b.name} of group ${kernel.group} has rank ${b.shape.length}`);
    if (kernel.order === 'interleaved' && w.rows !== kernel.weights[0]?.rows) say('interleaved weights differ in rows');
  }
  if ((kernel.group === 'expert') !== (kernel.choice !== undefined)) say('choice belongs to expert groups');
  if (kernel.granule < step || kernel.granule % step !== 0) say(`granule ${kernel.granule} splits an interleaved step`);
  visitScalar(kernel.input, (part) => {
    if (part.op === 'accumulator') say('input uses an accumulator');
    if (part.op === 'reduce' && freeAxes(part).has(rank - 1)) say('a reduce of the input depends on k');
  });
  verifyScalar(kernel, kernel.input, rank, undefined, buffers, say);
  if (kernel.stores.length === 0) say('stores nothing');
  for (const s of kernel.stores) {
    if (!(s.from >= 0 && s.from < s.to && s.to * step <= total)) say(`store covers ${s.from}..${s.to} of ${total}`);
    verifyStore(kernel, s, rank, rank, buffers, say);
  }
}

function verifyStore(kernel: Kernel, store: Store, axes: number, accumulatorRank: number | undefined, buffers: Buffers, say: Say): void {
  const target = buffers.get(store.buffer);
  if (target && target.shape.length !== store.index.length) say(`stores to ${target.name} by ${store.index.length} indices`);
  for (const i of store.index) verifyIndex(kernel, i, (n) => n < axes, buffers, say);
  verifyScalar(kernel, store.value, axes, accumulatorRank, buffers, say);
}

function verifyScalar(kernel: Kernel, x: Scalar, axes: number, accumulatorRank: number | undefined, buffers: Buffers, say: Say): void {
  visitScalar(x, (part, reduces) => {
    const bound = (n: number): boolean => n < axes || reduces.some((r) => r.axis === n);
    if (part.op === 'arg') say('holds a graph operand');
    if (part.op === 'const' && !Number.isFinite(part.value)) say(`holds the constant ${part.value}`);
    if (part.op === 'reduce' && part.axis !== axes + reduces.length) say(`a reduce ${reduces.length} deep binds axis ${part.axis}, not ${axes + reduces.length}`);
    if (part.op === 'accumulator' && part.index.length !== accumulatorRank) say(`accumulator by ${part.index.length} indices`);
    if (part.op === 'load') {
      const b = buffers.get(kernel.sources[part.source] ?? -1);
      if (b && b.dtype !== 'f32') say(`loads ${b.name}, which is ${b.dtype}`);
      if (b && b.shape.length !== part.index.length) say(`loads ${b.name} by ${part.index.length} indices`);
    }
    for (const i of nodeIndices(part)) verifyIndex(kernel, i, bound, buffers, say);
  });
}

function verifyIndex(kernel: Kernel, index: Index, bound: (axis: number) => boolean, buffers: Buffers, say: Say): void {
  visitIndex(index, (part) => {
    if (part.op === 'axis' && !bound(part.axis)) say(`axis ${part.axis} is not bound`);
    if ((part.op === 'div' || part.op === 'mod') && part.by <= 0) say(`divides by ${part.by}`);
    if (part.op !== 'at') return;
    const b = buffers.get(kernel.sources[part.source] ?? -1);
    if (b && b.dtype !== 'i32') say(`indexes by ${b.name}, which is ${b.dtype}`);
    if (b && b.shape.length !== part.index.length) say(`indexes ${b.name} by ${part.index.length} indices`);
  });
}

/** Whether the store's index is the loop's own axes, one to one: the buffer is the whole result. */
export const isIdentity = (index: readonly Index[], space: Shape): boolean =>
  index.length === space.length && index.every((i, n) => {
    const form = affine(i, extentsOf(space));
    if (!form || form.constant !== 0 || form.dims.size > 0) return false;
    return space[n] === 1 ? form.axes.size === 0 : form.axes.size === 1 && form.axes.get(n) === 1;
  });
