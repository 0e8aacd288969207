import type { ParamValue } from '../model.ts';

export interface ExpressionFunction {
  /** Fewest and most arguments. */
  readonly arity: readonly [number, number];
  readonly signature: string;
  /** A text result is what is wrong. Arguments are of the right number. */
  readonly apply: (values: readonly ParamValue[]) => { readonly value: ParamValue } | string;
}

const LONGEST_TEXT = 200;

/** The functions of scalar expressions. All numbers in and out are finite: the evaluator checks results. */
export const EXPRESSION_FUNCTIONS: ReadonlyMap<string, ExpressionFunction> = new Map([
  ...unary('abs', Math.abs),
  ...unary('sqrt', Math.sqrt, (x) => (x < 0 ? `sqrt of the negative number ${x}` : undefined)),
  ...unary('ln', Math.log, (x) => (x <= 0 ? `ln of ${x}, which is not positive` : undefined)),
  ...unary('log2', Math.log2, (x) => (x <= 0 ? `log2 of ${x}, which is not positive` : undefined)),
  ...unary('exp', Math.exp),
  ...unary('floor', Math.floor),
  ...unary('ceil', Math.ceil),
  ...unary('round', Math.round),
  ['min', extreme('min', Math.min)],
  ['max', extreme('max', Math.max)],
  ['pow', {
    arity: [2, 2], signature: 'pow(number, number)',
    apply: ([a, b]) => (typeof a === 'number' && typeof b === 'number' ? power(a, b) : 'pow takes two numbers'),
  } satisfies ExpressionFunction],
  ['len', {
    arity: [1, 1], signature: 'len(list or text)',
    apply: ([list]) => (Array.isArray(list) || typeof list === 'string' ? { value: list.length } : `len takes a list or a text, not ${typeName(list)}`),
  } satisfies ExpressionFunction],
  ['format', {
    arity: [1, 10], signature: 'format(text with {}, value, ...)',
    apply: ([text, ...values]) => {
      if (typeof text !== 'string' || text.length > LONGEST_TEXT) return `format takes a text first, of at most ${LONGEST_TEXT} characters, not ${typeName(text)}`;
      if (values.some((value) => typeof value !== 'number' && (typeof value !== 'string' || value.length > LONGEST_TEXT))) return 'format puts numbers and short texts into a text';
      const parts = text.split('{}');
      if (parts.length - 1 !== values.length) return `format has ${values.length} values for ${parts.length - 1} places`;
      return { value: parts.map((part, index) => part + String(values[index] ?? '')).join('') };
    },
  } satisfies ExpressionFunction],
  ['contains', {
    arity: [2, 2], signature: 'contains(list, value)',
    apply: ([list, value]) => {
      if (list === null) return { value: false };
      return isList(list) ? { value: list.some((item) => same(item, value)) } : `contains takes a list first, not ${typeName(list)}`;
    },
  } satisfies ExpressionFunction],
]);

export function power(a: number, b: number): { readonly value: number } | string {
  if (a < 0 && !Number.isInteger(b)) return `the negative number ${a} has no power ${b}`;
  if (a === 0 && b < 0) return `0 has no power ${b}`;
  return { value: a ** b };
}

export function isList(value: ParamValue | undefined): value is readonly ParamValue[] {
  return Array.isArray(value);
}

export function same(a: ParamValue | undefined, b: ParamValue | undefined): boolean {
  return a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b));
}

export function typeName(value: ParamValue | undefined): string {
  if (value === null || value === undefined) return 'null';
  if (isList(value)) return 'a list';
  switch (typeof value) {
    case 'number': return `the number ${value}`;
    case 'string': return `the text '${value.length > 40 ? `${value.slice(0, 39)}…` : value}'`;
    case 'boolean': return String(value);
    default: return 'a map';
  }
}

function unary(name: string, fn: (x: number) => number, refuse?: (x: number) => string | undefined): [string, ExpressionFunction][] {
  return [[name, {
    arity: [1, 1], signature: `${name}(number)`,
    apply: ([x]) => {
      if (typeof x !== 'number') return `${name} takes a number, not ${typeName(x)}`;
      return refuse?.(x) ?? { value: fn(x) };
    },
  }]];
}

function extreme(name: string, fn: (...values: number[]) => number): ExpressionFunction {
  return {
    arity: [1, 100], signature: `${name}(number, ...) or ${name}(list)`,
    apply: (values) => {
      const first = values[0];
      const list = values.length === 1 && isList(first) ? first : values;
      const numbers = list.filter((value): value is number => typeof value === 'number');
      if (numbers.length !== list.length || list.length === 0 || list.length > 10_000) return `${name} takes numbers, or one list of numbers`;
      return { value: fn(...numbers) };
    },
  };
}
