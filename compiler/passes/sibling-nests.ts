/** Nests over the same space that do not depend on each other become one kernel with several stores. */
import { buffersRead, buffersWritten } from '../kernels/sources.ts';
import { exceeds } from './limits.ts';
import { mergedNodes, Workspace, type Place } from './workspace.ts';
import type { NestKernel } from '../kernels/types.ts';
import type { KernelPass } from './types.ts';

/** How many earlier nests of the same space are tried. */
const WINDOW = 4;

export const siblingNestsPass: KernelPass = {
  name: 'sibling-nests',
  description: 'independent nests over the same space become one kernel',
  run(schedule, { record, target, reads }) {
    const w = new Workspace(schedule, reads);
    const bySpace = new Map<string, Place[]>();
    for (let place = 0; place < w.places; place++) {
      const kernel = w.at(place);
      if (kernel?.kind !== 'nest') continue;
      const key = kernel.space.join(',');
      const earlier = bySpace.get(key) ?? [];
      const joined = earlier.slice(-WINDOW).reverse().find((at) => join(w, at, place, (reason) => record(false, kernel.origin.label, reason), target));
      if (joined === undefined) { bySpace.set(key, [...earlier, place]); continue; }
      record(true, kernel.origin.label, `one kernel with ${w.at(joined)?.origin.label ?? ''}: both run over [${kernel.space.join(', ')}]`);
    }
    return w.finish();
  },
};

/** Moves the later nest into the earlier one's place where everything that it reads is there already. */
function join(w: Workspace, at: Place, place: Place, refuse: (reason: string) => void, target: Parameters<typeof exceeds>[1]): boolean {
  const first = w.at(at);
  const second = w.at(place);
  if (first?.kind !== 'nest' || second?.kind !== 'nest') return false;
  const writes = new Set(buffersWritten(first));
  for (const id of buffersRead(second, true)) if (writes.has(id) || !w.isReadyAt(id, at)) return false;
  const reads = buffersRead(first, true);
  if (buffersWritten(second).some((id) => reads.has(id) || w.readers(id).some((r) => r < place))) return false;
  const kernel: NestKernel = { ...first, nodes: mergedNodes(first, second), stores: [...first.stores, ...second.stores] };
  const limit = exceeds(kernel, target);
  if (limit) { refuse(`not joined with ${first.origin.label}: ${limit}`); return false; }
  w.remove(place);
  w.replace(at, kernel);
  return true;
}
