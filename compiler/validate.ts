/** The schema, applied to a spec, and its complaints in our words. The schema is ours and trusted; nothing of a user's is ever compiled. */
import type { ErrorObject } from 'ajv/dist/2020.js';
import type { Diagnostic } from './diagnostics.ts';
import { nearest } from './nearest.ts';
import { shorten } from './parse.ts';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import { check, checkTests } from './schema-check.ts';
import { diagnosticAt, nodeAt, placeOf, plainValue, pointer } from './source.ts';
import type { SourceNode } from './source.ts';

/** Complaints put into words; more than are ever shown, so that errors of a kind are not crowded out. */
const MOST_TRANSLATED = 200;

/** Everything in a (merged) spec that the schema does not allow. */
export function validateSchema(root: SourceNode): Diagnostic[] {
  return validate(check, root, 'the spec');
}

/** Everything in a file of graph tests that its schema does not allow. */
export function validateTests(root: SourceNode): Diagnostic[] {
  return validate(checkTests, root, 'the test file');
}

function validate(check: ValidateFunction, root: SourceNode, whole: string): Diagnostic[] {
  if (check(plainValue(root))) return [];
  const found: Diagnostic[] = [];
  const seen = new Set<string>();
  for (const error of check.errors ?? []) {
    if (found.length >= MOST_TRANSLATED) break;
    const diagnostic = translate(error, root, whole);
    if (!diagnostic) continue;
    const key = `${diagnostic.path} ${diagnostic.code} ${diagnostic.message}`;
    if (!seen.has(key)) found.push(diagnostic);
    seen.add(key);
  }
  return found;
}

function translate(error: ErrorObject, root: SourceNode, whole: string): Diagnostic | undefined {
  const path = error.instancePath;
  const subject = path === '' ? whole : lastName(path);
  const places = placeOf(root, path);
  const node = nodeAt(root, path);
  const parent: unknown = error.parentSchema;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty']);
      const known = isRecord(parent) && isRecord(parent['properties']) ? Object.keys(parent['properties']) : [];
      const close = nearest(key, known);
      const keyPlace = placeOf(root, pointer(path, key)).key ?? places.value;
      const hint = close === undefined ? `known here: ${known.join(', ')}` : `did you mean \`${close}\`?`;
      return diagnosticAt(keyPlace, 'E201', pointer(path, key), `\`${shorten(key)}\` is not a key of ${subject}`, hint);
    }
    case 'required': {
      const key = String(error.params['missingProperty']);
      return diagnosticAt(places.key ?? places.value, 'E202', path, `${subject} needs the key \`${key}\``);
    }
    case 'propertyNames':
      return undefined;
    case 'type': {
      // Within an `anyOf` the branches repeat what the property's own type says.
      if (error.schemaPath.includes('/anyOf/')) return undefined;
      const types = ([] as unknown[]).concat(error.params['type']).map((type) => TYPE_NAMES.get(String(type)) ?? String(type));
      return diagnosticAt(places.value, 'E203', path, `${subject} must be ${types.join(' or ')}, not ${node ? nodeType(node) : 'this'}`);
    }
    case 'enum': case 'const': {
      if (error.schemaPath.includes('/anyOf/')) return undefined;
      const allowed = error.keyword === 'const' ? [error.params['allowedValue']] : error.params['allowedValues'] as unknown[];
      const given = node?.kind === 'scalar' ? String(node.value) : '';
      const close = nearest(given, allowed.map(String));
      const found = node ? nodeType(node) : 'this';
      return diagnosticAt(places.value, 'E204', path, `${subject} must be ${allowed.map(String).join(' or ')}, not ${found}`, close === undefined ? undefined : `did you mean \`${close}\`?`);
    }
    case 'anyOf': case 'if':
      return undefined;
    case 'dependentRequired': {
      const { property, missingProperty } = error.params;
      return diagnosticAt(places.key ?? places.value, 'E205', path, `${subject} has the key \`${String(property)}\`, which needs \`${String(missingProperty)}\` beside it`);
    }
    case 'pattern': {
      const name = error.propertyName ?? (node?.kind === 'scalar' ? String(node.value) : '');
      if (isRecord(parent) && typeof parent['says'] === 'string') return diagnosticAt(places.value, 'E204', path, `${subject} must be ${parent['says']}, not ${node ? nodeType(node) : 'this'}`);
      const at = error.propertyName === undefined ? places.value : placeOf(root, pointer(path, name)).key ?? places.value;
      return diagnosticAt(at, 'E204', error.propertyName === undefined ? path : pointer(path, name), `\`${shorten(name)}\` is not a name: letters, digits and _, not starting with a digit`);
    }
    default:
      return diagnosticAt(places.key ?? places.value, 'E204', path, `${subject} ${LIMITS.get(error.keyword) ?? 'is not allowed'}${limit(error)}`);
  }
}

const TYPE_NAMES = new Map([
  ['number', 'a number'], ['integer', 'a whole number'], ['string', 'a text'], ['boolean', 'true or false'], ['object', 'a map'], ['array', 'a list'], ['null', 'null'],
]);
const LIMITS = new Map([
  ['minItems', 'has too few items; at least'], ['maxItems', 'has too many items; at most'], ['minProperties', 'has too few keys; at least'],
  ['maxProperties', 'has too many keys; at most'], ['minimum', 'is too small; at least'], ['minLength', 'is too short; at least'], ['maxLength', 'is too long; at most'],
]);

function limit(error: ErrorObject): string {
  const value: unknown = error.params['limit'];
  return typeof value === 'number' ? ` ${value}` : '';
}

/** The key, or `key[2]` for an item of a list. */
function lastName(path: string): string {
  const [, name = '', items = ''] = /([^/]*)((?:\/\d+)*)$/.exec(path) ?? [];
  return `\`${name.replace(/~1/g, '/').replace(/~0/g, '~')}${items.replace(/\/(\d+)/g, '[$1]')}\``;
}

export function nodeType(node: SourceNode): string {
  if (node.kind !== 'scalar') return node.kind === 'map' ? 'a map' : 'a list';
  if (node.value === null) return 'null';
  if (typeof node.value === 'string') return `the text '${shorten(node.value, 40)}'`;
  return typeof node.value === 'number' ? `the number ${node.value}` : String(node.value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
