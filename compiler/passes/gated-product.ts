/**
 * Products of the same input whose results meet element by element (gate and up) become one product with interleaved weights, so
 * that an element's accumulators lie side by side and what joins them can follow in the same kernel.
 */
import { add, axis, axes, int, mul } from '../kernels/index-expression.ts';
import { accumulator, hasReduce, loadsOf, sameScalar, load } from '../kernels/scalar-expression.ts';
import { exceeds } from './limits.ts';
import { mergedNodes, Workspace, type Place } from './workspace.ts';
import { inputKey } from './sibling-linears.ts';
import type { LinearKernel, NestKernel } from '../kernels/types.ts';
import type { KernelPass } from './types.ts';

interface Product { readonly place: Place; readonly kernel: LinearKernel }

export const gatedProductPass: KernelPass = {
  name: 'gated-product',
  description: 'gate and up become one product with interleaved weights',
  run(schedule, { record, target, reads }) {
    const w = new Workspace(schedule, reads);
    for (let place = 0; place < w.places; place++) {
      const nest = w.at(place);
      if (nest?.kind !== 'nest') continue;
      const products = productsMetBy(w, nest);
      const [first] = products;
      if (!first || products.length < 2) continue;
      const labels = products.map((p) => p.kernel.origin.label).join(' and ');
      const refusal = misfit(products);
      if (refusal) { record(false, nest.origin.label, `${labels} stay apart: ${refusal}`); continue; }
      const kernel = interleave(products.map((p) => p.kernel));
      const limit = exceeds(kernel, target);
      if (limit) { record(false, nest.origin.label, `${labels} stay apart: ${limit}`); continue; }
      for (const p of products) w.remove(p.place);
      w.replace(first.place, kernel);
      record(true, nest.origin.label, `${labels} as one product, rows interleaved`);
    }
    return w.finish();
  },
};

/** Linears whose whole results the nest, and nothing else, reads at its own element. */
function productsMetBy(w: Workspace, nest: NestKernel): Product[] {
  if (nest.stores.some((s) => hasReduce(s.value))) return [];
  const here = load(0, axes(nest.space.length));
  const found = new Map<Place, Product>();
  for (const l of nest.stores.flatMap((s) => loadsOf(s.value))) {
    const writer = w.writer(l.source);
    if (writer?.kernel.kind !== 'linear' || found.has(writer.place)) continue;
    const { kernel, place } = writer;
    // A result that is tapped is stored besides.
    const alone = w.readers(l.source).length === 1;
    const plain = kernel.order === 'stacked' && kernel.weights.length === 1 && kernel.stores.length === 1 && kernel.stores[0]?.value.op === 'accumulator';
    if (alone && plain && sameScalar({ ...l, source: 0 }, here)) found.set(place, { place, kernel });
  }
  return [...found.values()].sort((a, b) => a.place - b.place);
}

function misfit(products: readonly Product[]): string | undefined {
  const keys = new Set(products.map((p) => inputKey(p.kernel)));
  if (keys.size > 1) return 'their inputs differ';
  const rows = new Set(products.map((p) => p.kernel.weights[0]?.rows));
  return rows.size > 1 ? `they have ${[...rows].join(' and ')} rows` : undefined;
}

function interleave(kernels: readonly LinearKernel[]): LinearKernel {
  const [first] = kernels as [LinearKernel, ...LinearKernel[]];
  const rank = first.rowShape.length;
  const many = kernels.length;
  return {
    ...first, nodes: mergedNodes(...kernels), order: 'interleaved', granule: many,
    weights: kernels.flatMap((k) => k.weights),
    stores: kernels.flatMap((k, which) => k.stores.map((s) => ({
      ...s, value: accumulator([...axes(rank), add(mul(axis(rank), many), int(which))]),
    }))).map((s) => ({ ...s, value: tidy(s.value) })),
  };
}

/** i * m + 0 is i * m. */
const tidy = (x: ReturnType<typeof accumulator>): ReturnType<typeof accumulator> =>
  x.op !== 'accumulator' ? x : accumulator(x.index.map((i) => (i.op === 'add' && i.b.op === 'int' && i.b.value === 0 ? i.a : i)));
