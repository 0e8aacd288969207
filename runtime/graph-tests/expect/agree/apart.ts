/** How far two results are apart, and where. */
export interface Apart {
  /** Largest |found - expected|; NaN where one is not a number. */
  readonly most: number;
  /** What is allowed: the tolerance, times the root mean square of what was expected where that is above 1. */
  readonly limit: number;
  /** Element of the largest difference. */
  readonly element: number;
  readonly found: number;
  readonly expected: number;
}

export function apart(found: Float32Array, expected: Float32Array, tolerance: number): Apart {
  let element = 0, most = found.length === expected.length ? 0 : NaN, power = 0;
  for (let i = 0; i < expected.length; i++) {
    const want = expected[i] ?? 0;
    const distance = Math.abs((found[i] ?? NaN) - want);
    power += want * want;
    // NaN is larger than everything, and stays.
    if (!Number.isNaN(most) && !(distance <= most)) [most, element] = [distance, i];
  }
  const rms = Math.sqrt(power / Math.max(1, expected.length));
  return { most, limit: tolerance * Math.max(1, Number.isFinite(rms) ? rms : 1), element, found: found[element] ?? NaN, expected: expected[element] ?? NaN };
}

export const within = ({ most, limit }: Apart): boolean => most <= limit;

/** `logits differ by 3.2e-3 where 1e-5 is allowed: 0.5132 against 0.5164 at token 4, element 17`. */
export function describeApart(name: string, { most, limit, element, found, expected }: Apart, rows: number, length: number): string {
  const width = length / rows;
  const at = Number.isInteger(width) ? `token ${Math.floor(element / width)}, element ${element % width}` : `element ${element}`;
  return `${name} differ by ${short(most)} where ${short(limit)} is allowed: ${short(found)} against ${short(expected)} at ${at}`;
}

const short = (n: number): string => (n === 0 || Math.abs(n) >= 0.01 && Math.abs(n) < 1e5 ? String(Number(n.toPrecision(5))) : n.toExponential(1));
