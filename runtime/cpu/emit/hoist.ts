/** Computing in front of a loop what does not change in it. The values are found again by structure. */
import { operands } from '../../../compiler/kernels/scalar-expression.ts';
import type { Scalar } from '../../../compiler/kernels/scalar.ts';
import type { Emitter } from './emitter.ts';
import type { LaneAxis } from './lanes.ts';

/** Computes the largest parts of `x` whose axes are all bound where we stand. `splat`: they are about to be used as lanes. */
export function hoist(e: Emitter, x: Scalar, splat: LaneAxis | undefined): void {
  if (e.isBound(e.freeAxes(x))) {
    if (e.lanes && e.freeAxes(x).has(e.lanes.axis)) {
      e.vector(x);
      return;
    }
    if (x.op !== 'const') e.scalar(x);
    if (splat) e.withLanes(splat, () => { e.vector(x); });
    return;
  }
  if (x.op === 'select') {
    hoist(e, x.condition, splat);
    e.inArms(() => {
      hoist(e, x.then, splat);
      hoist(e, x.else, splat);
    });
    return;
  }
  for (const operand of operands(x)) hoist(e, operand, x.op === 'reduce' ? undefined : splat);
}

/** Computes the fixed parts of the addresses of all loads in `x`, for a loop over `axis`. Those inside a reduce are its own business. */
export function hoistAddresses(e: Emitter, x: Scalar, axis: number): void {
  switch (x.op) {
    case 'load': e.fixAddress(e.resolver.source(e, x.source, x.index), axis); return;
    case 'accumulator': e.fixAddress(e.accumulator(x.index), axis); return;
    case 'reduce': return;
    case 'select':
      hoistAddresses(e, x.condition, axis);
      e.inArms(() => {
        hoistAddresses(e, x.then, axis);
        hoistAddresses(e, x.else, axis);
      });
      return;
    case 'const': case 'arg': case 'index': return;
    case 'unary': case 'binary': for (const operand of operands(x)) hoistAddresses(e, operand, axis); return;
    default: x satisfies never;
  }
}
