import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import schema from '../../schema/spec.schema.json' with { type: 'json' };
import { validateSchema } from '../../compiler/validate.ts';
import { loadText } from './models.ts';

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Calls `visit` with every schema inside a schema. */
function every(node: Node, path: string, visit: (node: Node, path: string) => void): void {
  visit(node, path);
  for (const group of ['properties', '$defs']) {
    const children = node[group];
    if (isNode(children)) for (const [key, child] of Object.entries(children)) if (isNode(child)) every(child, `${path}/${group}/${key}`, visit);
  }
  for (const key of ['items', 'additionalProperties']) if (isNode(node[key])) every(node[key], `${path}/${key}`, visit);
}

describe('the schema', () => {
  test('describes every property', () => {
    const missing: string[] = [];
    every(schema, '', (node, path) => {
      const properties = isNode(node['properties']) ? node['properties'] : {};
      for (const [key, property] of Object.entries(properties)) {
        const reference = isNode(property) ? property['$ref'] : undefined;
        const target = typeof reference === 'string' ? (schema.$defs as Node)[reference.replace('#/$defs/', '')] : undefined;
        const text = isNode(property) ? property['description'] ?? (isNode(target) ? target['description'] : undefined) : undefined;
        if (typeof text !== 'string' || text.length < 5) missing.push(`${path}/${key}`);
      }
    });
    expect(missing).toEqual([]);
  });

  test('knows every key of every map', () => {
    const open: string[] = [];
    every(schema, '', (node, path) => {
      const type = node['type'];
      const map = type === 'object' || (Array.isArray(type) && type.includes('object'));
      if (map && node['additionalProperties'] === undefined) open.push(path);
    });
    expect(open).toEqual([]);
  });

  test('the authoring types have the same keys', () => {
    const types = readFileSync(new URL('../../schema/types.ts', import.meta.url), 'utf8');
    const absent = new Set<string>();
    every(schema, '', (node) => {
      for (const key of Object.keys(isNode(node['properties']) ? node['properties'] : {})) if (!new RegExp(`\\b${key}\\??:`).test(types)) absent.add(key);
    });
    expect([...absent]).toEqual([]);
  });

  test('a spec can name its schema for editors in a comment', () => {
    const { spec } = loadText('# yaml-language-server: $schema=../schema/spec.schema.json\npeel: 1\n');
    expect(validateSchema(spec!.root)).toEqual([]);
  });

  test('shapes of complaints', () => {
    const complaints = (text: string): string[] => validateSchema(loadText(text).spec!.root).map((d) => `${d.code} ${d.path} ${d.message}`);
    expect(complaints('peel: 2')).toEqual(['E204 /peel `peel` must be 1, not the number 2']);
    expect(complaints('name: x')).toEqual(['E202  the spec needs the key `peel`']);
    expect(complaints('peel: 1\nlayers: 3')).toEqual(['E203 /layers `layers` must be a map, not the number 3']);
    expect(complaints('peel: 1\nparams: { 3x: 1 }')).toEqual(['E204 /params/3x `3x` is not a name: letters, digits and _, not starting with a digit']);
    expect(complaints('peel: 1\nembeddings: { position: nome }')).toEqual(['E204 /embeddings/position `position` must be none, not the text \'nome\'']);
    expect(complaints('peel: 1\nembeddings: { position: { learned: { rows: 3 } } }')).toEqual([]);
    expect(complaints('peel: 1\nblocks: { a: { body: [] } }')).toEqual(['E204 /blocks/a/body `body` has too few items; at least 1']);
  });
});
