/**
 * The nest template. Where reductions do not depend on all axes of the space (a row's norm, a softmax's maximum and sum), the axes
 * that they depend on become groups: each is computed once a group, and the other axes are looped over inside.
 */
import { writeStore, countText, decompose } from './stores.ts';
import { cooperate, hoistable, type Reduce } from './cooperative.ts';
import { Emitter } from './emitter.ts';
import { GROUPS_X, product, spread, type Module, type Program } from './module.ts';
import type { Dim } from '../../../compiler/kernels/scalar.ts';
import type { NestKernel } from '../../../compiler/kernels/types.ts';

/** From this extent on, a workgroup computes a reduction together. */
const LONG = 256;

export function emitNest(module: Module, kernel: NestKernel, software: boolean): Program {
  const emitter = new Emitter({ source: (n) => module.read(kernel.sources[n] as number), use: (fn) => module.use(fn) });
  const values = kernel.stores.map((s) => s.value);
  const all = new Set(kernel.space.keys());
  const reduces = hoistable(emitter, values, all);
  const partial = reduces.filter((r) => emitter.freeAxes(r).size < all.size);
  const grouped = new Set(partial.flatMap((r) => [...emitter.freeAxes(r)]));
  const shared = reduces.filter((r) => [...emitter.freeAxes(r)].every((a) => grouped.has(a)));
  // Barriers cost a software driver more, to compile and to run, than they give: there one thread does it all.
  if (partial.length > 0 && grouped.size < all.size) return software ? byThread(module, emitter, kernel, grouped, shared) : byWorkgroup(module, emitter, kernel, grouped, shared);
  if (!software && reduces.some((r) => typeof r.extent === 'number' && r.extent >= LONG)) return byWorkgroup(module, emitter, kernel, all, reduces);
  return byThread(module, emitter, kernel, all, []);
}

/** One thread for each value of the `grouped` axes, looping over the rest. */
function byThread(module: Module, emitter: Emitter, kernel: NestKernel, grouped: ReadonlySet<number>, shared: readonly Reduce[]): Program {
  const size = grouped.size < kernel.space.length ? 4 : 64;
  const { outer, inner, outerShape, innerShape } = divide(kernel, grouped);
  const point = decompose(emitter, 'point', outerShape);
  emitter.open(new Map(outer.map((axis, n) => [axis, point.names[n] as string])));
  for (const reduce of shared) emitter.scalar(reduce);
  if (inner.length === 0) for (const store of kernel.stores) writeStore(module, emitter, store);
  else points(module, emitter, kernel, inner, innerShape, '0', 1);
  const body = emitter.close();
  return module.program(size, [
    `let point = (i32(group.y) * ${GROUPS_X} + i32(group.x)) * ${size} + lane;`,
    `if (point < ${countText(emitter, outerShape)}) {`, ...point.lines.map((l) => `  ${l}`), ...body.map((l) => `  ${l}`), '}',
  ], (dims) => spread(Math.ceil(product(outerShape, dims) / size)));
}

/** One workgroup for each value of the `grouped` axes: the reductions together, then the rest shared out. */
function byWorkgroup(module: Module, emitter: Emitter, kernel: NestKernel, grouped: ReadonlySet<number>, shared: readonly Reduce[]): Program {
  const size = 128;
  const { outer, inner, outerShape, innerShape } = divide(kernel, grouped);
  const point = decompose(emitter, 'point', outerShape);
  const scratch = module.shared(`array<f32, ${size}>`);
  emitter.open(new Map(outer.map((axis, n) => [axis, point.names[n] as string])));
  for (const reduce of shared) cooperate(module, emitter, reduce, size, scratch);
  if (inner.length === 0) {
    emitter.open(new Map());
    for (const store of kernel.stores) writeStore(module, emitter, store);
    const last = emitter.close();
    emitter.write('if (lane == 0) {', ...last.map((l) => `  ${l}`), '}');
  } else points(module, emitter, kernel, inner, innerShape, 'lane', size);
  const body = emitter.close();
  return module.program(size, [
    `let point = i32(group.y) * ${GROUPS_X} + i32(group.x);`,
    `if (point < ${countText(emitter, outerShape)}) {`, ...point.lines.map((l) => `  ${l}`), ...body.map((l) => `  ${l}`), '}',
  ], (dims) => spread(product(outerShape, dims)));
}

function divide(kernel: NestKernel, grouped: ReadonlySet<number>): { outer: number[]; inner: number[]; outerShape: Dim[]; innerShape: Dim[] } {
  const axes = [...kernel.space.keys()];
  const outer = axes.filter((a) => grouped.has(a));
  const inner = axes.filter((a) => !grouped.has(a));
  const shape = (list: readonly number[]): Dim[] => list.map((a) => kernel.space[a] as Dim);
  return { outer, inner, outerShape: shape(outer), innerShape: shape(inner) };
}

/** The loop over the points of the inner axes, and the stores in it. */
function points(module: Module, emitter: Emitter, kernel: NestKernel, inner: readonly number[], shape: readonly Dim[], from: string, by: number): void {
  const name = emitter.fresh('l');
  const point = decompose(emitter, name, shape);
  emitter.open(new Map(inner.map((axis, n) => [axis, point.names[n] as string])));
  for (const store of kernel.stores) writeStore(module, emitter, store);
  const lines = emitter.close();
  emitter.write(`for (var ${name}: i32 = ${from}; ${name} < ${countText(emitter, shape)}; ${name} += ${by}) {`,
    ...point.lines.map((l) => `  ${l}`), ...lines.map((l) => `  ${l}`), '}');
}
