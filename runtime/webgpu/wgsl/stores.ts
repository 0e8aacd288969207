/** Writing a kernel's results, and cutting a flat number into the coordinates of a loop space. */
import type { Store } from '../../../compiler/kernels/types.ts';
import type { Dim, Index } from '../../../compiler/kernels/scalar.ts';
import type { Emitter } from './emitter.ts';
import type { Module } from './module.ts';

/** Statements that write one store at the current point. */
export function writeStore(module: Module, emitter: Emitter, store: Store): void {
  const { dtype, shape } = module.buffer(store.buffer);
  const target = module.write(store.buffer);
  const value = dtype === 'f32' ? emitter.scalar(store.value)
    : store.value.op === 'index' ? emitter.index(store.value.index) : `i32(${emitter.scalar(store.value)})`;
  const offset = emitter.offset(shape, store.index);
  emitter.write(`${target}[${offset}] = ${value};`);
}

/** Names of the coordinates of `point` (an i32 below the product of the extents), the last axis fastest, and the statements that make them. */
export function decompose(emitter: Emitter, point: string, extents: readonly Dim[]): { readonly names: readonly string[]; readonly lines: readonly string[] } {
  const names: string[] = [];
  const lines: string[] = [];
  let rest = `u32(${point})`;
  for (let n = extents.length - 1; n >= 0; n--) {
    const size = extents[n] as Dim;
    const name = emitter.fresh('c');
    if (n === 0) lines.push(`let ${name} = i32(${rest});`);
    else {
      const by = typeof size === 'number' ? `${size}u` : `u32(dims.${size})`;
      lines.push(`let ${name} = i32(${rest} % ${by});`);
      const next = emitter.fresh('u');
      lines.push(`let ${next} = ${rest} / ${by};`);
      rest = next;
    }
    names.unshift(name);
  }
  return { names, lines };
}

/** WGSL of the number of points of a space. */
export function countText(emitter: Emitter, extents: readonly Dim[]): string {
  const fixed = extents.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1);
  const symbolic = extents.filter((d) => typeof d !== 'number').map((d) => emitter.dim(d));
  return [String(fixed), ...symbolic].join(' * ');
}

/** Whether `index` is the coordinate on `axis` itself, which is 0 on an axis of extent 1. */
export function isCoordinate(index: Index, axis: number, extent: Dim | undefined): boolean {
  return (index.op === 'axis' && index.axis === axis) || (extent === 1 && index.op === 'int' && index.value === 0);
}
