/**
 * A nest that reads another's result row by row becomes one kernel with it, which stores both: a residual sum and the norm that
 * follows it. The second computes for itself what it needs of the first, so that nothing waits for all elements of a row.
 */
import { sourcesOf } from '../kernels/scalar-expression.ts';
import { buffersRead, buffersWritten } from '../kernels/sources.ts';
import { isIdentity } from '../kernels/verify.ts';
import { isLayout, occurrences } from './cost.ts';
import { repeatsTooMuch } from './inline.ts';
import type { Alike } from './alike.ts';
import { exceeds } from './limits.ts';
import { inlineIntoKernel } from './replace-loads.ts';
import { mergedNodes, Workspace, type Place } from './workspace.ts';
import type { Kernel, NestKernel, Store } from '../kernels/types.ts';
import type { KernelPass } from './types.ts';
import type { Target } from '../plan.ts';

export const chainedNestsPass: KernelPass = {
  name: 'chained-nests',
  description: 'a nest and the one that goes on with its rows become one kernel that stores both results',
  run(schedule, { record, target, reads, alike }) {
    const w = new Workspace(schedule, reads);
    for (let place = 0; place < w.places; place++) {
      const refused = new Set<Place>();
      for (;;) {
        const first = w.at(place);
        if (first?.kind !== 'nest') break;
        const reader = w.readers(...buffersWritten(first)).find((r) => !refused.has(r) && w.at(r)?.kind === 'nest' && sameSpace(w.at(r), first));
        const second = reader === undefined ? undefined : w.at(reader);
        if (reader === undefined || second?.kind !== 'nest') break;
        const refusal = chain(w, place, first, reader, second, target, alike);
        if (refusal) { refused.add(reader); record(false, second.origin.label, `not one kernel with ${first.origin.label}, whose rows it reads: ${refusal}`); }
        else record(true, second.origin.label, `one kernel with ${first.origin.label}, whose rows it reads: both run over [${first.space.join(', ')}]`);
      }
    }
    return w.finish();
  },
};

const sameSpace = (k: Kernel | undefined, nest: NestKernel): boolean => k?.kind === 'nest' && k.space.join() === nest.space.join();

/** Puts both into one place, or says why not. */
function chain(w: Workspace, place: Place, first: NestKernel, reader: Place, second: NestKernel, target: Target, alike: Alike): string | undefined {
  let joined = second;
  for (const store of first.stores) {
    if (!buffersRead(joined, true).has(store.buffer)) continue;
    const refusal = standsAlone(w, first, store) ?? repeats(first, store, joined);
    if (refusal) return refusal;
    const inlined = inlineIntoKernel(joined, { buffer: store.buffer, value: store.value }, alike);
    if (inlined?.kind !== 'nest') return 'it chooses rows by that result';
    joined = inlined;
  }
  const kept = first.stores.filter((s) => w.buffer(s.buffer).role !== 'activation' || w.readers(s.buffer).some((r) => r !== reader));
  const kernel: NestKernel = { ...first, nodes: mergedNodes(first, second), stores: [...kept, ...joined.stores] };
  const waiting = [...buffersRead(kernel, true)].find((id) => !w.isReadyAt(id, place));
  if (waiting !== undefined) return `${w.buffer(waiting).name} is computed later`;
  const writes = new Set(buffersWritten(kernel));
  if ([...buffersRead(kernel, true)].some((id) => writes.has(id))) return 'it writes what the other reads';
  if (buffersWritten(second).some((id) => w.readers(id).some((r) => r < reader) || w.writers(id).length > 1)) return 'its result is written in parts, or read before';
  const limit = exceeds(kernel, target);
  if (limit) return limit;
  w.remove(reader);
  w.replace(place, kernel);
  return undefined;
}

/** Whether the store's value may stand for every element of its buffer. */
function standsAlone(w: Workspace, first: NestKernel, store: Store): string | undefined {
  const buffer = w.buffer(store.buffer);
  const whole = buffer.shape.length === first.space.length && buffer.shape.every((d, n) => d === first.space[n]) && isIdentity(store.index, first.space);
  return whole && w.writers(buffer.id).length === 1 ? undefined : 'that result is written in parts';
}

function repeats(first: NestKernel, store: Store, second: NestKernel): string | undefined {
  const expressions = second.stores.map((s) => s.value).filter((x) => sourcesOf(x).has(store.buffer));
  const uses = expressions.flatMap((x) => occurrences(x, store.buffer, second.space));
  return repeatsTooMuch({ value: store.value, space: first.space, layout: isLayout(store.value) }, expressions, uses);
}
