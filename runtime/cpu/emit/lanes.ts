/** How an index moves over the four lanes of a vector. */
import { indexAxes, visitIndex } from '../../../compiler/kernels/index-expression.ts';
import { linearForm, type Extents } from '../../../compiler/kernels/simplify-index.ts';
import type { Index } from '../../../compiler/kernels/scalar.ts';
import type { Linear } from '../layout.ts';

/** The axis that the lanes follow: lane l stands at the axis's value + l, and that value is a multiple of `align`. */
export interface LaneAxis {
  readonly axis: number;
  readonly align: number;
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

/** A number that divides the index at lane 0, whatever the other axes; 0 for 0. */
export function knownDivisor(index: Index, lanes: LaneAxis, extents: Extents): number {
  const form = linearForm(index, extents);
  return form.terms.reduce((g, { atom, by }) => gcd(g, by * atomDivisor(atom, lanes, extents)), Math.abs(form.constant));
}

function atomDivisor(atom: Index, lanes: LaneAxis, extents: Extents): number {
  if (atom.op === 'axis') return atom.axis === lanes.axis ? lanes.align : 1;
  if (atom.op === 'mod') return gcd(knownDivisor(atom.a, lanes, extents), atom.by);
  return 1;
}

/** The constant step from lane to lane; undefined where there is none. */
export function laneStride(index: Index, lanes: LaneAxis, extents: Extents): number | undefined {
  let stride = 0;
  for (const { atom, by } of linearForm(index, extents).terms) {
    const step = atomStride(atom, lanes, extents);
    if (step === undefined) return undefined;
    stride += step * by;
  }
  return stride;
}

function atomStride(atom: Index, lanes: LaneAxis, extents: Extents): number | undefined {
  if (!indexAxes(atom).has(lanes.axis)) return 0;
  switch (atom.op) {
    case 'axis': return 1;
    case 'div': case 'mod': {
      const step = laneStride(atom.a, lanes, extents);
      if (step === undefined || step < 0) return undefined;
      if (step === 0) return 0;
      // At lane 0 the remainder is at most by - gcd, so that all four lanes stay within one block of `by`.
      const block = gcd(knownDivisor(atom.a, lanes, extents), atom.by);
      if (block <= 3 * step) return undefined;
      return atom.op === 'div' ? 0 : step;
    }
    case 'min': case 'max': return laneStride(atom.a, lanes, extents) === 0 && laneStride(atom.b, lanes, extents) === 0 ? 0 : undefined;
    case 'at': return atom.index.every((i) => laneStride(i, lanes, extents) === 0) ? 0 : undefined;
    case 'add': case 'sub': case 'mul': return laneStride(atom, lanes, extents);
    case 'int': case 'dim': return 0;
    default: return atom satisfies never;
  }
}

export function linearLaneStride(linear: Linear, lanes: LaneAxis, extents: Extents): number | undefined {
  let stride = 0;
  for (const { index, dims } of linear) {
    const step = laneStride(index, lanes, extents);
    if (step === undefined || (step !== 0 && dims.length > 0)) return undefined;
    stride += step;
  }
  return stride;
}

export function hasIndirect(index: Index): boolean {
  let found = false;
  visitIndex(index, (part) => { if (part.op === 'at') found = true; });
  return found;
}
