/** What the measures of a difference mean, on numbers worked out by hand. */
import { expect, test } from 'vitest';
import { measure } from '../../../runtime/diff/measures.ts';

test('largest, relative, normalised and angular difference, and where the worst element is', () => {
  const found = [1, 2, 3, 4, 5.5, 0.01], expected = [1, 2, 3, 4, 5, 0];
  const m = measure(found, expected, [2, 3]);
  expect(m).toMatchObject({ elements: 6, maxAbs: 0.5, maxRel: 0.1, worst: { at: 4, index: [1, 1], found: 5.5, expected: 5 } });
  expect(m.nmse).toBeCloseTo((0.25 + 0.0001) / 55, 12);
  expect(m.maxScaled).toBeCloseTo(0.5 / (m.rms + 5), 12);
  expect(m.rms).toBeCloseTo(Math.sqrt(55 / 6), 12);
  expect(m.cosine).toBeCloseTo((1 + 4 + 9 + 16 + 27.5) / Math.sqrt(55 * (1 + 4 + 9 + 16 + 30.25 + 0.0001)), 12);
  expect(m.firstNotFinite).toBeUndefined();
});

test('equal values differ in nothing, zeros and infinities too', () => {
  for (const same of [[1, -2], [0, 0], [1, -Infinity]]) {
    expect(measure(same, same)).toMatchObject({ maxAbs: 0, maxRel: 0, nmse: 0 });
    expect(measure(same, same).worst).toBeUndefined();
  }
  expect(measure([0, 0], [0, 0]).cosine).toBe(1);
});

test('the first element that is no finite number, and NaN for the whole', () => {
  const m = measure([1, Infinity, NaN, 2], [1, 2, 3, 0], [4, 1]);
  expect(m.firstNotFinite).toEqual({ at: 1, index: [1, 0], found: Infinity, expected: 2 });
  expect(m.maxAbs).toBeNaN();
  expect(m.worst).toMatchObject({ at: 2 });
  expect(measure([1], [1, 2]).maxAbs).toBeNaN();
  expect(measure([1, 2, 3], [1, 2]).maxAbs).toBeNaN();
  expect(measure([1, 2], [1, NaN])).toMatchObject({ maxAbs: NaN });
});
