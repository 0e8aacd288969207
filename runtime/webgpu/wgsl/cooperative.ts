/** Reductions that a whole workgroup computes together, leaving the result in every thread. */
import type { Scalar } from '../../../compiler/kernels/scalar.ts';
import { combine } from './combine.ts';
import { reduceKey, type Emitter } from './emitter.ts';
import type { Module } from './module.ts';

export type Reduce = Extract<Scalar, { op: 'reduce' }>;

/** Reduces of `roots` whose free axes all lie in `known`, each once; what they need of one another comes first. */
export function hoistable(emitter: Emitter, roots: readonly Scalar[], known: ReadonlySet<number>): Reduce[] {
  const found = new Map<string, Reduce>();
  const walk = (x: Scalar): void => {
    switch (x.op) {
      case 'const': case 'arg': case 'load': case 'accumulator': case 'index': return;
      case 'unary': walk(x.x); return;
      case 'binary': walk(x.a); walk(x.b); return;
      case 'select': walk(x.condition); walk(x.then); walk(x.else); return;
      case 'reduce': walk(x.body); if ([...emitter.freeAxes(x)].every((a) => known.has(a))) found.set(reduceKey(x), x); return;
      default: return x satisfies never;
    }
  };
  roots.forEach(walk);
  return [...found.values()];
}

/**
 * Statements that compute `x` with `size` threads (a power of two): partial results over strided elements, combined.
 * `scratch` is workgroup memory of `size` floats, free before and after. Control flow must be uniform here.
 */
export function cooperate(module: Module, emitter: Emitter, x: Reduce, size: number, scratch: string): void {
  const partial = emitter.fresh('r');
  emitter.write(`var ${partial}: f32 = ${emitter.start(x.fn)};`);
  emitter.loop(x.axis, 'lane', emitter.dim(x.extent), String(size), () => {
    const value = emitter.scalar(x.body);
    emitter.write(`${partial} = ${emitter.step(x.fn, partial, value)};`);
  });
  const [total] = combine(module, emitter, x.fn, [partial], size, scratch);
  if (total !== undefined) emitter.define(x, total);
}
