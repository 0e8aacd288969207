/** `weight_bytes`, `state_bytes`, `activation_bytes`, `peak_bytes`: what the plan for the case's target and context takes. */
import type { MemorySummary } from '../../../compiler/plan.ts';
import type { Expectation } from '../case.ts';
import { checkBound, type Bound } from './bound.ts';
import { expectation } from './expectation.ts';

function bytes(key: string, part: keyof MemorySummary, what: string): Expectation {
  return expectation<Bound>(key, async (context, wanted) => {
    const { memory, capacity, target } = await context.plan();
    return checkBound(context, wanted, memory[part], `${what} on ${target.name} at a context of ${capacity.context}`, { names: { S: capacity.context }, show: withUnit });
  });
}

/** Weights as the device stores them. */
export const weightBytes = bytes('weight_bytes', 'weights', 'bytes of weights');
/** Keys and values, and whatever else a sequence keeps. */
export const stateBytes = bytes('state_bytes', 'states', 'bytes of states');
export const activationBytes = bytes('activation_bytes', 'activations', 'bytes of activations');
export const peakBytes = bytes('peak_bytes', 'peak', 'bytes at the peak');

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** `16,777,216 (16 MiB)`: exact, and to be read. */
function withUnit(n: number): string {
  const exact = n.toLocaleString('en', { maximumFractionDigits: 1 });
  let unit = -1;
  let size = n;
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024;
  return unit < 0 ? exact : `${exact} (${Number(size.toPrecision(4))} ${UNITS[unit] ?? ''})`;
}
