/**
 * Layers of a model are alike: their kernels differ in nothing but the buffers they use. What a pass makes of kernels is remembered
 * by what they have in common, so that it is worked out for the first layer only.
 */
import { indexKey, type NameSource } from '../kernels/index-expression.ts';
import { mapIndexSources, mapSources, scalarKey } from '../kernels/scalar-expression.ts';
import { mapKernelExpressions } from '../kernels/sources.ts';
import type { BufferId, HeadView, Kernel, Store } from '../kernels/types.ts';
import type { Scalar } from '../kernels/scalar.ts';

/** What a result depends on, as a key: open kernels and expressions in which buffers have the numbers that `name` gives. */
type Facts = (name: NameSource) => readonly string[];

export class Alike {
  private readonly known = new Map<string, { readonly result: Kernel | string | undefined; readonly buffers: readonly BufferId[] }>();

  /**
   * What `make` gives: a kernel over buffers of the facts, which stands for `own` and so has its id, origin and nodes; or a reason
   * that names no buffer. It depends on nothing but the facts.
   */
  kernel<K extends Kernel, R extends string | undefined>(own: K, facts: Facts, make: () => K | R): K | R {
    const numbers = new Map<BufferId, number>();
    const key = facts((id) => {
      const n = numbers.get(id) ?? numbers.size;
      numbers.set(id, n);
      return n;
    }).join('\n');
    const before = this.known.get(key);
    if (!before) {
      const result = make();
      this.known.set(key, { result, buffers: [...numbers.keys()] });
      return result;
    }
    if (typeof before.result !== 'object') return before.result as R;
    const buffers = [...numbers.keys()];
    const now = new Map(before.buffers.map((id, n) => [id, buffers[n] as BufferId]));
    return { ...renamed(before.result, (id) => now.get(id) as BufferId), id: own.id, origin: own.origin, nodes: own.nodes } as K;
  }
}

/** Equal for open kernels that differ in nothing but which buffers they use, where they come from, and their id. */
export function kernelKey(kernel: Kernel, name: NameSource): string {
  const store = (s: Store & { readonly from?: number; readonly to?: number }): string =>
    `${name(s.buffer)}[${s.index.map((i) => indexKey(i, name)).join(',')}]${s.from ?? ''}-${s.to ?? ''}=${scalarKey(s.value, name)}`;
  const stores = (list: readonly Store[]): string => list.map(store).join(';');
  const view = (v: HeadView): string => `${name(v.buffer)}+${v.offset},${v.rowStride},${v.headStride}`;
  switch (kernel.kind) {
    case 'nest': return `nest [${kernel.space.join(',')}] ${stores(kernel.stores)}`;
    case 'linear': {
      const weights = kernel.weights.map((w) => `${name(w.buffer)}:${w.rows}`).join(',');
      const choice = kernel.choice && `${name(kernel.choice.source)}[${kernel.choice.index.map((i) => indexKey(i, name)).join(',')}]`;
      return `linear ${kernel.group} [${kernel.rowShape.join(',')}] ${kernel.k} ${weights} ${kernel.order} ${kernel.granule} ${choice ?? ''} ${scalarKey(kernel.input, name)} ${stores(kernel.stores)}`;
    }
    case 'attention': {
      const { heads, kvHeads, headDim, valueDim, keys, query, key, value, mask, sinks } = kernel;
      const sizes = [heads, kvHeads, headDim, valueDim, keys, sinks === undefined ? '' : name(sinks)].join(',');
      return `attention ${sizes} ${[query, key, value].map(view).join(' ')} ${JSON.stringify(mask)} ${scalarKey(kernel.score, name)} ${stores(kernel.stores)}`;
    }
    case 'topk': return `topk [${kernel.rowShape.join(',')}] ${kernel.n} ${kernel.k} ${name(kernel.target)} ${scalarKey(kernel.value, name)}`;
    case 'argmax': return `argmax ${name(kernel.input)} ${kernel.n} ${name(kernel.target)}`;
    default: return kernel satisfies never;
  }
}

/** An open kernel with other buffers in place of its own. */
function renamed(kernel: Kernel, name: NameSource): Kernel {
  const rename = <V extends { readonly buffer: BufferId }>(v: V): V => ({ ...v, buffer: name(v.buffer) });
  const open = mapKernelExpressions(kernel, (x: Scalar) => mapSources(x, name), (i) => mapIndexSources(i, name), name);
  switch (open.kind) {
    case 'nest': return { ...open, stores: open.stores.map(rename) };
    case 'linear': return { ...open, weights: open.weights.map(rename), stores: open.stores.map(rename) };
    case 'attention': return {
      ...open, query: rename(open.query), key: rename(open.key), value: rename(open.value), stores: open.stores.map(rename),
      ...(open.sinks === undefined ? {} : { sinks: name(open.sinks) }),
    };
    case 'topk': return { ...open, target: name(open.target) };
    case 'argmax': return { ...open, input: name(open.input), target: name(open.target) };
    default: return open satisfies never;
  }
}
