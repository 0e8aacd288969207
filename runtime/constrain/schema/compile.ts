/**
 * A JSON Schema as a grammar of the JSON texts that match it. The grammar may allow fewer texts than the schema, never more: objects have their
 * listed properties in the listed order, and others only where `additionalProperties` says so or nothing is listed; numbers have at most 15 digits
 * on a side; white space is one space where people put it. What it could not hold to is refused, with its place in the schema.
 */
import { anyJsonCharacter, everything, jsonCharacter, utf8, without } from '../code-points.ts';
import { checkSize, choice, constraintError, empty, literal, optional, repeat, rule, sequence, type Expression, type Grammar } from '../grammar.ts';
import { prune } from '../prune.ts';
import { regexGrammar } from '../regex.ts';
import { formats } from './formats.ts';
import { anyInteger, anyNumber, integers, numbers, type Bound } from './numbers.ts';
import { isSchemaObject, Schemas, typeOf, typesOf, unsupported, wrong, type SchemaObject, type TypeName } from './schema.ts';

const mostRules = 2000;
const nothing: Expression = { kind: 'choice', items: [] };
const quote = literal('"');
const comma = sequence(literal(','), rule('space'));

class Compiler {
  readonly rules = new Map<string, Expression>();
  private readonly known = new Map<string, string>();
  private readonly schemas: Schemas;

  constructor(root: unknown, base: string) {
    this.schemas = new Schemas(root, base);
    // No lines and indentation: a small model can go on with them for ever, and a large one spends its tokens on them.
    this.rules.set('space', optional(literal(' ')));
    this.rules.set('character', anyJsonCharacter());
    this.rules.set('string', sequence(quote, repeat(rule('character'), 0, Infinity), quote));
  }

  /** A rule for what matches `schema`: equal schemas share one, so that those which contain themselves end. */
  value(schema: unknown, path: string): Expression {
    const key = JSON.stringify(schema);
    const known = this.known.get(key);
    if (known !== undefined) return rule(known);
    const name = `value${this.known.size}`;
    this.known.set(key, name);
    if (this.known.size > mostRules) throw constraintError('E029', path, `needs more than ${mostRules} rules`);
    this.rules.set(name, nothing);
    this.rules.set(name, choice(...this.schemas.alternatives(schema, path).map((simple) => this.simple(simple, path))));
    return rule(name);
  }

  private simple(schema: SchemaObject, path: string): Expression {
    const types = typesOf(schema, path);
    if (schema.enum !== undefined) return this.values(schema, types, path);
    return choice(...types.map((type) => this.ofType(type, schema, path)));
  }

  /** The values of an enum that match the other keywords. */
  private values(schema: SchemaObject, types: readonly TypeName[], path: string): Expression {
    if (!Array.isArray(schema.enum) || schema.enum.length === 0) return wrong(`${path}/enum`, 'must be a list of values');
    const { minimum, maximum, minLength, maxLength, type: _type, enum: _enum, ...more } = schema;
    const other = Object.keys(more)[0];
    if (other !== undefined) unsupported(`${path}/${other}`, `'${other}' beside enum or const`);
    const fits = (value: unknown): boolean => {
      const type = typeOf(value);
      if (!types.includes(type) && !(type === 'integer' && types.includes('number'))) return false;
      if (typeof value === 'number') return value >= (this.number(minimum, `${path}/minimum`) ?? -Infinity) && value <= (this.number(maximum, `${path}/maximum`) ?? Infinity);
      if (typeof value === 'string') return [...value].length >= (this.count(minLength, `${path}/minLength`) ?? 0) && [...value].length <= (this.count(maxLength, `${path}/maxLength`) ?? Infinity);
      return true;
    };
    return { kind: 'choice', items: (schema.enum as unknown[]).filter(fits).map((value) => literal(JSON.stringify(value))) };
  }

  private number(value: unknown, path: string): number | undefined {
    if (value === undefined || typeof value === 'number') return value;
    return wrong(path, `must be a number, found ${JSON.stringify(value)?.slice(0, 50) ?? 'nothing'}`);
  }

  private count(value: unknown, path: string): number | undefined {
    if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)) return value;
    return wrong(path, `must be a whole number, 0 or more, found ${JSON.stringify(value)?.slice(0, 50) ?? 'nothing'}`);
  }

  private ofType(type: TypeName, schema: SchemaObject, path: string): Expression {
    switch (type) {
      case 'null': return literal('null');
      case 'boolean': return choice(literal('true'), literal('false'));
      case 'integer': case 'number': return this.numeric(type, schema, path);
      case 'string': return this.string(schema, path);
      case 'array': return this.array(schema, path);
      case 'object': return this.object(schema, path);
      default: throw type satisfies never;
    }
  }

  private numeric(type: 'integer' | 'number', schema: SchemaObject, path: string): Expression {
    const bound = (inclusive: string, exclusive: string, tighter: (a: number, b: number) => boolean): Bound | undefined => {
      if (typeof schema[exclusive] === 'boolean') return unsupported(`${path}/${exclusive}`, `'${exclusive}' as true or false`, 'give the number');
      const [a, b] = [this.number(schema[inclusive], `${path}/${inclusive}`), this.number(schema[exclusive], `${path}/${exclusive}`)];
      if (b !== undefined && (a === undefined || !tighter(a, b))) return { value: b, exclusive: true };
      return a === undefined ? undefined : { value: a, exclusive: false };
    };
    const low = bound('minimum', 'exclusiveMinimum', (a, b) => a > b), high = bound('maximum', 'exclusiveMaximum', (a, b) => a < b);
    for (const b of [low, high]) if (b && !(Math.abs(b.value) < 1e15 && (b.value === 0 || Math.abs(b.value) > 1e-12))) unsupported(path, `the bound ${b.value}`);
    const step = this.number(schema.multipleOf, `${path}/multipleOf`);
    if (step !== undefined && !(step === 1 || (type === 'integer' && Number.isInteger(1 / step)))) unsupported(`${path}/multipleOf`, `multipleOf ${step}`, 'only 1 can be held to');
    if (type === 'number' && step === undefined) return low || high ? numbers(low, high) : anyNumber();
    if (!low && !high) return anyInteger();
    const from = low && BigInt(low.exclusive && Number.isInteger(low.value) ? low.value + 1 : Math.ceil(low.value));
    const to = high && BigInt(high.exclusive && Number.isInteger(high.value) ? high.value - 1 : Math.floor(high.value));
    return integers(from, to);
  }

  private string(schema: SchemaObject, path: string): Expression {
    const min = this.count(schema.minLength, `${path}/minLength`) ?? 0, max = this.count(schema.maxLength, `${path}/maxLength`) ?? Infinity;
    const pattern = schema.pattern, format = schema.format;
    if (pattern === undefined && format === undefined) {
      if (min === 0 && max === Infinity) return rule('string');
      return min > max ? nothing : sequence(quote, repeat(rule('character'), min, max), quote);
    }
    const where = `${path}/${pattern === undefined ? 'format' : 'pattern'}`;
    if (pattern !== undefined && typeof pattern !== 'string') return wrong(where, 'must be a text');
    if (pattern !== undefined && format !== undefined) unsupported(where, 'pattern beside format');
    if (schema.minLength !== undefined || schema.maxLength !== undefined) unsupported(where, 'a length beside a pattern or format', 'write the length into the pattern: {2,5}');
    const source = pattern ?? (typeof format === 'string' && Object.hasOwn(formats, format) ? formats[format] : undefined);
    if (source === undefined) return unsupported(where, `the format ${JSON.stringify(format)?.slice(0, 50) ?? ''}`, `known are ${Object.keys(formats).join(', ')}`);
    return sequence(quote, regexGrammar(source, where, jsonCharacter), quote);
  }

  private array(schema: SchemaObject, path: string): Expression {
    const min = this.count(schema.minItems, `${path}/minItems`) ?? 0, max = this.count(schema.maxItems, `${path}/maxItems`) ?? Infinity;
    if (schema.uniqueItems === true && max > 1) unsupported(`${path}/uniqueItems`, 'uniqueItems', 'a constraint does not remember what was written');
    const old = Array.isArray(schema.items);
    const prefix = old ? schema.items : schema.prefixItems ?? [];
    if (!Array.isArray(prefix)) return wrong(`${path}/prefixItems`, 'must be a list of schemas');
    const rest = (old ? schema.additionalItems : schema.items) ?? true;
    if (max < min) return nothing;
    const first = prefix.slice(0, max).map((item: unknown, i) => this.value(item, `${path}/${old ? 'items' : 'prefixItems'}/${i}`));
    const more = max > first.length && rest !== false ? this.value(rest, `${path}/${old ? 'additionalItems' : 'items'}`) : nothing;
    // From the last place to the first; what is not needed may end the list.
    const n = first.length;
    let tail = repeat(sequence(comma, more), Math.max(0, min - Math.max(1, n)), max === Infinity ? Infinity : Math.max(0, max - Math.max(1, n)));
    for (let i = n - 1; i >= 1; i--) {
      const item = sequence(comma, first[i] ?? nothing, tail);
      tail = i < min ? item : optional(item);
    }
    const all = sequence(rule('space'), first[0] ?? more, tail, rule('space'));
    const list = max === 0 ? empty : min > 0 ? all : optional(all);
    return sequence(literal('['), list, literal(']'));
  }

  private object(schema: SchemaObject, path: string): Expression {
    const properties = schema.properties ?? {};
    if (!isSchemaObject(properties)) return wrong(`${path}/properties`, 'must be an object of schemas');
    const required = schema.required ?? [];
    if (!Array.isArray(required) || required.some((name) => typeof name !== 'string')) return wrong(`${path}/required`, 'must be a list of names');
    const listed = new Map<string, unknown>(Object.entries(properties));
    const additional = schema.additionalProperties ?? listed.size === 0;
    for (const name of required as string[]) if (!listed.has(name)) listed.set(name, schema.additionalProperties ?? true);
    const [least, most] = [this.count(schema.minProperties, `${path}/minProperties`) ?? 0, this.count(schema.maxProperties, `${path}/maxProperties`) ?? Infinity];
    const open = additional !== false && most === Infinity;
    if (least > new Set(required).size) unsupported(`${path}/minProperties`, `minProperties ${least} with ${new Set(required).size} required properties`, 'list them under required');
    if (most < listed.size) unsupported(`${path}/maxProperties`, `maxProperties ${most} below the ${listed.size} listed properties`);
    const member = (key: Expression, value: Expression): Expression => sequence(key, literal(':'), optional(literal(' ')), value);
    const extra = open ? member(this.otherKey([...listed.keys()]), this.value(additional, `${path}/additionalProperties`)) : nothing;
    const extras = repeat(sequence(comma, extra), 0, Infinity);
    const members = [...listed].map(([name, value]) => ({
      needed: required.includes(name), text: member(literal(JSON.stringify(name)), this.value(value, `${path}/properties/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)),
    }));
    // `written`: what follows a member; `fresh`: what follows the brace. Rules, because each stands in two places.
    let written: Expression = extras, fresh: Expression = optional(sequence(extra, extras));
    for (const { needed, text } of members.reverse()) {
      const after = this.share(written);
      fresh = needed ? sequence(text, after) : choice(sequence(text, after), this.share(fresh));
      written = needed ? sequence(comma, text, after) : sequence(optional(sequence(comma, text)), after);
    }
    return choice(sequence(literal('{'), rule('space'), fresh, rule('space'), literal('}')), ...(required.length === 0 ? [literal('{}')] : []));
  }

  private share(expression: Expression): Expression {
    if (expression.kind === 'rule') return expression;
    const name = `part${this.rules.size}`;
    this.rules.set(name, expression);
    return rule(name);
  }

  /** A key that is none of `names`, written without escapes, by which one of them could hide. */
  private otherKey(names: readonly string[]): Expression {
    const plain = without(everything, [[0, 0x1f], [34, 34], [92, 92]]);
    if (names.length === 0) return rule('string');
    const any = repeat(utf8(plain) ?? nothing, 0, Infinity);
    const tree = (rests: readonly (readonly number[])[]): Expression => {
      const heads = [...new Set(rests.flatMap((r) => (r.length > 0 ? [r[0] ?? 0] : [])))];
      const others = utf8(without(plain, heads.map((c) => [c, c])));
      const items = heads.map((c) => sequence(utf8([[c, c]]) ?? nothing, tree(rests.filter((r) => r[0] === c).map((r) => r.slice(1)))));
      return choice(...(rests.some((r) => r.length === 0) ? [] : [empty]), ...(others ? [sequence(others, any)] : []), ...items);
    };
    return sequence(quote, tree(names.map((name) => Array.from(name, (c) => c.codePointAt(0) ?? 0))), quote);
  }
}

function checkDepth(schema: unknown, path: string, depth = 0): void {
  if (depth > 100) throw constraintError('E029', path, 'is nested more than 100 deep');
  if (typeof schema === 'object' && schema !== null) for (const value of Object.values(schema)) checkDepth(value, path, depth + 1);
}

/** The JSON texts of values that match `schema`. Throws PeelError (exit code 2) for what is no schema, is not supported, or is too large. */
export function schemaGrammar(schema: unknown, path = '/json-schema'): Grammar {
  checkDepth(schema, path);
  const compiler = new Compiler(schema, path);
  const root = compiler.value(schema, path);
  const grammar = prune(new Map([...compiler.rules, ['root', root]]));
  if (!grammar) throw constraintError('E028', path, 'nothing matches the schema');
  checkSize(grammar, path);
  return grammar;
}
