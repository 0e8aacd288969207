import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate, parseExpression, printExpression } from '../../compiler/expression/index.ts';
import type { Expression, Scope } from '../../compiler/expression/index.ts';
import type { ParamValue } from '../../compiler/model.ts';

const scopeOf = (values: Readonly<Record<string, ParamValue | undefined>>): Scope => ({
  has: (name) => Object.hasOwn(values, name), get: (name) => values[name], names: () => Object.keys(values),
});
const values = { n: 12, x: 2.5, flag: true, text: 'ab', list: [1, 2, 3], none: null, map: { a: { b: 7 } } };

function run(text: string): unknown {
  const parsed = parseExpression(text);
  if (!parsed.ok) return `${parsed.error.code}@${parsed.error.at.start}`;
  const result = evaluate(parsed.expression, scopeOf(values));
  return result.ok ? result.value : `${result.error?.code ?? 'failed'}@${result.error?.at.start ?? ''}`;
}

describe('values', () => {
  test.each<[string, unknown]>([
    ['1 + 2 * 3', 7], ['(1 + 2) * 3', 9], ['2 ** 3 ** 2', 512], ['-2 ** 2', -4], ['2 ** -1', 0.5], ['7 // 2', 3], ['-7 // 2', -4], ['-7 % 3', 2], ['7 / 2', 3.5],
    ['n >= 12 && !flag', false], ['flag ? 1 : 2', 1], ['n == 12 ? x : none', 2.5], ['none ?? 4', 4], ['none ?? none ?? 5', 5],
    ['list[1]', 2], ['list[-1]', 3], ['list[9] ?? 0', 0], ['map.a.b', 7], ["map['a']['b']", 7], ['map.x.y ?? 1', 1], ['map.__proto__ ?? 1', 1], ['map.constructor ?? 1', 1], ['none.a', null],
    ["text == 'ab'", true], ['contains(list, 2)', true], ['contains(none, 2)', false], ['len(list)', 3], ['min(3, 1, 2)', 1], ['max(list)', 3], ['sqrt(16)', 4], ['ln(exp(1))', 1],
    ['log2(8)', 3], ['round(2.5)', 3], ['pow(2, 10)', 1024], ['[1, x, flag]', [1, 2.5, true]], ['1e-3', 0.001], ['flag || nothing', true], ['flag ? 1 : 1 / 0', 1],
    ["format('blk.{}.ffn_{}.weight', n, 'up')", 'blk.12.ffn_up.weight'], ["map[format('{}', 'a')].b", 7],
  ])('%s', (text, expected) => {
    expect(run(text)).toEqual(expected);
  });

  test.each<[string, string]>([
    ['', 'E401@0'], ['1 +', 'E401@3'], ['(1', 'E401@2'], ['1 2', 'E401@2'], ['a = 1', 'E401@2'], ["'open", 'E401@0'], ['1 ? 2', 'E401@5'], ['f(1,)', 'E401@4'], ['[1,,2]', 'E401@3'],
    ['nothing', 'E403@0'], ['1 + nothing', 'E403@4'], ['sin(1)', 'E405@0'], ['sqrt(1, 2)', 'E405@0'], ['1 / 0', 'E402@0'], ['1 % 0', 'E402@0'], ['sqrt(-1)', 'E402@0'], ['ln(0)', 'E402@0'],
    ['text + 1', 'E402@0'], ['1 + flag', 'E402@4'], ['!n', 'E402@1'], ['-text', 'E402@1'], ['n ? 1 : 2', 'E402@0'], ['flag && n', 'E402@8'], ['10 ** 400', 'E402@0'], ['(-8) ** 0.5', 'E402@0'],
    ['n[0]', 'E402@0'], ["list['a']", 'E402@5'], ['min()', 'E405@0'], ["max('a')", 'E402@0'], ["format('a', 1)", 'E402@0'], ["format('{}', flag)", 'E402@0'], ["format('{}')", 'E402@0'],
  ])('%s fails with %s', (text, expected) => {
    expect(run(text)).toBe(expected);
  });

  test('a name whose value failed elsewhere poisons without a message', () => {
    const parsed = parseExpression('1 + failed');
    expect(parsed.ok && evaluate(parsed.expression, scopeOf({ failed: undefined }))).toEqual({ ok: false });
  });
});

describe('for every text and every tree', () => {
  const at = { start: 0, end: 0 };
  const tree = fc.letrec<{ node: Expression }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(0, 1, 2, 0.5, 7, 1e300, true, false, null, 'ab', '').map((value): Expression => ({ kind: 'literal', value, at })),
      fc.constantFrom(...Object.keys(values), 'missing').map((name): Expression => ({ kind: 'name', name, at })),
      fc.array(tie('node'), { maxLength: 3 }).map((items): Expression => ({ kind: 'list', items, at })),
      fc.record({ operator: fc.constantFrom('-' as const, '+' as const, '!' as const), operand: tie('node') }).map((e): Expression => ({ kind: 'unary', ...e, at })),
      fc.record({ operator: fc.constantFrom('+' as const, '-' as const, '*' as const, '/' as const, '//' as const, '%' as const, '**' as const, '<' as const, '<=' as const, '==' as const, '!=' as const, '&&' as const, '||' as const, '??' as const), left: tie('node'), right: tie('node') }).map((e): Expression => ({ kind: 'binary', ...e, at })),
      fc.record({ condition: tie('node'), then: tie('node'), else: tie('node') }).map((e): Expression => ({ kind: 'conditional', ...e, at })),
      fc.record({ name: fc.constantFrom('min', 'max', 'sqrt', 'len', 'contains', 'pow', 'ln', 'floor', 'unknown'), arguments: fc.array(tie('node'), { maxLength: 3 }) }).map((e): Expression => ({ kind: 'call', ...e, at, nameAt: at })),
      fc.record({ value: tie('node'), index: tie('node') }).map((e): Expression => ({ kind: 'index', ...e, at })),
    ),
  })).node;

  test('evaluation gives a finite value or an error, and never throws', () => {
    fc.assert(fc.property(tree, (expression) => {
      const result = evaluate(expression, scopeOf(values));
      if (result.ok && typeof result.value === 'number') expect(Number.isFinite(result.value)).toBe(true);
      if (!result.ok) expect(result.error?.code).toMatch(/^E40[235]$/);
    }), { numRuns: 2000 });
  });

  test('printing and parsing give the same tree', () => {
    const bare = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (key, item: unknown) => (key === 'at' || key === 'nameAt' ? undefined : item)));
    fc.assert(fc.property(tree, (expression) => {
      const parsed = parseExpression(printExpression(expression));
      expect(parsed.ok && bare(parsed.expression)).toEqual(bare(expression));
    }), { numRuns: 1000 });
  });

  test('any text parses or fails with a place inside it', () => {
    const pieces = fc.array(fc.constantFrom('(', ')', '[', ']', ',', '.', '?', ':', '??', '&&', '**', '-', '!', 'n', 'list', '1', "'a'", 'min', ' ', 'é', '"', '\\'), { maxLength: 40 }).map((p) => p.join(''));
    fc.assert(fc.property(fc.oneof(fc.string(), pieces), (text) => {
      const parsed = parseExpression(text);
      if (parsed.ok) evaluate(parsed.expression, scopeOf(values));
      else expect(parsed.error.at.start).toBeLessThanOrEqual(text.length);
    }), { numRuns: 2000 });
  });
});
