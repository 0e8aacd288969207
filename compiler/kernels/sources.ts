/**
 * Closed kernels name what they read by position in `sources`, as backends bind it. Passes work on open kernels, whose
 * expressions name buffers directly and whose `sources` are empty.
 */
import { mapIndexSources, mapSources, sourcesOf, indexSources } from './scalar-expression.ts';
import type { BufferId, Kernel, Schedule, Store } from './types.ts';
import type { Index, Scalar } from './scalar.ts';

/** Applies functions to every expression of a kernel. The result's `sources` are the caller's business. */
export function mapKernelExpressions(kernel: Kernel, scalar: (x: Scalar) => Scalar, index: (i: Index) => Index, source: (n: number) => number): Kernel {
  const store = <S extends Store>(s: S): S => ({ ...s, index: s.index.map(index), value: scalar(s.value) });
  switch (kernel.kind) {
    case 'nest': return { ...kernel, stores: kernel.stores.map(store) };
    case 'linear': {
      const mapped = { ...kernel, input: scalar(kernel.input), stores: kernel.stores.map(store) };
      return kernel.choice ? { ...mapped, choice: { source: source(kernel.choice.source), index: kernel.choice.index.map(index) } } : mapped;
    }
    case 'attention': return { ...kernel, score: scalar(kernel.score), stores: kernel.stores.map(store) };
    case 'topk': return { ...kernel, value: scalar(kernel.value) };
    case 'argmax': return kernel;
    default: return kernel satisfies never;
  }
}

/** Sources that the kernel's expressions use, as numbered in them. */
export function expressionSources(kernel: Kernel): Set<number> {
  const used = new Set<number>();
  const store = (s: Store): void => { for (const i of s.index) indexSources(i, used); sourcesOf(s.value, used); };
  switch (kernel.kind) {
    case 'nest': kernel.stores.forEach(store); break;
    case 'linear':
      sourcesOf(kernel.input, used);
      if (kernel.choice) { used.add(kernel.choice.source); for (const i of kernel.choice.index) indexSources(i, used); }
      kernel.stores.forEach(store);
      break;
    case 'attention': sourcesOf(kernel.score, used); kernel.stores.forEach(store); break;
    case 'topk': sourcesOf(kernel.value, used); break;
    case 'argmax': break;
    default: return kernel satisfies never;
  }
  return used;
}

const renumber = (kernel: Kernel, source: (n: number) => number): Kernel =>
  mapKernelExpressions(kernel, (x) => mapSources(x, source), (i) => mapIndexSources(i, source), source);

export function openKernel(kernel: Kernel): Kernel {
  return { ...renumber(kernel, (n) => kernel.sources[n] as BufferId), sources: [] };
}
export function closeKernel(kernel: Kernel): Kernel {
  const sources = [...expressionSources(kernel)];
  const position = new Map(sources.map((id, n) => [id, n]));
  return { ...renumber(kernel, (id) => position.get(id) as number), sources };
}
export const openSchedule = (s: Schedule): Schedule => ({ ...s, kernels: s.kernels.map(openKernel) });
export const closeSchedule = (s: Schedule): Schedule => ({ ...s, kernels: s.kernels.map(closeKernel) });

/** Buffers that an open or closed kernel reads in any way: expressions, weights, views, sinks. */
export function buffersRead(kernel: Kernel, open: boolean): Set<BufferId> {
  const read = new Set(open ? expressionSources(kernel) : kernel.sources);
  switch (kernel.kind) {
    case 'linear': for (const w of kernel.weights) read.add(w.buffer); break;
    case 'attention':
      for (const v of [kernel.query, kernel.key, kernel.value]) read.add(v.buffer);
      if (kernel.sinks !== undefined) read.add(kernel.sinks);
      break;
    case 'argmax': read.add(kernel.input); break;
    case 'nest': case 'topk': break;
    default: return kernel satisfies never;
  }
  return read;
}
export function buffersWritten(kernel: Kernel): BufferId[] {
  switch (kernel.kind) {
    case 'nest': case 'linear': case 'attention': return [...new Set(kernel.stores.map((s) => s.buffer))];
    case 'topk': case 'argmax': return [kernel.target];
    default: return kernel satisfies never;
  }
}
