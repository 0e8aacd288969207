/** Every key of a config.json, accounted for: read by a param, known to be irrelevant, expected to have one value, or reported. */
import { capDiagnostics } from './diagnostics.ts';
import type { Diagnostic } from './diagnostics.ts';
import { matchesGlob } from './glob.ts';
import type { LoadedSpec } from './load.ts';
import { textList } from './load.ts';
import { nearest } from './nearest.ts';
import { isRecord, lookUp } from './resolve/params.ts';
import { locate, nodeAt, plainValue, pointer, sourceFile } from './source.ts';
import type { SourceNode } from './source.ts';

export interface ConfigFile {
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** The file's text, for line and column. */
  readonly text?: string;
}

/** Errors where the spec describes another model than the config, warnings for keys that nothing accounts for. */
export function checkConfig(spec: LoadedSpec, config: ConfigFile): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  const within = textList(nodeAt(spec.root, '/config/within'));
  const ignored = textList(nodeAt(spec.root, '/config/ignore'));
  const expected = expectations(spec);
  const read = readKeys(spec);
  for (const [key, allowed] of expected) {
    const value = within.map((root) => lookUp(config.value, `${root}.${key}`)).find((v) => v !== undefined) ?? lookUp(config.value, key);
    if (value === undefined || allowed.some((candidate) => JSON.stringify(candidate) === JSON.stringify(value))) continue;
    const wanted = allowed.map((candidate) => JSON.stringify(candidate)).join(' or ');
    found.push(problem(config, key, 'E505', 'error', `${key} is ${shown(value)}, but the spec describes only ${wanted}`, pointer('/config/expect', key)));
  }
  found.push(...disagreements(spec, config, within));
  for (const path of leaves(config.value)) {
    const key = within.reduce((text, root) => (text.startsWith(`${root}.`) ? text.slice(root.length + 1) : text), path);
    const known = [...read, ...expected.keys()].some((pattern) => covers(pattern, key)) || ignored.some((pattern) => ancestors(key).some((part) => matchesGlob(pattern, part)));
    if (known) continue;
    const close = nearest(key, [...read, ...expected.keys()]);
    found.push(problem(config, path, 'W506', 'warning', `the spec does not know the key ${path}`, '/config', close === undefined ? 'if it does not change the result, add it to config.ignore' : `nearest known: ${close}`));
  }
  return capDiagnostics(found);
}

/** Two spellings of one param that are both there, with different values. The one that the spec lists first counts. */
function disagreements(spec: LoadedSpec, config: ConfigFile, within: readonly string[]): Diagnostic[] {
  const params = nodeAt(spec.root, '/params');
  if (params?.kind !== 'map') return [];
  const nested = within.map((key) => config.value[key]).find(isRecord);
  return [...params.entries].flatMap(([name, { value: param }]) => {
    if (param.kind !== 'map') return [];
    const given = textList(param.entries.get('config')?.value).flatMap((key) => {
      const value = (nested ? lookUp(nested, key) : undefined) ?? lookUp(config.value, key);
      // What a `*` gathers is a map, which nothing can be compared with.
      return value === undefined || isRecord(value) ? [] : [{ key, value }];
    });
    const [first] = given;
    const other = given.find(({ value }) => JSON.stringify(value) !== JSON.stringify(first?.value));
    if (!first || !other) return [];
    return [problem(config, other.key, 'W507', 'warning', `${first.key} is ${shown(first.value)}, but ${other.key} is ${shown(other.value)}; both give the param \`${name}\``,
      pointer('/params', name), `${first.key} counts; remove the other one`)];
  });
}

/** Keys with a value, dotted; a list is one value. Null means absent. */
function leaves(value: Readonly<Record<string, unknown>>, prefix = '', depth = 0): string[] {
  return Object.entries(value).flatMap(([key, item]) => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (item === null || item === undefined) return [];
    return isRecord(item) && depth < 8 && Object.keys(item).length > 0 ? leaves(item, path, depth + 1) : [path];
  });
}

/** Keys that params read. */
function readKeys(spec: LoadedSpec): Set<string> {
  const params = nodeAt(spec.root, '/params');
  const keys = new Set<string>();
  if (params?.kind !== 'map') return keys;
  for (const [, { value }] of params.entries) {
    if (value.kind === 'map') for (const key of textList(value.entries.get('config')?.value)) keys.add(key);
  }
  return keys;
}

function expectations(spec: LoadedSpec): Map<string, readonly unknown[]> {
  const node: SourceNode | undefined = nodeAt(spec.root, '/config/expect');
  const result = new Map<string, readonly unknown[]>();
  if (node?.kind !== 'map') return result;
  for (const [key, { value }] of node.entries) {
    const plain = plainValue(value);
    result.set(key, Array.isArray(plain) ? plain : [plain]);
  }
  return result;
}

/** Whether reading `pattern` reads `key`: it is the key or a map around it, step by step; a `*` step is any one key. */
function covers(pattern: string, key: string): boolean {
  if (pattern === key) return true;
  const steps = pattern.split('.');
  const parts = key.split('.');
  return steps.length <= parts.length && steps.every((step, index) => step === '*' || step === parts[index]);
}

function ancestors(key: string): string[] {
  const parts = key.split('.');
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}

function problem(config: ConfigFile, key: string, code: Diagnostic['code'], severity: Diagnostic['severity'], message: string, path: string, hint?: string): Diagnostic {
  const file = sourceFile(config.name, config.text ?? '');
  const last = JSON.stringify(key.slice(key.lastIndexOf('.') + 1));
  const offset = config.text === undefined ? -1 : config.text.indexOf(last);
  const at = locate({ file, offset: Math.max(0, offset), length: offset < 0 ? 1 : last.length });
  return { code, severity, path, message, ...at, ...(hint === undefined ? {} : { hint }) };
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
