/** Reductions: a loop with a running value, four elements at a time where the lanes are free for it. */
import { countNodes } from '../../../compiler/kernels/scalar-expression.ts';
import { reduceStart } from '../../../compiler/kernels/scalar-functions.ts';
import type { Scalar } from '../../../compiler/kernels/scalar.ts';
import { horizontal } from '../simd.ts';
import { add, f32, f32x4, i32, op, type F32, type I32, type V128 } from '../wasm/value.ts';
import type { Local } from '../wasm/function.ts';
import type { Emitter } from './emitter.ts';
import { combineLanes, combineScalars } from './functions.ts';
import { hoist, hoistAddresses } from './hoist.ts';

type Reduce = Extract<Scalar, { op: 'reduce' }>;

/** Independent running vectors, to keep more than one addition under way. */
const unroll = 4;

export function emitReduce(e: Emitter, x: Reduce, mode: 'scalar' | 'vector'): F32 | V128 {
  return mode === 'vector' ? besideLanes(e, x) : alongAxis(e, x);
}

/** The lanes are those of an outer axis: every lane has a reduction of its own. */
function besideLanes(e: Emitter, x: Reduce): V128 {
  const { f } = e;
  const total = f.let(f32x4(reduceStart(x.fn)));
  hoist(e, x.body, e.lanes);
  hoistAddresses(e, x.body, x.axis);
  const counter = f.local('i32');
  f.countedLoop(counter, i32(0), e.dim(x.extent), 1, () => {
    e.withAxis(x.axis, counter, x.extent, () => e.insideLoop(x.axis, () => { f.set(total, combineLanes(x.fn, total, e.vector(x.body))); }));
  });
  return total;
}

/** The lanes run along the reduced axis. */
function alongAxis(e: Emitter, x: Reduce): F32 {
  const { f } = e;
  const lanes = { axis: x.axis, align: 4 };
  const extent = e.dim(x.extent);
  const vectors = extent.constant === undefined || extent.constant >= 4;
  hoist(e, x.body, vectors ? lanes : undefined);
  hoistAddresses(e, x.body, x.axis);
  const counter = f.local('i32');
  const total = f.local('f32');
  if (!vectors) {
    f.set(total, f32(reduceStart(x.fn)));
    f.set(counter, i32(0));
  } else {
    const running = [f.let(f32x4(reduceStart(x.fn)))];
    f.set(counter, i32(0));
    const wide = countNodes(x.body) < 24 && (extent.constant === undefined || extent.constant >= 8 * unroll);
    if (wide) {
      for (let u = 1; u < unroll; u++) running.push(f.let(f32x4(reduceStart(x.fn))));
      vectorLoop(e, x, lanes, counter, below(extent, 4 * unroll, f), running);
      for (let u = 1; u < unroll; u++) f.set(running[0]!, combineLanes(x.fn, running[0]!, running[u]!));
    }
    vectorLoop(e, x, lanes, counter, below(extent, 4, f), running.slice(0, 1));
    f.set(total, horizontal(f, x.fn === 'sum' ? 'f32x4.add' : x.fn === 'max' ? 'f32x4.max' : 'f32x4.min', running[0]!));
  }
  f.countedLoop(counter, counter, extent, 1, () => {
    e.withAxis(x.axis, counter, x.extent, () => e.insideLoop(x.axis, () => { f.set(total, combineScalars(x.fn, total, e.scalar(x.body))); }));
  });
  return total;
}

/** The largest multiple of `step` that is not above `extent`. */
function below(extent: I32, step: number, f: Emitter['f']): I32 {
  if (extent.constant !== undefined) return i32(extent.constant - (extent.constant % step));
  return f.let(op('i32.and', extent, i32(-step)));
}

function vectorLoop(e: Emitter, x: Reduce, lanes: { axis: number; align: number }, counter: Local<'i32'>, to: I32, running: readonly Local<'v128'>[]): void {
  const { f } = e;
  f.countedLoop(counter, counter, to, 4 * running.length, () => {
    running.forEach((sum, u) => {
      e.withAxis(x.axis, add(counter, i32(4 * u)), x.extent, () => e.insideLoop(x.axis, () => {
        e.withLanes(lanes, () => { f.set(sum, combineLanes(x.fn, sum, e.vector(x.body))); });
      }));
    });
  });
}
