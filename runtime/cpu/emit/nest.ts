/** The nest template: every thread computes a box of the loop space, cut along one axis. */
import { numberReduceAxes } from '../../../compiler/kernels/scalar-expression.ts';
import type { Extents } from '../../../compiler/kernels/simplify-index.ts';
import type { NestKernel } from '../../../compiler/kernels/types.ts';
import type { Dim, Index, Scalar } from '../../../compiler/kernels/scalar.ts';
import { add, choose, i32, mul, op, type I32 } from '../wasm/value.ts';
import { bufferElement, makeEmitter, type KernelSite } from './kernel.ts';
import { emitLoops, type Loop } from './loops.ts';
import { blockOfReductions, splitAxis } from './split-axis.ts';

/** Axis numbers of reductions and of split loops: beyond any loop space's. */
export const reduceAxes = 100;
const splitOuter = 60;
const splitInner = 61;

interface Axis { readonly axis: number; readonly extent: Dim }
interface NestStore { readonly buffer: number; readonly index: readonly Index[]; readonly value: Scalar }

export function emitNest(site: KernelSite, kernel: NestKernel): void {
  const e = makeEmitter(site, kernel);
  const { axes, stores } = normalize(kernel);
  const bounds = partition(site, axes, (d) => e.dim(d));
  const loops = axes.map((a, n): Loop => ({ ...a, ...bounds[n]! }));
  const targets = stores.map((s) => ({ index: s.index, value: s.value, whole: site.info(s.buffer).buffer.dtype === 'i32', element: (index: readonly Index[]) => bufferElement(site, e, s.buffer, index) }));
  emitLoops(e, loops, targets);
}

/** Reductions numbered alike, axes of extent 1 left out, the last axis split where that saves reductions. */
function normalize(kernel: NestKernel): { readonly axes: readonly Axis[]; readonly stores: readonly NestStore[] } {
  let stores: readonly NestStore[] = kernel.stores.map((s) => ({ ...s, value: numberReduceAxes(s.value, reduceAxes) }));
  let axes: Axis[] = kernel.space.map((extent, axis) => ({ axis, extent }));
  const last = axes[axes.length - 1];
  if (last && typeof last.extent === 'number') {
    const block = blockOfReductions(stores.map((s) => s.value), last.axis, last.extent);
    if (block !== undefined) {
      axes = [...axes.slice(0, -1), { axis: splitOuter, extent: last.extent / block }, { axis: splitInner, extent: block }];
      const extents: Extents = (n) => axes.find((a) => a.axis === n)?.extent;
      const split = splitAxis(last.axis, block, splitOuter, splitInner);
      stores = stores.map((s) => ({ ...s, index: s.index.map((i) => split.index(i, extents)), value: split.scalar(s.value, extents) }));
    }
  }
  const unit = new Set(axes.filter((a) => a.extent === 1).map((a) => a.axis));
  if (unit.size > 0) {
    const all = axes;
    const extents: Extents = (n) => all.find((a) => a.axis === n)?.extent;
    // Simplification knows that an axis of extent 1 stands at 0.
    const drop = splitAxis(-1, 1, -1, -1);
    stores = stores.map((s) => ({ ...s, index: s.index.map((i) => drop.index(i, extents)), value: drop.scalar(s.value, extents) }));
    axes = axes.filter((a) => !unit.has(a.axis));
  }
  return { axes, stores };
}

interface Bounds { readonly from: I32; readonly to: I32; readonly align: number }

/**
 * Cuts one axis among the threads: the first with at least two turns a thread, else the longest. Cuts of the last axis are at
 * multiples of 16 elements (a cache line), or of 4 where there are too few.
 */
function partition(site: KernelSite, axes: readonly Axis[], size: (d: Dim) => I32): readonly Bounds[] {
  const { f, threads } = site;
  const whole = axes.map((a): Bounds => ({ from: i32(0), to: size(a.extent), align: 16 }));
  if (threads === 1 || axes.length === 0) {
    // With no axes there is one element: every thread writes the same value to it.
    return whole;
  }
  const chosen = f.local('i32');
  const longest = axes.reduce((best, a, n) => (typeof a.extent === 'number' && a.extent > Number(axes[best]?.extent ?? 0) ? n : best), axes.findIndex((a) => typeof a.extent === 'number'));
  f.set(chosen, i32(Math.max(0, longest)));
  [...axes.entries()].reverse().forEach(([n, a]) => {
    const unit = n === axes.length - 1 ? 16 : 1;
    if (typeof a.extent === 'number') {
      if (a.extent >= 2 * threads * unit) f.set(chosen, i32(n));
    } else f.set(chosen, choose(op('i32.ge_s', size(a.extent), i32(2 * threads * unit)), i32(n), chosen));
  });
  return axes.map((a, n): Bounds => {
    const last = n === axes.length - 1;
    const extent = size(a.extent);
    if (typeof a.extent === 'number' && a.extent < 2) return whole[n]!;
    const unit = !last ? 1 : typeof a.extent === 'number' && a.extent >= 16 * threads ? 16 : 4;
    const from = f.let(i32(0));
    const to = f.let(extent);
    f.if(op('i32.eq', chosen, i32(n)), () => {
      const units = f.let(op('i32.div_u', add(extent, i32(unit - 1)), i32(unit)));
      const start = mul(op('i32.div_u', mul(units, site.thread), i32(threads)), i32(unit));
      const end = f.let(mul(op('i32.div_u', mul(units, add(site.thread, i32(1))), i32(threads)), i32(unit)));
      f.set(from, start);
      f.set(to, choose(op('i32.lt_s', end, extent), end, extent));
    });
    return { from, to, align: unit };
  });
}
