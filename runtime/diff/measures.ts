/** How far numbers are from those expected. */

/** One element: where it is and its values. */
export interface Element {
  /** Position in the row-major data. */
  readonly at: number;
  /** Position on each axis, where the shape is known; the first axis is the token's, in all values but the keys and values kept. */
  readonly index?: readonly number[];
  readonly found: number;
  readonly expected: number;
}

export interface Measures {
  readonly elements: number;
  /** Largest |found - expected|; NaN where anything is not a number that should be one, or where the lengths differ. */
  readonly maxAbs: number;
  /** Largest |found - expected| / |expected| of the elements that are at least a hundredth of `rms`; NaN as `maxAbs`. */
  readonly maxRel: number;
  /** Largest |found - expected| / (rms + |expected|): an element is held to its own size where that is large, else to that of all. NaN as `maxAbs`. */
  readonly maxScaled: number;
  /** sum (found - expected)^2 / sum expected^2. */
  readonly nmse: number;
  /** Cosine of the angle between the two; 1 where both are zero. */
  readonly cosine: number;
  /** Root mean square of what was expected. */
  readonly rms: number;
  /** The element of the largest difference; the first that is not a number, if one is not. Absent where nothing differs. */
  readonly worst?: Element;
  /** The first element that is NaN or infinite where a finite number was expected. */
  readonly firstNotFinite?: Element;
}

/** Below this root mean square, values are measured as if they had it: nothing is equal relative to nothing. */
const smallest = 1e-3;

/** `shape`: of both, row-major. Equal infinities are equal. */
export function measure(found: ArrayLike<number>, expected: ArrayLike<number>, shape?: readonly number[]): Measures {
  const elements = expected.length;
  let power = 0;
  for (let i = 0; i < elements; i++) power += finite(expected[i]) ** 2;
  const rms = Math.sqrt(power / Math.max(1, elements));

  let maxAbs = 0, maxRel = 0, maxScaled = 0, error = 0, dot = 0, size = 0;
  let worst = -1, notFinite = -1;
  for (let i = 0; i < elements; i++) {
    const got = found[i] ?? NaN, want = expected[i] ?? NaN;
    if (got === want && !Number.isFinite(want)) continue;
    if (notFinite < 0 && Number.isFinite(want) && !Number.isFinite(got) && i < found.length) notFinite = i;
    const delta = Math.abs(got - want);
    error += delta * delta;
    dot += got * want;
    size += got * got;
    if (Number.isNaN(maxAbs)) continue;
    if (Number.isNaN(delta) || delta > maxAbs) { maxAbs = delta; worst = i; }
    maxScaled = Math.max(maxScaled, delta / (Math.max(smallest, rms) + Math.abs(want)));
    const relative = delta / Math.abs(want);
    if (Math.abs(want) >= rms / 100 && relative > maxRel) maxRel = relative;
  }
  if (found.length !== elements) maxAbs = NaN;
  if (Number.isNaN(maxAbs)) maxRel = maxScaled = NaN;
  const element = (at: number): Element => ({ at, ...(shape ? { index: indexOf(at, shape) } : {}), found: found[at] ?? NaN, expected: expected[at] ?? NaN });
  return {
    elements, maxAbs, maxRel, maxScaled, rms,
    nmse: error === 0 ? 0 : error / power,
    cosine: power === 0 && size === 0 ? 1 : dot / Math.sqrt(power * size),
    ...(worst < 0 ? {} : { worst: element(worst) }),
    ...(notFinite < 0 ? {} : { firstNotFinite: element(notFinite) }),
  };
}

function finite(x: number | undefined): number {
  return x !== undefined && Number.isFinite(x) ? x : 0;
}

function indexOf(at: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = at;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = Math.max(1, shape[axis] ?? 1);
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index;
}
