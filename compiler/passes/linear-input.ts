/**
 * What stands before a product moves into the reading of its input: light arithmetic, and a norm, whose statistics the product's
 * kernel then computes. Where several products read it, or one many times over, costs decide whether a kernel of its own does it once.
 */
import { hasReduce } from '../kernels/scalar-expression.ts';
import { hasFunctions, hasIndirectLoad, isLayout } from './cost.ts';
import { inputChoice } from './fusion-costs.ts';
import { exceeds } from './limits.ts';
import { keptBecause } from './kept.ts';
import { inlineIntoKernel } from './replace-loads.ts';
import { mergedNodes, producerOf, Workspace, type Place } from './workspace.ts';
import { freeAxes, sourcesOf, visitScalar } from '../kernels/scalar-expression.ts';
import type { Kernel, LinearKernel } from '../kernels/types.ts';
import type { KernelPass } from './types.ts';

export const linearInputPass: KernelPass = {
  name: 'linear-input',
  description: 'norms and light arithmetic move into the product that follows them',
  run(schedule, { record, target, reads, alike }) {
    const w = new Workspace(schedule, reads);
    for (let place = 0; place < w.places; place++) {
      const p = producerOf(w, place);
      if (!p) {
        const kept = keptInput(w, place);
        if (kept) record(false, w.at(place)?.origin.label ?? '', `not into the product that follows: ${kept}, so that it must be stored`);
        continue;
      }
      const readers = w.readers(p.buffer.id);
      const { value } = p.store;
      const label = p.kernel.origin.label;
      if (!readers.some((r) => w.at(r)?.kind === 'linear')) continue;
      const what = hasReduce(value) ? 'norm' : 'arithmetic';
      const others = readers.filter((r) => !readsAsInput(w.at(r), p.buffer.id));
      const refuse = (reason: string): void => record(false, label, `not into the product that follows: ${reason}`);
      if (others.length > 0) { refuse(`${names(w, others)} reads it too, so that it must be stored`); continue; }
      if (hasReduce(value) && !target.linearPrologue) { refuse(`${target.name} would compute its statistics again for every block of rows`); continue; }
      if (hasFunctions(value)) { refuse('its functions would be computed again for every block of rows'); continue; }
      if (hasIndirectLoad(value) && !isLayout(value)) { refuse('it looks up rows'); continue; }
      const products = readers.map((r) => w.at(r)).filter((k) => k?.kind === 'linear');
      const { times, again, once } = inputChoice(value, products, target);
      const weighed = times > 1 ? `${times} times a token, ${flops(again)} more than once; a kernel of its own costs ${flops(once)}` : 'once a token';
      if (again > once) { refuse(`${names(w, readers)} would compute it ${weighed}`); continue; }
      const fused = readers.map((r) => inlineIntoKernel(w.at(r) as Kernel, { buffer: p.buffer.id, value }, alike));
      const wrong = fused.map((k) => (k?.kind === 'linear' ? (dependsOnK(k) ? 'its statistics are not those of a row' : exceeds(k, target)) : 'it is not read as an input'));
      const reason = wrong.find((x) => x !== undefined);
      if (reason) { refuse(reason); continue; }
      readers.forEach((r, n) => {
        const kernel = fused[n] as LinearKernel;
        w.replace(r, { ...kernel, nodes: mergedNodes(p.kernel, kernel) });
      });
      w.remove(place);
      record(true, label, `${what} computed in front of ${names(w, readers)}, ${weighed}`);
    }
    return w.finish();
  },
};

/** Why a nest that only products go on with must be stored, if the host looks at it. */
function keptInput(w: Workspace, place: Place): string | undefined {
  const kernel = w.at(place);
  const [store, ...more] = kernel?.kind === 'nest' ? kernel.stores : [];
  if (!store || more.length > 0) return undefined;
  const readers = w.readers(store.buffer);
  return readers.length > 0 && readers.every((r) => readsAsInput(w.at(r), store.buffer)) ? keptBecause(w.buffer(store.buffer)) : undefined;
}

/** 12345 -> about 12 kFLOP */
const flops = (n: number): string => {
  const [by, unit] = n >= 1e9 ? [1e9, 'G'] : n >= 1e6 ? [1e6, 'M'] : n >= 1e3 ? [1e3, 'k'] : [1, ''];
  return `${Number((n / by).toPrecision(2))} ${unit}FLOP`;
};

const names = (w: Workspace, places: readonly Place[]): string => [...new Set(places.map((r) => w.at(r)?.origin.label ?? ''))].join(', ');

/** Read by a linear's input and by nothing behind its product. */
function readsAsInput(kernel: Kernel | undefined, buffer: number): boolean {
  return kernel?.kind === 'linear' && sourcesOf(kernel.input).has(buffer) && !kernel.stores.some((s) => sourcesOf(s.value).has(buffer));
}

function dependsOnK(kernel: LinearKernel): boolean {
  let found = false;
  visitScalar(kernel.input, (part) => { if (part.op === 'reduce' && freeAxes(part).has(kernel.rowShape.length)) found = true; });
  return found;
}
