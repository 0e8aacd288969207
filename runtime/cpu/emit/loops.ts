/** Loop nests around stores: what is fixed in an inner loop is computed in front of it; the last loop runs four elements at a time. */
import type { Dim, Index, Scalar } from '../../../compiler/kernels/scalar.ts';
import { add, i32, op, sub, type I32 } from '../wasm/value.ts';
import type { Element } from './element.ts';
import type { Emitter } from './emitter.ts';
import { hoist, hoistAddresses } from './hoist.ts';

export interface Loop {
  readonly axis: number;
  /** A constant or a local each. */
  readonly from: I32;
  readonly to: I32;
  /** A number that divides `from`. */
  readonly align: number;
  /** The whole extent of the axis, for the algebra. */
  readonly extent: Dim;
}

export interface Target {
  readonly index: readonly Index[];
  readonly value: Scalar;
  readonly element: (index: readonly Index[]) => Element;
  /** Set where the target is an i32 buffer. */
  readonly whole?: boolean;
}

/** Stores every target at every point of the loops, outermost first. */
export function emitLoops(e: Emitter, loops: readonly Loop[], targets: readonly Target[]): void {
  const [loop, ...inner] = loops;
  if (!loop) {
    for (const t of targets) e.store(t.element(t.index), t.value);
    return;
  }
  if (inner.length === 0) {
    emitLanes(e, loop, targets);
    return;
  }
  for (const t of targets) hoist(e, t.value, undefined);
  const counter = e.f.local('i32');
  e.f.countedLoop(counter, loop.from, loop.to, 1, () => {
    e.withAxis(loop.axis, counter, loop.extent, () => e.scopes.within(() => emitLoops(e, inner, targets)));
  });
}

/** The innermost loop: vectors, then what is left one by one. */
function emitLanes(e: Emitter, loop: Loop, targets: readonly Target[]): void {
  const { f } = e;
  const known = loop.from.constant !== undefined && loop.to.constant !== undefined ? loop.to.constant - loop.from.constant : undefined;
  const lanes = { axis: loop.axis, align: loop.align % 4 === 0 ? 4 : loop.align % 2 === 0 ? 2 : 1 };
  // Whole numbers are stored one by one.
  const whole32 = targets.some((t) => t.whole === true);
  const vectors = !whole32 && (known === undefined || known >= 4);
  for (const t of targets) {
    hoist(e, t.value, vectors ? lanes : undefined);
    e.withAxis(loop.axis, i32(0), loop.extent, () => {
      hoistAddresses(e, t.value, loop.axis);
      e.fixAddress(t.element(t.index), loop.axis);
    });
  }
  const counter = f.local('i32');
  let from = loop.from;
  if (vectors) {
    const whole = known === undefined ? f.let(add(loop.from, op('i32.and', sub(loop.to, loop.from), i32(-4)))) : i32((loop.from.constant ?? 0) + known - (known % 4));
    f.countedLoop(counter, loop.from, whole, 4, () => {
      e.withAxis(loop.axis, counter, loop.extent, () => e.insideLoop(loop.axis, () => e.withLanes(lanes, () => {
        for (const t of targets) e.storeVector(t.element(t.index), (l) => t.element(e.laneIndex(t.index, l)), e.vector(t.value));
      })));
    });
    if (known !== undefined && known % 4 === 0) return;
    // An empty range must not be entered, and `counter` is only set by a loop that was.
    from = whole;
  }
  const empty = known === undefined ? f.let(op('i32.le_s', loop.to, loop.from)) : undefined;
  const tail = (): void => f.countedLoop(counter, from, loop.to, 1, () => {
    e.withAxis(loop.axis, counter, loop.extent, () => e.insideLoop(loop.axis, () => {
      for (const t of targets) e.store(t.element(t.index), t.value);
    }));
  });
  if (empty) f.if(op('i32.eqz', empty), tail);
  else tail();
}
