/** A tensor in a few numbers. */
export interface ValueSummary {
  readonly count: number;
  /** Square root of the sum of squares. */
  readonly norm: number;
  readonly mean: number;
  /** NaN where there is no number at all. */
  readonly min: number;
  readonly max: number;
  /** Elements that are NaN or infinite; the other numbers are without them. */
  readonly notFinite: number;
}

export function summariseValue(data: Float32Array): ValueSummary {
  let [sum, squares, min, max, finite] = [0, 0, Infinity, -Infinity, 0];
  for (const x of data) {
    if (!Number.isFinite(x)) continue;
    finite++;
    sum += x;
    squares += x * x;
    if (x < min) min = x;
    if (x > max) max = x;
  }
  const none = finite === 0;
  return { count: data.length, norm: Math.sqrt(squares), mean: none ? NaN : sum / finite, min: none ? NaN : min, max: none ? NaN : max, notFinite: data.length - finite };
}
