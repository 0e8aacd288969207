/** Measures of values, against numbers worked out by hand. */
import { expect, test } from 'vitest';
import { entropiesOf, entropyOf, sizeOf, sparsityOf } from '../../runtime/trace/measures.ts';
import { foldParts } from '../../runtime/trace/kernels.ts';
import { visibleText } from '../../runtime/trace/token-text.ts';

test('size: roots of mean squares, of all and by token, and where the extremes are', () => {
  expect(sizeOf(Float32Array.of(3, 4, -5, 0, 1, 1), 3)).toEqual({
    rms: Math.sqrt(52 / 6), tokens: [Math.sqrt(12.5), Math.sqrt(12.5), 1], min: { value: -5, token: 1, channel: 0 }, max: { value: 4, token: 0, channel: 1 },
  });
  const bad = sizeOf(Float32Array.of(1, NaN, 2, 3), 2);
  expect([bad.rms, bad.tokens[0], bad.min.value, bad.max.value]).toEqual([NaN, NaN, NaN, NaN]);
  expect(bad.tokens[1]).toBe(Math.sqrt(6.5));
});

test('sparsity: zeros, and what is below a share of the root mean square', () => {
  // The root mean square is 2: below 0.2 are 0, -0 and 0.1.
  expect(sparsityOf(Float32Array.of(0, -0, 0.1, Math.sqrt(3), 3, 2.8267, 0.3, 0.8), 0.1)).toEqual({ zeros: 0.25, small: 0.375, threshold: 0.1 });
  expect(sparsityOf(new Float32Array(4), 0.1)).toEqual({ zeros: 1, small: 1, threshold: 0.1 });
  expect(sparsityOf(Float32Array.of(NaN, 0), 0.1)).toEqual({ zeros: NaN, small: NaN, threshold: 0.1 });
});

test('entropy in bits, as mean over queries and as a share of what they could have', () => {
  expect(entropyOf(Float32Array.of(0.25, 0.25, 0.25, 0.25))).toBe(2);
  expect(entropyOf(Float32Array.of(0, 1, 0))).toBe(0);
  // A sink took half.
  expect(entropyOf(Float32Array.of(0.25, 0.25))).toBe(1);
  expect(entropyOf(Float32Array.of(0, 0))).toBe(0);
  expect(entropyOf(Float32Array.of(NaN, 1))).toBeNaN();
  // Two queries, two heads, two keys: the first query sees one key, the second both.
  const weights = Float32Array.of(1, 0, 1, 0, 0.5, 0.5, 1, 0);
  expect(entropiesOf(weights, [2, 2, 2], (query) => ({ first: 0, end: query + 1 }))).toEqual([{ bits: 0.5, share: 1 }, { bits: 0, share: 0 }]);
  expect(entropiesOf(weights, [2, 2, 2], () => ({ first: 0, end: 2 }))).toEqual([{ bits: 0.5, share: 0.5 }, { bits: 0, share: 0 }]);
  expect(entropiesOf(Float32Array.of(1), [1, 1, 1], () => ({ first: 0, end: 1 }))).toEqual([{ bits: 0, share: 0 }]);
});

test('kernels of layers that are alike are told once', () => {
  const part = (label: string, milliseconds: number, shape = '[T]'): Parameters<typeof foldParts>[0][number] => ({ kind: 'nest', label, shape, milliseconds, bytes: 10 });
  expect(foldParts([part('a', 1), part('layers.0.q', 2), part('layers.0.q', 3, '[R]'), part('layers.1.q', 4), part('layers.3.q', 5)])).toEqual([
    { kind: 'nest', label: 'a', shape: '[T]', layers: '', count: 1, milliseconds: 1, bytes: 10 },
    { kind: 'nest', label: 'layers.*.q', shape: '[T]', layers: '0..1, 3', count: 3, milliseconds: 11, bytes: 30 },
    { kind: 'nest', label: 'layers.0.q', shape: '[R]', layers: '0', count: 1, milliseconds: 3, bytes: 10 },
  ]);
});

test('what cannot be seen in a token is spelled', () => {
  expect(visibleText(' a\nb\t')).toBe('·a↵b⇥');
  // Turns the direction of writing, joins nothing, a byte order mark, a space that does not break, half a character, a bell.
  expect(visibleText('\u202ex\u200b\ufeff\u00a0\ud800\u0007\ufff9')).toBe('\\u{202e}x\\u{200b}\\u{feff}\\u{a0}\\u{d800}\\u{7}\\u{fff9}');
  expect(visibleText('<b>é日😀')).toBe('<b>é日😀');
});
