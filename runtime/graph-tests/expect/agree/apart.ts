/** Whether two results are near enough, and in words if they are not. */
import { measure } from '../../../diff/measures.ts';

/**
 * What is wrong with `found`: `logits differ by 3.2e-3 where 1e-5 is allowed: 0.5132 against 0.5164 at [4, 17]`; nothing if it is near enough.
 * `tolerance` is for numbers of about 1; of larger ones it is a share of their root mean square.
 */
export function apart(name: string, found: Float32Array, expected: Float32Array, shape: readonly number[], tolerance: number): string | undefined {
  const { maxAbs, rms, worst, firstNotFinite } = measure(found, expected, shape);
  const limit = tolerance * Math.max(1, rms);
  if (maxAbs <= limit) return undefined;
  if (found.length !== expected.length) return `${name}: ${found.length} numbers against ${expected.length}`;
  const where = firstNotFinite ?? worst;
  const values = where ? `: ${short(where.found)} against ${short(where.expected)} at [${where.index?.join(', ') ?? where.at}]` : '';
  return Number.isNaN(maxAbs) ? `${name} are not all numbers${values}` : `${name} differ by ${short(maxAbs)} where ${short(limit)} is allowed${values}`;
}

const short = (n: number): string => (n === 0 || Math.abs(n) >= 0.01 && Math.abs(n) < 1e5 ? String(Number(n.toPrecision(7))) : n.toExponential(1));
