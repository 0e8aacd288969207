/** Inlining a definition into every expression of a kernel. */
import { axes, type NameSource } from '../kernels/index-expression.ts';
import { inlineInto, inlineIntoIndex, type Definition } from '../kernels/inline.ts';
import { scalarKey } from '../kernels/scalar-expression.ts';
import { buffersRead } from '../kernels/sources.ts';
import { extentsOf, type Extents } from '../kernels/simplify-index.ts';
import { kernelKey, type Alike } from './alike.ts';
import type { Kernel, LinearKernel, Store } from '../kernels/types.ts';
import type { Dim, Index, Shape } from '../kernels/scalar.ts';

/** The loop space that a linear kernel's stores run over: the rows, then n (stacked) or the weight row (interleaved). */
export const linearStoreSpace = (k: LinearKernel): Shape => [...k.rowShape, storeExtent(k)];
const storeExtent = (k: LinearKernel): number =>
  k.order === 'stacked' ? k.weights.reduce((n, w) => n + w.rows, 0) : (k.weights[0]?.rows ?? 0);
export const attentionStoreSpace = (k: Extract<Kernel, { kind: 'attention' }>): Shape => ['T', k.heads, k.valueDim];
export const scoreSpace = (k: Extract<Kernel, { kind: 'attention' }>): Shape => ['T', k.heads, k.keys];

/** The loop space of a kernel's stores. */
export function storeSpace(kernel: Kernel): readonly Dim[] {
  switch (kernel.kind) {
    case 'nest': return kernel.space;
    case 'linear': return linearStoreSpace(kernel);
    case 'attention': return attentionStoreSpace(kernel);
    case 'topk': case 'argmax': return [];
    default: return kernel satisfies never;
  }
}

/** The kernel with the definition in place of every read of its buffer, or undefined where some read cannot be replaced. */
export function inlineIntoKernel(kernel: Kernel, definition: Definition, alike: Alike): Kernel | undefined {
  const facts = (name: NameSource): string[] => ['inline', kernelKey(kernel, name), `${name(definition.buffer)}=${scalarKey(definition.value, name)}`];
  return alike.kernel<Kernel, undefined>(kernel, facts, () => withoutReads(kernel, definition));
}

function withoutReads(kernel: Kernel, definition: Definition): Kernel | undefined {
  const replaced = replace(kernel, definition);
  return replaced && !buffersRead(replaced, true).has(definition.buffer) ? replaced : undefined;
}

function replace(kernel: Kernel, definition: Definition): Kernel | undefined {
  switch (kernel.kind) {
    case 'nest': {
      const stores = intoStores(kernel.stores, definition, kernel.space);
      return stores && { ...kernel, stores };
    }
    case 'linear': {
      const space = [...kernel.rowShape, kernel.k];
      const input = inlineInto(kernel.input, definition, extentsOf(space), space.length);
      const stores = intoStores(kernel.stores, definition, linearStoreSpace(kernel));
      if (!input || !stores) return undefined;
      if (!kernel.choice) return { ...kernel, input, stores };
      const index = intoIndices(kernel.choice.index, definition, extentsOf(kernel.rowShape));
      return index && { ...kernel, input, stores, choice: { ...kernel.choice, index } };
    }
    case 'attention': {
      const score = inlineInto(kernel.score, definition, extentsOf(scoreSpace(kernel)), 3);
      const stores = intoStores(kernel.stores, definition, attentionStoreSpace(kernel));
      return score && stores && { ...kernel, score, stores };
    }
    case 'topk': {
      const space = [...kernel.rowShape, kernel.n];
      const value = inlineInto(kernel.value, definition, extentsOf(space), space.length);
      return value && { ...kernel, value };
    }
    case 'argmax': return kernel;
    default: return kernel satisfies never;
  }
}

function intoStores<S extends Store>(stores: readonly S[], definition: Definition, space: Shape): S[] | undefined {
  const extents = extentsOf(space);
  const result: S[] = [];
  for (const s of stores) {
    const index = intoIndices(s.index, definition, extents);
    const value = inlineInto(s.value, definition, extents, space.length);
    if (!index || !value) return undefined;
    result.push({ ...s, index, value });
  }
  return result;
}

function intoIndices(indices: readonly Index[], definition: Definition, extents: Extents): Index[] | undefined {
  const result: Index[] = [];
  for (const i of indices) {
    const replaced = inlineIntoIndex(i, definition, extents);
    if (!replaced) return undefined;
    result.push(replaced);
  }
  return result;
}

/** The axes of a kernel's rows. */
export const rowAxes = (kernel: LinearKernel): Index[] => axes(kernel.rowShape.length);
