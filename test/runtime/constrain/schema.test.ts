import Ajv from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { schemaGrammar } from '../../../runtime/constrain/schema/compile.ts';
import { formats } from '../../../runtime/constrain/schema/formats.ts';
import { randomSource } from '../../../runtime/sampling/random.ts';
import { matches, problemOf, randomText } from './match.ts';

/** Schemas with values that must be writable. What random texts of the grammar hold must always be valid: ajv says so. */
const schemas: readonly (readonly [unknown, ...unknown[]])[] = [
  [true, null, { a: [1, 'x', { b: false }] }], [{}, 1.5e3], [{ type: 'string' }, '', 'é"\\\n😀'], [{ type: 'string', minLength: 2, maxLength: 4 }, 'ab', '😀😀😀😀'], [{ type: 'string', maxLength: 0 }, ''],
  [{ type: 'string', pattern: '^[a-z"\\\\]{2,3}\\d$' }, 'ab1', '"\\9'], [{ type: 'string', pattern: '.+é' }, 'xé'], [{ pattern: 'a|^b$' }, 'a', 'b'],
  [{ type: 'integer' }, 0, -12, 123456], [{ type: 'integer', minimum: 3, maximum: 120 }, 3, 9, 10, 99, 100, 120], [{ type: 'integer', exclusiveMinimum: -5 }, -4, 0, 7], [{ type: 'integer', maximum: -17 }, -17, -20, -100], [{ type: 'integer', minimum: -130, maximum: 1005 }, -130, -9, 0, 1005],
  [{ type: 'integer', minimum: 0.5, exclusiveMaximum: 3 }, 1, 2], [{ type: 'number' }, 0.25, -3, 1e21], [{ type: 'number', minimum: 0.5, maximum: 10 }, 0.5, 0.51, 1, 9.99, 10], [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, 0.001, 0.999], [{ type: 'number', minimum: -2.25, exclusiveMaximum: 1.5 }, -2.25, -2.2, -0.1, 0, 1.49],
  [{ type: 'number', exclusiveMinimum: 1.25, maximum: 1.75 }, 1.26, 1.3, 1.75], [{ type: 'number', maximum: -0.125 }, -0.125, -1, -0.2], [{ type: 'number', minimum: 1e10 }, 1e10, 12345678901], [{ type: 'number', multipleOf: 1 }, 3], [{ type: 'number', minimum: 5, maximum: 5 }, 5],
  [{ type: 'object', properties: { a: { type: 'string' }, b: { type: 'number' }, c: {} }, required: ['b'] }, { b: 1 }, { a: 'x', b: 2, c: null }, { b: 1, c: [] }],
  [{ type: 'object', properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } } }, {}, { a: 1 }, { b: 2 }, { c: 3 }, { a: 1, c: 3 }, { a: 1, b: 2, c: 3 }],
  [{ type: 'object' }, {}, { x: 1, y: { z: [] } }], [{ type: 'object', additionalProperties: { type: 'integer' } }, {}, { x: 1, é: 2 }], [{ type: 'object', required: ['k'] }, { k: 1 }],
  [{ type: 'object', properties: { ab: { type: 'null' }, a: { type: 'null' } }, required: ['a'], additionalProperties: { type: 'boolean' } }, { ab: null, a: null, abc: true, '': false, b: true }],
  [{ type: 'object', properties: { a: false, b: {} } }, { b: 1 }, {}], [{ type: 'object', properties: {}, additionalProperties: false }, {}],
  [{ type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 }, [1], [1, 2, 3]], [{ type: 'array', prefixItems: [{ const: 1 }, { const: 'x' }], items: false, minItems: 1 }, [1], [1, 'x']], [{ type: 'array', prefixItems: [{ const: 1 }], items: { type: 'null' }, minItems: 3 }, [1, null, null]],
  [{ type: 'array' }, [], [[], {}]], [{ type: 'array', maxItems: 0 }, []], [{ type: 'array', uniqueItems: true, maxItems: 1 }, [], [1]], [{ type: 'array', minItems: 2, items: { type: 'boolean' } }, [true, false], [true, true, true]],
  [{ enum: ['a', 1, null, { x: [1, 2] }] }, 'a', { x: [1, 2] }], [{ const: 'é"\n' }, 'é"\n'], [{ type: 'string', enum: ['a', 1, 'bcd'], maxLength: 2 }, 'a'], [{ type: ['string', 'null'] }, null, 'x'], [{ type: 'number', enum: [1, 2.5, 'x'] }, 1, 2.5],
  [{ anyOf: [{ type: 'string' }, { type: 'integer', minimum: 5 }] }, 'x', 5], [{ oneOf: [{ type: 'string' }, { type: 'integer' }] }, 'x', 5], [{ allOf: [{ type: 'integer', minimum: 1 }, { maximum: 5 }, { type: 'number' }] }, 1, 5],
  [{ oneOf: [{ type: 'object', properties: { k: { const: 'a' }, x: { type: 'integer' } }, required: ['k', 'x'] }, { type: 'object', properties: { k: { const: 'b' } }, required: ['k'] }] }, { k: 'a', x: 1 }, { k: 'b' }],
  [{ type: 'object', properties: { a: { const: 1 } }, required: ['a'], anyOf: [{ properties: { b: { const: 2 } }, required: ['b'] }, { properties: { c: { const: 3 } }, required: ['c'] }] }, { a: 1, b: 2 }, { a: 1, c: 3 }],
  [{ allOf: [{ type: 'object', properties: { a: { type: 'number' }, b: {} }, additionalProperties: false }, { properties: { a: { minimum: 2, type: 'integer' } }, required: ['a'] }] }, { a: 2 }, { a: 3, b: 'x' }],
  [{ $defs: { n: { type: 'object', properties: { v: { type: 'integer' }, next: { anyOf: [{ $ref: '#/$defs/n' }, { type: 'null' }] } }, required: ['v', 'next'] } }, $ref: '#/$defs/n' }, { v: 1, next: { v: 2, next: null } }],
  [{ $defs: { 'a/b~c': { type: 'integer' } }, type: 'array', items: { $ref: '#/$defs/a~1b~0c' } }, [1, 2]], [{ type: 'object', properties: { kids: { type: 'array', items: { $ref: '#' } } } }, { kids: [{}, { kids: [] }] }], [{ $defs: { s: { type: 'string' } }, $ref: '#/$defs/s', maxLength: 2 }, 'ab'],
  [{ title: 'x', description: 'y', default: 3, examples: [1], $comment: 'z', type: 'integer' }, 4],
];

describe('a JSON Schema as a grammar', () => {
  it.each(schemas.map((s) => [JSON.stringify(s[0]).slice(0, 120), s] as const))('%s', (_, [schema, ...examples]) => {
    const grammar = schemaGrammar(schema);
    const valid = new Ajv({ strict: false }).compile(schema as object);
    for (const value of examples) {
      expect(valid(value)).toBe(true);
      // String(1e21) is '1e+21', which JSON reads too.
      for (const text of [JSON.stringify(value), ...(typeof value === 'object' && !('enum' in Object(schema)) ? [JSON.stringify(value).replaceAll('":', '": ').replace(/,(?=["\d])/g, ', ')] : [])]) expect([text, matches(grammar, new TextEncoder().encode(text))]).toEqual([text, true]);
    }
    const random = randomSource(7);
    for (let i = 0; i < 60; i++) {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(randomText(grammar, random));
      const value: unknown = JSON.parse(text);
      expect([text, valid(value), valid.errors]).toEqual([text, true, null]);
    }
  });
  it('knows formats by patterns that hold', () => {
    const real: Readonly<Record<string, (s: string) => boolean>> = {
      date: (s) => new Date(`${s}T00:00:00Z`).toISOString().startsWith(s), 'date-time': (s) => !Number.isNaN(Date.parse(s)), uri: (s) => URL.canParse(s), ipv4: (s) => new URL(`http://${s}`).hostname === s, ipv6: (s) => URL.canParse(`http://[${s}]`),
    };
    const random = randomSource(3);
    for (const format of Object.keys(formats)) {
      const grammar = schemaGrammar({ type: 'string', format });
      for (let i = 0; i < 40; i++) {
        const text = JSON.parse(new TextDecoder().decode(randomText(grammar, random))) as string;
        expect([format, text, real[format]?.(text) ?? new RegExp(`^(?:${formats[format] ?? ''})$`, 'u').test(text)]).toEqual([format, text, true]);
      }
    }
  });
  it.each([{ type: 'string', maxLength: 1e9 }, { type: 'array', items: { type: 'integer' }, maxItems: 1e15 }, { type: 'string', pattern: '(a{1,1000}){1,1000}' }])('takes limits of any size: %j', (schema) => {
    expect(problemOf(() => schemaGrammar(schema))).toBe('fine');
  });
  it.each([
    [{ not: {} }, /E028 \/json-schema\/not the keyword 'not' is not supported/], [{ type: 'object', properties: { a: { if: {} } } }, /E028 \/json-schema\/properties\/a\/if the keyword 'if'/], [{ type: 'foo' }, /\/type must be one of null, boolean/],
    [{ $ref: '#/nowhere' }, /'#\/nowhere' is not in the schema/], [{ $ref: 'http:\/\/x\/y' }, /only references within the schema/], [{ $ref: '#' }, /'#' refers to itself/], [{ anyOf: [{ $ref: '#' }] }, /refers to itself/], [false, /nothing matches the schema/], [3, /must be a schema/],
    [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, /nothing matches the schema/], [{ allOf: [{ type: 'string' }, { type: 'null' }] }, /nothing matches/], [{ type: 'string', minLength: 3, maxLength: 2 }, /nothing matches/], [{ type: 'integer', minimum: 3, maximum: 2 }, /nothing matches/],
    [{ type: 'number', multipleOf: 3 }, /multipleOf 3 is not supported/], [{ type: 'array', uniqueItems: true }, /uniqueItems is not supported/], [{ type: 'array', contains: {} }, /'contains'/], [{ type: 'string', format: 'colour' }, /the format "colour" is not supported; known are date/],
    [{ type: 'string', pattern: '(?=a)' }, /\/json-schema\/pattern lookaround/], [{ type: 'string', pattern: '(' }, /\/json-schema\/pattern is no regular expression/], [{ type: 'string', pattern: 'a', minLength: 2 }, /a length beside a pattern/], [{ type: 'string', minLength: -1 }, /must be a whole number/],
    [{ oneOf: [{ type: 'number' }, { type: 'integer' }] }, /oneOf with branches that may both match/], [{ type: 'object', minProperties: 1 }, /minProperties 1 with 0 required/], [{ type: 'object', patternProperties: {} }, /patternProperties/], [{ enum: [] }, /must be a list of values/], [{ anyOf: [] }, /must be a list of schemas/],
    [{ type: 'string', minLenght: 3 }, /\/minLenght the keyword 'minLenght' is not supported; did you mean 'minLength'\?/], [{ name: 'string', age: 'integer' }, /E028 \/json-schema is no JSON Schema: 'name' is no keyword; a schema says what/],
    [{ enum: ['x'.repeat(600_000)] }, /E029 \/json-schema needs 60\d+ nodes, at most 500000/],
    [Array.from({ length: 12 }).reduce<object>((inner) => ({ allOf: [{ anyOf: [{ type: 'string' }, { type: 'null' }, { type: 'array' }, inner] }, { anyOf: [{ minLength: 1 }, { minLength: 2 }, { minItems: 2 }, { minItems: 3 }] }] }), {}), /E02[89]/],
    [Array.from({ length: 300 }).reduce<object>((inner) => ({ type: 'array', items: inner }), {}), /nested more than 100/],
  ] satisfies [unknown, RegExp][])('refuses %#', (schema, message) => {
    const started = performance.now();
    expect(problemOf(() => schemaGrammar(schema))).toMatch(message);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
