/** Products of the same input become one product with the weights stacked: Q, K and V; a router beside a gate; a parallel feed-forward. */
import { add, axis, indexKey, int, sub } from '../kernels/index-expression.ts';
import { accumulator, rewriteScalar, scalarKey, substituteAxes, substituteIndex } from '../kernels/scalar-expression.ts';
import { extentsOf, simplifyIndex } from '../kernels/simplify-index.ts';
import { exceeds } from './limits.ts';
import { linearStoreSpace } from './replace-loads.ts';
import { mergedNodes, Workspace, type Place } from './workspace.ts';
import type { LinearKernel } from '../kernels/types.ts';
import type { KernelPass } from './types.ts';

/** Equal for linears that may share one product: same rows, same input, same choice. */
export const inputKey = (k: LinearKernel): string =>
  [k.group, k.rowShape.join(','), k.k, scalarKey(k.input), k.choice ? `${k.choice.source}[${k.choice.index.map((i) => indexKey(i)).join(',')}]` : ''].join(' ');

const totalRows = (k: LinearKernel): number => k.weights.reduce((n, w) => n + w.rows, 0);

export const siblingLinearsPass: KernelPass = {
  name: 'sibling-linears',
  description: 'products of the same input become one product with stacked weights',
  run(schedule, { record, target, reads }) {
    const w = new Workspace(schedule, reads);
    const first = new Map<string, Place>();
    for (let place = 0; place < w.places; place++) {
      const kernel = w.at(place);
      if (kernel?.kind !== 'linear' || kernel.order !== 'stacked') continue;
      const key = inputKey(kernel);
      const before = first.get(key);
      const host = before === undefined ? undefined : w.at(before);
      if (before === undefined || host?.kind !== 'linear') { first.set(key, place); continue; }
      const stacked = stack(host, kernel);
      const refusal = exceeds(stacked, target);
      if (refusal) { record(false, kernel.origin.label, `not stacked on ${host.origin.label}: ${refusal}`); first.set(key, place); continue; }
      w.remove(place);
      w.replace(before, stacked);
      record(true, kernel.origin.label, `one product with ${host.origin.label}: ${host.weights.map((x) => x.rows).join(' + ')} + ${totalRows(kernel)} rows of the same input`);
    }
    return w.finish();
  },
};

/** Both kernels' weights and stores, the second's n after the first's. */
function stack(a: LinearKernel, b: LinearKernel): LinearKernel {
  const offset = totalRows(a);
  const rank = a.rowShape.length;
  const merged: LinearKernel = { ...a, nodes: mergedNodes(a, b), weights: [...a.weights, ...b.weights] };
  const extents = extentsOf(linearStoreSpace(merged));
  const shifted = (n: number): ReturnType<typeof axis> | undefined => (n === rank ? sub(axis(rank), int(offset)) : undefined);
  const stores = b.stores.map((s) => ({
    ...s, from: s.from + offset, to: s.to + offset,
    index: s.index.map((i) => simplifyIndex(substituteIndex(i, shifted), extents)),
    // Axes first, then the accumulators' own place: both shift by the offset.
    value: rewriteScalar(substituteAxes(s.value, shifted, extents), (part) =>
      (part.op === 'accumulator' ? accumulator(part.index.map((i, n) => (n === rank ? simplifyIndex(add(i, int(offset)), extents) : i))) : undefined)),
  }));
  return { ...merged, stores: [...a.stores, ...stores] };
}
