/**
 * Sines and cosines of a buffer of angles are computed once, into a table [..., 2] (cosine, sine), rather than by every layer and
 * head that rotates by them.
 */
import { axes, int } from '../kernels/index-expression.ts';
import { load, rewriteScalar, unary, visitScalar } from '../kernels/scalar-expression.ts';
import { buffersRead, buffersWritten, mapKernelExpressions } from '../kernels/sources.ts';
import { Workspace } from './workspace.ts';
import type { Buffer, BufferId, Kernel, NestKernel, Schedule } from '../kernels/types.ts';
import type { Scalar } from '../kernels/scalar.ts';
import type { KernelPass } from './types.ts';

/** A sine or cosine of one element of a buffer. */
const angleOf = (x: Scalar): { readonly buffer: BufferId; readonly which: 0 | 1; readonly at: Extract<Scalar, { op: 'load' }> } | undefined =>
  x.op === 'unary' && (x.fn === 'cos' || x.fn === 'sin') && x.x.op === 'load' ? { buffer: x.x.source, which: x.fn === 'cos' ? 0 : 1, at: x.x } : undefined;

export const rotaryTablesPass: KernelPass = {
  name: 'rotary-tables',
  description: 'sines and cosines of rotary angles are computed once a step for all layers and heads',
  run(schedule, { record, reads }) {
    const w = new Workspace(schedule, reads);
    const tables = new Map<BufferId, Buffer>();
    const users = new Map<BufferId, number>();
    for (let place = 0; place < w.places; place++) {
      const kernel = w.at(place);
      if (kernel?.kind !== 'nest') continue;
      const found = new Set<BufferId>();
      for (const s of kernel.stores) visitScalar(s.value, (part) => { const a = angleOf(part); if (a) found.add(a.buffer); });
      for (const id of found) {
        if (tables.has(id)) continue;
        const angles = w.buffer(id);
        const writer = w.writer(id);
        if (angles.role !== 'activation' || writer?.kernel.kind !== 'nest') continue;
        const table = w.newBuffer({ role: 'activation', name: `${angles.name} cosine and sine`, dtype: 'f32', shape: [...angles.shape, 2] });
        tables.set(id, table);
        w.insertAfter(writer.place, tableKernel(writer.kernel, angles, table));
      }
      if (![...found].some((id) => tables.has(id))) continue;
      for (const id of found) users.set(id, (users.get(id) ?? 0) + 1);
      const lookUp = (x: Scalar): Scalar => rewriteScalar(x, (part) => {
        const a = angleOf(part);
        const table = a && tables.get(a.buffer);
        return a && table ? load(table.id, [...a.at.index, int(a.which)]) : undefined;
      });
      w.replace(place, mapKernelExpressions(kernel, lookUp, (i) => i, (n) => n));
    }
    for (const [id] of tables) record(true, w.buffer(id).name, `sines and cosines in one table for ${users.get(id)} rotations`);
    return tablesFirst(w.finish(), new Set([...tables].flatMap(([angles, table]) => [angles, table.id])));
  },
};

/** Tables need positions only: made first, they are there for every product that rotates what it gives. */
function tablesFirst(schedule: Schedule, tables: ReadonlySet<BufferId>): Schedule {
  const roles = new Map(schedule.buffers.map((b) => [b.id, b.role]));
  const first: Kernel[] = [];
  const rest: Kernel[] = [];
  const made = new Set<BufferId>();
  for (const k of schedule.kernels) {
    const early = buffersWritten(k).every((id) => tables.has(id)) && [...buffersRead(k, true)].every((id) => made.has(id) || !['activation', 'output', 'state'].includes(roles.get(id) ?? ''));
    if (early) for (const id of buffersWritten(k)) made.add(id);
    (early ? first : rest).push(k);
  }
  return { ...schedule, kernels: [...first, ...rest] };
}

function tableKernel(angleKernel: NestKernel, angles: Buffer, table: Buffer): NestKernel {
  const here = axes(angles.shape.length);
  const store = (fn: 'cos' | 'sin', which: number): NestKernel['stores'][number] =>
    ({ buffer: table.id, index: [...here, int(which)], value: unary(fn, load(angles.id, here)) });
  return { ...angleKernel, space: angles.shape, stores: [store('cos', 0), store('sin', 1)] };
}
