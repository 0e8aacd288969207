/** Reads a spec and what it extends, and merges them. */
import type { Diagnostic } from './diagnostics.ts';
import { mergeSpecs, withoutNulls } from './merge.ts';
import { parseSpec, shorten } from './parse.ts';
import type { ParseSpec } from './parse-once.ts';
import { diagnosticAt, pointer } from './source.ts';
import type { MapNode, SourceNode } from './source.ts';

const DEEPEST_EXTENDS = 16;
const MOST_FILES = 64;

/** A spec with everything it extends merged in. Not yet validated. */
export interface LoadedSpec {
  readonly file: string;
  readonly name: string;
  readonly root: MapNode;
  /** The file and every file it extends. */
  readonly files: readonly string[];
}
export interface LoadResult {
  readonly spec?: LoadedSpec;
  readonly diagnostics: readonly Diagnostic[];
}
/** Gives a file's content, or undefined where there is no such file. */
export type ReadFile = (path: string) => string | Uint8Array | undefined;

/**
 * `file` is a path that `readFile` understands, with / between folders. `extends: name` means name.yaml beside the extending file,
 * else in `modelsFolder`; with a slash or an ending it is a path relative to the extending file.
 */
export function loadSpec(file: string, readFile: ReadFile, modelsFolder?: string, parse: ParseSpec = parseSpec): LoadResult {
  const diagnostics: Diagnostic[] = [];
  const files: string[] = [];
  const said = new Set<string>();
  let reads = 0;
  const load = (path: string, content: string | Uint8Array, chain: readonly string[]): MapNode | undefined => {
    // Read again where two bases share it: its mistakes are those of the first time.
    const again = files.includes(path);
    if (!again) files.push(path);
    reads++;
    const parsed = parse(content, path);
    if (!again) diagnostics.push(...parsed.diagnostics);
    const root = parsed.document?.root;
    if (root?.kind !== 'map') return undefined;
    let base: MapNode | undefined;
    for (const { name, node, at } of extendsOf(root)) {
      const report = (code: 'E120' | 'E121', message: string): void => {
        const key = `${code} ${path} ${at}`;
        if (!said.has(key)) diagnostics.push(diagnosticAt(node.place, code, at, message));
        said.add(key);
      };
      const found = findBase(name, path);
      if (!found) report('E120', `no spec \`${shorten(name)}\` is beside ${path}${modelsFolder === undefined ? '' : ` or in ${modelsFolder}`}`);
      else if (found.path === path || chain.includes(found.path)) report('E121', `${[...chain, path, found.path].join(' extends ')}: a circle`);
      else if (chain.length >= DEEPEST_EXTENDS || reads >= MOST_FILES) report('E121', `specs extend each other more than ${DEEPEST_EXTENDS} deep, or ${MOST_FILES} in all`);
      else {
        const extended = load(found.path, found.content, [...chain, path]);
        if (extended) base = base ? mergeSpecs(base, extended) : extended;
      }
    }
    return base ? mergeSpecs(base, root) : root;
  };
  const findBase = (name: string, from: string): { path: string; content: string | Uint8Array } | undefined => {
    const folder = from.includes('/') ? from.slice(0, from.lastIndexOf('/') + 1) : '';
    const candidates = /[/.]/.test(name)
      ? [normalizePath(folder + name), normalizePath(`${folder}${name}.yaml`)]
      : [`${folder}${name}.yaml`, ...(modelsFolder === undefined ? [] : [`${modelsFolder.replace(/\/$/, '')}/${name}.yaml`])];
    for (const path of candidates) {
      const content = readFile(path);
      if (content !== undefined) return { path, content };
    }
    return undefined;
  };
  const content = readFile(file);
  if (content === undefined) {
    return { diagnostics: [{ code: 'E120', severity: 'error', path: '', message: `there is no file ${file}` }] };
  }
  const root = load(file, content, []);
  if (!root) return { diagnostics };
  const name = root.entries.get('name')?.value;
  const stem = file.slice(file.lastIndexOf('/') + 1).replace(/\.ya?ml$/, '');
  return { spec: { file, name: name?.kind === 'scalar' && typeof name.value === 'string' ? name.value : stem, root: withoutNulls(root), files }, diagnostics };
}

/** What a spec says about itself, without what it extends: enough to pick a spec for a model. */
export interface SpecHeader {
  readonly name?: string;
  readonly description?: string;
  readonly modelTypes: readonly string[];
  readonly ggufArchitectures: readonly string[];
}

export function readHeader(root: SourceNode): SpecHeader {
  const entry = (key: string): SourceNode | undefined => (root.kind === 'map' ? root.entries.get(key)?.value : undefined);
  const name = entry('name');
  const description = entry('description');
  return {
    ...(name?.kind === 'scalar' && typeof name.value === 'string' ? { name: name.value } : {}),
    ...(description?.kind === 'scalar' && typeof description.value === 'string' ? { description: description.value } : {}),
    modelTypes: textList(entry('model_types')),
    ggufArchitectures: textList(entry('gguf_architectures')),
  };
}

export function textList(node: SourceNode | undefined): string[] {
  if (node?.kind === 'scalar') return typeof node.value === 'string' ? [node.value] : [];
  if (node?.kind !== 'list') return [];
  return node.items.flatMap((item) => (item.kind === 'scalar' && typeof item.value === 'string' ? [item.value] : []));
}

function extendsOf(root: MapNode): { name: string; node: SourceNode; at: string }[] {
  const node = root.entries.get('extends')?.value;
  if (node?.kind === 'scalar') return typeof node.value === 'string' ? [{ name: node.value, node, at: '/extends' }] : [];
  if (node?.kind !== 'list') return [];
  return node.items.flatMap((item, index) => (item.kind === 'scalar' && typeof item.value === 'string'
    ? [{ name: item.value, node: item, at: pointer('/extends', index) }] : []));
}

function normalizePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '.' || (part === '' && parts.length > 0)) continue;
    if (part === '..' && parts.length > 0 && parts[parts.length - 1] !== '..' && parts[parts.length - 1] !== '') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}
