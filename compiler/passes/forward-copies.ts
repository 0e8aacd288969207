/** A buffer that is written in parts (a concatenation) and then only copied elsewhere (into a cache, reshaped): its parts are written there at once. */
import { affine, flatten } from '../kernels/affine.ts';
import { axis, div, int, mod, sameIndex } from '../kernels/index-expression.ts';
import { substituteIndex } from '../kernels/scalar-expression.ts';
import { extentsOf, simplifyIndex } from '../kernels/simplify-index.ts';
import { keptBecause } from './kept.ts';
import { asDigits } from './host-axes.ts';
import { storeSpace } from './replace-loads.ts';
import { mergedNodes, Workspace } from './workspace.ts';
import type { BufferId, Kernel, NestKernel, Store } from '../kernels/types.ts';
import type { Index } from '../kernels/scalar.ts';
import type { KernelPass } from './types.ts';

export const forwardCopiesPass: KernelPass = {
  name: 'forward-copies',
  description: 'parts of a concatenation are written where it is going to be copied to',
  run(schedule, { record, reads }) {
    const w = new Workspace(schedule, reads);
    for (let place = 0; place < w.places; place++) {
      const copy = w.at(place);
      if (copy?.kind !== 'nest') continue;
      const found = copied(w, copy);
      if (!found) continue;
      const kept = keptBecause(w.buffer(found.from));
      if (kept) { record(false, copy.origin.label, `its parts are not written to ${w.buffer(found.to).name} at once: ${kept}`); continue; }
      const writers = w.writers(found.from);
      for (const at of writers) {
        const kernel = w.at(at) as Kernel;
        const moved = retarget(kernel, found, w.buffer(found.from).shape);
        w.replace(at, { ...moved, nodes: mergedNodes(kernel, copy) });
      }
      w.remove(place);
      record(true, copy.origin.label, `its ${writers.length} parts are written to ${w.buffer(found.to).name} at once`);
    }
    return w.finish();
  },
};

/** The nest's axes as expressions over the copied buffer's: axis 0 its row, axis 1 the element's place in the row. */
interface Copy { readonly from: BufferId; readonly to: BufferId; readonly index: readonly Index[]; readonly axes: readonly Index[] }

function copied(w: Workspace, copy: NestKernel): Copy | undefined {
  const [store, ...more] = copy.stores;
  if (!store || more.length > 0 || store.value.op !== 'load') return undefined;
  const from = w.buffer(store.value.source);
  const writers = w.writers(from.id);
  const plain = writers.every((at) => ['nest', 'linear', 'attention'].includes(w.at(at)?.kind ?? ''));
  if ((from.role !== 'activation' && from.role !== 'output') || writers.length < 2 || w.readers(from.id).length !== 1 || !plain) return undefined;
  const extents = extentsOf(copy.space);
  const [row, ...rest] = store.value.index;
  const rowShape = from.shape.slice(1);
  if (!row || copy.space[0] !== from.shape[0] || !sameIndex(row, axis(0)) || rowShape.some((d) => typeof d !== 'number')) return undefined;
  const place = flatten(rest, rowShape, extents);
  const form = place && affine(place, extents);
  const digits = form && form.constant === 0 && form.dims.size === 0 && !form.axes.has(0) ? asDigits(form.axes, (n) => copy.space[n]) : undefined;
  const size = rowShape.reduce<number>((n, d) => n * (d as number), 1);
  if (!digits || digits.reduce((n, d) => n * d.extent, 1) !== size) return undefined;
  const mapped = copy.space.map((extent, n): Index | undefined => {
    if (n === 0) return axis(0);
    const d = digits.find((x) => x.axis === n);
    return d ? mod(div(axis(1), d.by), d.extent) : extent === 1 ? int(0) : undefined;
  });
  if (mapped.includes(undefined)) return undefined;
  return { from: from.id, to: store.buffer, index: store.index, axes: mapped as Index[] };
}

function retarget(kernel: Kernel, copy: Copy, shape: NestKernel['space']): Kernel {
  const extents = extentsOf(storeSpace(kernel));
  const moved = <S extends Store>(s: S): S => {
    if (s.buffer !== copy.from) return s;
    const place = flatten(s.index.slice(1), shape.slice(1), extents) ?? int(0);
    const point = copy.axes.map((a) => substituteIndex(a, (n) => (n === 0 ? s.index[0] : place)));
    return { ...s, buffer: copy.to, index: copy.index.map((i) => simplifyIndex(substituteIndex(i, (n) => point[n]), extents)) };
  };
  switch (kernel.kind) {
    case 'nest': return { ...kernel, stores: kernel.stores.map(moved) };
    case 'linear': return { ...kernel, stores: kernel.stores.map(moved) };
    case 'attention': return { ...kernel, stores: kernel.stores.map(moved) };
    case 'topk': case 'argmax': return kernel;
    default: return kernel satisfies never;
  }
}
