/** JSON Schemas as data: keywords, references, and schemas in which all alternatives are written out. */
import { nearest } from '../../../compiler/nearest.ts';
import { constraintError } from '../grammar.ts';

export type SchemaObject = Readonly<Record<string, unknown>>;
/** `false` allows nothing. */
export type Simple = SchemaObject | false;

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Keywords that say nothing about values. */
const annotations = new Set(['title', 'description', 'default', 'examples', 'example', 'deprecated', 'readOnly', 'writeOnly', '$comment', '$schema', '$id', 'id', '$defs', 'definitions', 'contentMediaType', 'contentEncoding']);

export const typeNames = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const;
export type TypeName = (typeof typeNames)[number];

/** The keywords that schemas are compiled with, and the type that each is about; absent: all. */
export const keywords: Readonly<Record<string, TypeName | undefined>> = {
  type: undefined, enum: undefined, const: undefined,
  minimum: 'number', maximum: 'number', exclusiveMinimum: 'number', exclusiveMaximum: 'number', multipleOf: 'number',
  minLength: 'string', maxLength: 'string', pattern: 'string', format: 'string',
  items: 'array', prefixItems: 'array', additionalItems: 'array', minItems: 'array', maxItems: 'array', uniqueItems: 'array',
  properties: 'object', required: 'object', additionalProperties: 'object', minProperties: 'object', maxProperties: 'object',
};
/** Keywords that there are, but that are not held to. */
const others = new Set(['not', 'if', 'then', 'else', 'patternProperties', 'propertyNames', 'contains', 'minContains', 'maxContains', 'dependentRequired', 'dependentSchemas', 'dependencies', 'unevaluatedProperties', 'unevaluatedItems', '$anchor', '$dynamicRef', '$dynamicAnchor', '$vocabulary', 'nullable']);
const combining = new Set(['$ref', 'allOf', 'anyOf', 'oneOf']);

export function unsupported(path: string, what: string, hint?: string): never {
  throw constraintError('E028', path, `${what} is not supported`, hint);
}
export function wrong(path: string, message: string): never {
  throw constraintError('E028', path, message);
}

/** Most alternatives that a schema may have when combinations are written out. */
const mostAlternatives = 500;

export class Schemas {
  constructor(private readonly root: unknown, private readonly base: string) {}

  /** What a reference within the document points to. */
  resolve(reference: unknown, path: string): unknown {
    if (typeof reference !== 'string') return wrong(`${path}/$ref`, 'must be a text');
    if (reference !== '#' && !reference.startsWith('#/')) return unsupported(`${path}/$ref`, `the reference '${reference.slice(0, 200)}'`, 'only references within the schema, such as #/$defs/name, are followed');
    let value: unknown = this.root;
    for (const part of reference.split('/').slice(1)) {
      let key: string;
      try { key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'); } catch { return wrong(`${path}/$ref`, `'${reference.slice(0, 200)}' is no reference`); }
      value = Array.isArray(value) ? (value as unknown[])[Number(key)] : isSchemaObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
      if (value === undefined) return wrong(`${path}/$ref`, `'${reference.slice(0, 200)}' is not in the schema`);
    }
    return value;
  }

  /** The schemas, without references and combinations, of which a value must match one. Empty: nothing matches. */
  alternatives(schema: unknown, path: string, open: ReadonlySet<string> = new Set()): readonly SchemaObject[] {
    if (schema === true) return [{}];
    if (schema === false) return [];
    if (!isSchemaObject(schema)) return wrong(path, `must be a schema: an object, true or false; found ${JSON.stringify(schema)?.slice(0, 50) ?? 'nothing'}`);
    const own: Record<string, unknown> = {};
    let list: readonly SchemaObject[] = [own];
    for (const [key, value] of Object.entries(schema)) {
      if (annotations.has(key)) continue;
      if (Object.hasOwn(keywords, key)) { own[key] = value; continue; }
      if (!combining.has(key)) this.refuseKeyword(schema, key, path);
    }
    if ('const' in own) {
      const only = [own.const];
      delete own.const;
      list = this.cross([own], [{ enum: only }], path);
    }
    if (schema.$ref !== undefined) {
      const key = String(schema.$ref);
      if (open.has(key)) wrong(`${path}/$ref`, `'${key.slice(0, 200)}' refers to itself`);
      list = this.cross(list, this.alternatives(this.resolve(schema.$ref, path), this.base + key.slice(1), new Set([...open, key])), path);
    }
    for (const part of this.parts(schema, 'allOf', path)) list = this.cross(list, this.alternatives(part.schema, part.path, open), path);
    const any = this.parts(schema, 'anyOf', path);
    if (any.length > 0) list = this.cross(list, any.flatMap((part) => this.alternatives(part.schema, part.path, open)), path);
    const one = this.parts(schema, 'oneOf', path).map((part) => this.alternatives(part.schema, part.path, open));
    if (one.length > 0) {
      one.forEach((a, i) => one.slice(0, i).forEach((b) => {
        if (!a.every((x) => b.every((y) => this.disjoint(x, y)))) unsupported(`${path}/oneOf`, 'oneOf with branches that may both match', 'use anyOf, or give the branches different types, or a required property with different constants');
      }));
      list = this.cross(list, one.flat(), path);
    }
    return list;
  }

  private refuseKeyword(schema: SchemaObject, key: string, path: string): never {
    const known = (name: string): boolean => others.has(name) || annotations.has(name) || Object.hasOwn(keywords, name) || combining.has(name);
    if (path === this.base && !Object.keys(schema).some(known)) {
      throw constraintError('E028', path, `is no JSON Schema: '${key.slice(0, 100)}' is no keyword`, 'a schema says what the JSON is like: {"type": "object", "properties": {"name": {"type": "string"}}}');
    }
    const meant = known(key) ? undefined : nearest(key, [...Object.keys(keywords), ...combining]);
    unsupported(`${path}/${key}`, `the keyword '${key.slice(0, 100)}'`, meant === undefined ? undefined : `did you mean '${meant}'?`);
  }

  private parts(schema: SchemaObject, key: string, path: string): { schema: unknown; path: string }[] {
    const value = schema[key];
    if (value === undefined) return [];
    if (!Array.isArray(value) || value.length === 0) return wrong(`${path}/${key}`, 'must be a list of schemas');
    return value.map((part: unknown, i) => ({ schema: part, path: `${path}/${key}/${i}` }));
  }

  private cross(a: readonly SchemaObject[], b: readonly SchemaObject[], path: string): readonly SchemaObject[] {
    if (a.length * b.length > mostAlternatives) throw constraintError('E029', path, `has ${a.length * b.length} alternatives, at most ${mostAlternatives} are written out`);
    return a.flatMap((x) => b.flatMap((y) => { const merged = merge(x, y, path); return merged === false ? [] : [merged]; }));
  }

  /** Whether certainly no value matches both. */
  private disjoint(a: SchemaObject, b: SchemaObject, depth = 0): boolean {
    if (typesOf(a, '').every((t) => !typesOf(b, '').some((u) => t === u || (t === 'integer' && u === 'number') || (t === 'number' && u === 'integer')))) return true;
    const [x, y] = [valuesOf(a), valuesOf(b)];
    if (x && y) return !x.some((value) => y.includes(value));
    if (depth > 3 || !typesOf(a, '').every((t) => t === 'object') || !typesOf(b, '').every((t) => t === 'object')) return false;
    const shared = listOf(a.required).filter((name) => listOf(b.required).includes(name));
    return shared.some((name) => {
      const [p, q] = [propertyOf(a, name), propertyOf(b, name)];
      return isSchemaObject(p) && isSchemaObject(q) && [p, q].every((s) => !Object.keys(s).some((key) => combining.has(key)))
        && this.disjoint(withoutConst(p), withoutConst(q), depth + 1);
    });
  }
}

const withoutConst = (s: SchemaObject): SchemaObject => ('const' in s ? { ...s, enum: [s.const] } : s);
const valuesOf = (s: SchemaObject): string[] | undefined => (Array.isArray(s.enum) ? s.enum.map((value: unknown) => JSON.stringify(value)) : undefined);
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
function propertyOf(s: SchemaObject, name: unknown): unknown {
  return isSchemaObject(s.properties) && typeof name === 'string' && Object.hasOwn(s.properties, name) ? s.properties[name] : undefined;
}

/** The type of a JSON value. */
export function typeOf(value: unknown): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value === 'boolean' ? 'boolean' : typeof value === 'string' ? 'string' : 'object';
}

/** The types that a schema allows: those it names; or else those that its keywords speak of; or else all. */
export function typesOf(schema: SchemaObject, path: string): readonly TypeName[] {
  if (schema.type !== undefined) {
    const names = Array.isArray(schema.type) ? (schema.type as unknown[]) : [schema.type];
    return names.map((name) => typeNames.find((t) => t === name) ?? wrong(`${path}/type`, `must be one of ${typeNames.join(', ')}, found ${JSON.stringify(name)?.slice(0, 50) ?? 'nothing'}`));
  }
  if (Array.isArray(schema.enum)) return [...new Set(schema.enum.map(typeOf))];
  const spoken = new Set(Object.keys(schema).flatMap((key) => keywords[key] ?? []));
  return spoken.size > 0 ? typeNames.filter((t) => spoken.has(t)) : typeNames.filter((t) => t !== 'integer');
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const both = (a: unknown, b: unknown): unknown => (same(a, b) || b === true ? a : a === true ? b : { allOf: [a, b] });

/** A schema that matches what both match; false where nothing does. */
function merge(a: SchemaObject, b: SchemaObject, path: string): Simple {
  if (Object.keys(a).length === 0) return b;
  if (Object.keys(b).length === 0) return a;
  const result: Record<string, unknown> = { ...a };
  for (const [key, y] of Object.entries(b)) {
    const x = a[key];
    if (x === undefined) { result[key] = y; continue; }
    if (same(x, y)) continue;
    switch (key) {
      case 'type': {
        const [p, q] = [typesOf(a, path), typesOf(b, path)];
        const types = [...p.filter((t) => q.includes(t) || (t === 'integer' && q.includes('number'))), ...(p.includes('number') && q.includes('integer') && !p.includes('integer') ? ['integer'] : [])];
        if (types.length === 0) return false;
        result.type = types;
        break;
      }
      case 'enum': {
        const values = listOf(x).filter((value) => listOf(y).some((other) => same(value, other)));
        if (values.length === 0) return false;
        result.enum = values;
        break;
      }
      case 'minimum': case 'exclusiveMinimum': case 'minLength': case 'minItems': case 'minProperties': result[key] = Math.max(Number(x), Number(y)); break;
      case 'maximum': case 'exclusiveMaximum': case 'maxLength': case 'maxItems': case 'maxProperties': result[key] = Math.min(Number(x), Number(y)); break;
      case 'uniqueItems': result[key] = x === true || y === true; break;
      case 'required': result[key] = [...new Set([...listOf(x), ...listOf(y)])]; break;
      case 'properties': case 'additionalProperties': break;
      case 'items': if ('prefixItems' in a || 'prefixItems' in b) unsupported(`${path}/items`, 'prefixItems in schemas that are combined'); result.items = both(x, y); break;
      default: unsupported(`${path}/${key}`, `'${key}' in two schemas that are combined`);
    }
  }
  if (('prefixItems' in a) !== ('prefixItems' in b) && 'items' in (('prefixItems' in a) ? b : a)) unsupported(`${path}/prefixItems`, 'prefixItems in schemas that are combined');
  if (isSchemaObject(a.properties) || isSchemaObject(b.properties) || 'additionalProperties' in a || 'additionalProperties' in b) mergeProperties(result, a, b);
  return result;
}

function mergeProperties(result: Record<string, unknown>, a: SchemaObject, b: SchemaObject): void {
  const [p, q] = [a, b].map((s) => (isSchemaObject(s.properties) ? s.properties : {}));
  const other = (s: SchemaObject): unknown => s.additionalProperties ?? true;
  const names = [...new Set([...Object.keys(p ?? {}), ...Object.keys(q ?? {})])];
  const part = (list: SchemaObject | undefined, name: string, s: SchemaObject): unknown => (list && Object.hasOwn(list, name) ? list[name] : other(s));
  result.properties = Object.fromEntries(names.map((name) => [name, both(part(p, name, a), part(q, name, b))]));
  if ('additionalProperties' in a || 'additionalProperties' in b) result.additionalProperties = both(other(a), other(b));
}
