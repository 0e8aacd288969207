import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { parseSpec } from '../../compiler/parse.ts';
import { stopwatch } from '../support/stopwatch.ts';
import { nodeAt, plainValue } from '../../compiler/source.ts';

const codes = (text: string | Uint8Array): string[] => parseSpec(text, 'a.yaml').diagnostics.map((d) => d.code);

describe('structure', () => {
  test('keeps the line and column of every node', () => {
    const { document, diagnostics } = parseSpec('peel: 1\nparams:\n  dim: { config: [a, "b"] }\n', 'a.yaml');
    expect(diagnostics).toEqual([]);
    const node = nodeAt(document!.root, '/params/dim/config/1');
    expect(node).toMatchObject({ kind: 'scalar', value: 'b', place: { offset: 37 }, textOffset: 38 });
    expect(plainValue(document!.root)).toEqual({ peel: 1, params: { dim: { config: ['a', 'b'] } } });
  });

  test('aliases share what they name', () => {
    expect(plainValue(parseSpec('a: &x {b: 1}\nc: *x\n', 'a.yaml').document!.root)).toEqual({ a: { b: 1 }, c: { b: 1 } });
  });

  test('a duplicate key names the line of the first', () => {
    const [found] = parseSpec('peel: 1\nname: a\nname: b\n', 'a.yaml').diagnostics;
    expect(formatDiagnostic(found!, true)).toBe(
      'a.yaml:3:1 E104 /name the key `name` occurs twice in this map; it is first given on line 2\n3 | name: b\n    ^^^^');
  });

  test('numbers keep their meaning or are refused', () => {
    expect(plainValue(parseSpec('a: 1e-6\nb: 0x10\nc: 9007199254740991\nd: yes\ne: ~', 'a.yaml').document!.root))
      .toEqual({ a: 1e-6, b: 16, c: 9007199254740991, d: 'yes', e: null });
    expect(codes('a: 9007199254740993')).toEqual(['E106']);
    expect(codes('a: .nan')).toEqual(['E106']);
    expect(codes('a: -.inf')).toEqual(['E106']);
    expect(codes('a: 1e400')).toEqual(['E106']);
  });
});

describe('hostile text is refused quickly and with a place', () => {
  const cases: [name: string, text: string | Uint8Array, codes: string[]][] = [
    ['brackets 100k deep', '['.repeat(100_000), ['E103']],
    ['brackets 1000 deep, closed', '['.repeat(1000) + ']'.repeat(1000), ['E103']],
    ['braces 100k deep', 'a: ' + '{a: '.repeat(100_000), ['E103']],
    ['dashes 100k deep', '- '.repeat(100_000), ['E103']],
    ['explicit keys 100k deep', '? '.repeat(100_000), ['E103']],
    ['indentation 1000 deep', Array.from({ length: 1000 }, (_, i) => ' '.repeat(i) + 'a:').join('\n'), ['E103']],
    ['dashes on lines', Array.from({ length: 1000 }, (_, i) => ' '.repeat(i) + '-').join('\n'), ['E103']],
    ['an alias of itself', 'a: &x [*x]', ['E107']],
    ['an alias without anchor', 'a: *nothing', ['E107']],
    ['a directive', '%YAML 1.1\n---\na: 1', ['E105']],
    ['a merge key', 'a: &x {b: 1}\nc:\n  <<: *x', ['E105']],
    ['a tag', 'a: !!js/function "x"', ['E105']],
    ['a custom tag', 'a: !thing 1', ['E105']],
    ['two documents', 'a: 1\n---\nb: 1', ['E105']],
    ['__proto__', '__proto__: {a: 1}\nb: 1', ['E108']],
    ['NUL', 'a: "\u0000"', ['E101']],
    ['bad UTF-8', new Uint8Array([0x61, 0x3a, 0x20, 0xff, 0xfe]), ['E101']],
    ['a map as key', '{a: 1}: 2', ['E102']],
    ['an unclosed bracket', 'a: [1, 2', ['E102']],
    ['tabs', 'a:\n\tb: 1', ['E102']],
    ['nothing', '', ['E110']],
    ['only a list', '- a', ['E110']],
    ['a huge file', 'a'.repeat(9 * 1024 * 1024), ['E109']],
  ];
  test.each(cases)('%s', (_name, text, expected) => {
    const time = stopwatch();
    const found = parseSpec(text, 'a.yaml').diagnostics;
    expect([...new Set(found.map((d) => d.code))]).toEqual(expected);
    expect(found[0]?.location).toBeDefined();
    expect(time()).toBeLessThan(2000);
  });

  test('the composer is never reached by deep text, however often', () => {
    for (let i = 0; i < 8; i++) expect(codes('['.repeat(1000) + ']'.repeat(1000))).toEqual(['E103']);
  });

  test('billion laughs', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 12; i++) lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`);
    const time = stopwatch();
    expect(codes(lines.join('\n'))).toContain('E107');
    expect(time()).toBeLessThan(2000);
  });

  test('aliases of aliases do not nest without end', () => {
    const deep = (inner: string): string => '['.repeat(50) + inner + ']'.repeat(50);
    const lines = ['a0: &a0 ' + deep('x')];
    for (let i = 1; i < 400; i++) lines.push(`a${i}: &a${i} ${deep(`*a${i - 1}`)}`);
    expect(codes(lines.join('\n'))).toContain('E107');
  });

  test('very many keys, distinct and duplicate', () => {
    const time = stopwatch();
    expect(codes(Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join('\n'))).toEqual(['E109']);
    expect(time()).toBeLessThan(2000);
    expect(codes(Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n'))).toEqual([]);
    expect(time()).toBeLessThan(2000);
    expect(codes(Array.from({ length: 20_000 }, () => 'k: 1').join('\n')).length).toBe(50);
    expect(time()).toBeLessThan(2000);
  });
});
