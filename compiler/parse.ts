/** YAML text -> a tree with places. Everything a hostile file can do is refused here, before anything recurses over it. */
import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, ErrorCode, Node as YamlNode } from 'yaml';
import type { Diagnostic } from './diagnostics.ts';
import { scan } from './scan.ts';
import { diagnosticAt, pointer, sourceFile } from './source.ts';
import type { MapEntry, Place, SourceFile, SourceNode } from './source.ts';

const LARGEST_FILE = 8 * 1024 * 1024;
const DEEPEST_NESTING = 64;
/** Most keys and values as written. The composer takes about 10 microseconds for each. */
const MOST_SCALARS = 50_000;
/** Most nodes after aliases are expanded. */
const MOST_NODES = 100_000;
const RESERVED_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
/** `peel: 1` and the like in every message would not help: the parser's codes in our words. */
const SYNTAX: Partial<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias cannot carry an anchor or a tag',
  BAD_ALIAS: 'an alias name is malformed',
  BAD_DQ_ESCAPE: 'this escape is not known in double quotes; use single quotes for literal text',
  BAD_INDENT: 'the indentation does not fit the lines around it, or a bracket before it is not closed',
  BAD_SCALAR_START: 'a value cannot start with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a key must be on one line of its own; an expression with a colon (a ? b : c) needs quotes',
  BLOCK_IN_FLOW: 'an indented block cannot stand inside [ ] or { }',
  MISSING_CHAR: 'a closing bracket, a quote, a comma or a colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key must be on a single line; is a colon or a quote missing?',
  MULTIPLE_ANCHORS: 'a node can have one anchor only',
  TAB_AS_INDENT: 'tabs cannot indent; use spaces',
  UNEXPECTED_TOKEN: 'this does not belong here',
};

export interface ParsedSpec {
  readonly file: SourceFile;
  readonly root: SourceNode;
}
export interface ParseResult {
  /** Absent where the text has no usable structure. */
  readonly document?: ParsedSpec;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Parses one file. `text` as bytes is checked to be UTF-8. Never throws; takes time linear in the length of the text. `what` is what messages call
 * the file.
 */
export function parseSpec(text: string | Uint8Array, name: string, what: 'a spec' | 'a test file' = 'a spec'): ParseResult {
  const blank = sourceFile(name, '');
  const size = typeof text === 'string' ? text.length : text.byteLength;
  if (size > LARGEST_FILE) {
    const message = `the file has ${size} bytes, at most ${LARGEST_FILE} are read`;
    return { diagnostics: [diagnosticAt({ file: blank, offset: 0, length: 1 }, 'E109', '', message)] };
  }
  let decoded: string;
  try {
    decoded = typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text);
  } catch {
    return { diagnostics: [diagnosticAt({ file: blank, offset: 0, length: 1 }, 'E101', '', 'the file is not valid UTF-8')] };
  }
  const file = sourceFile(name, decoded.startsWith('\uFEFF') ? decoded.slice(1) : decoded);
  const refused = refuse(file, what);
  if (refused.length > 0) return { diagnostics: refused };
  const yaml = parseDocument(file.text, {
    version: '1.2', schema: 'core', merge: false, stringKeys: true, uniqueKeys: false, strict: true, prettyErrors: false, logLevel: 'silent',
  });
  const diagnostics = [...yaml.errors, ...yaml.warnings].map((error) => {
    const place = { file, offset: error.pos[0], length: Math.max(1, error.pos[1] - error.pos[0]) };
    return diagnosticAt(place, 'E102', '', SYNTAX[error.code] ?? firstSentence(error.message));
  });
  if (diagnostics.length > 0) return { diagnostics };
  const builder = new TreeBuilder(file, yaml, files(what));
  const root = builder.build(yaml.contents, '');
  if (!root || root.kind !== 'map') {
    const place = root?.place ?? { file, offset: 0, length: 1 };
    builder.diagnostics.push(diagnosticAt(place, 'E110', '', `${what} is a map that starts with \`peel: 1\``, undefined));
    return { diagnostics: builder.diagnostics };
  }
  return { document: { file, root }, diagnostics: builder.diagnostics };
}

/** `a spec` -> `specs`. */
function files(what: string): string {
  return `${what.slice(2)}s`;
}

function firstSentence(message: string): string {
  return (message.split('\n')[0] ?? message).replace(/[.:]?\s*$/, '');
}

/** What must be refused before the composer, which recurses, sees the text. */
function refuse(file: SourceFile, what: string): Diagnostic[] {
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufeff\ufffe\uffff]/.exec(file.text);
  if (control) {
    const code = (control[0].codePointAt(0) ?? 0).toString(16).padStart(4, '0').toUpperCase();
    return [diagnosticAt({ file, offset: control.index, length: 1 }, 'E101', '', `the control character U+${code} cannot be in ${what}`)];
  }
  return scan(file.text, { nesting: DEEPEST_NESTING, scalars: MOST_SCALARS }).map(({ kind, offset, length }) => {
    const place = { file, offset, length: Math.max(1, length) };
    switch (kind) {
      case 'deep': return diagnosticAt(place, 'E103', '', `lists and maps are nested more than ${DEEPEST_NESTING} deep here`);
      case 'many': return diagnosticAt(place, 'E109', '', `the file holds more than ${MOST_SCALARS} keys and values`);
      case 'directive': return diagnosticAt(place, 'E105', '', `directives (%) are not used in ${files(what)}`);
      case 'tag': return diagnosticAt(place, 'E105', '', `tags (!) are not used in ${files(what)}`, 'an expression that starts with ! needs quotes');
      case 'document': return diagnosticAt(place, 'E105', '', `${what} is one document, but another one starts here`);
      default: return kind satisfies never;
    }
  });
}

/** A node, and how much it is with all aliases expanded. */
interface Converted {
  readonly node: SourceNode;
  readonly size: number;
  readonly depth: number;
}

class TreeBuilder {
  readonly diagnostics: Diagnostic[] = [];
  private readonly anchors = new Map<string, Converted | 'open'>();
  private tooLarge = false;

  constructor(private readonly file: SourceFile, private readonly yaml: Document.Parsed, private readonly files: string) {}

  build(node: YamlNode | null | undefined, path: string): SourceNode | undefined {
    return this.convert(node, path)?.node;
  }

  private convert(node: unknown, path: string): Converted | undefined {
    const place = this.place(node);
    if (isAlias(node)) {
      const target = this.anchors.get(node.source);
      if (target === 'open') this.report(place, 'E107', path, `the alias *${node.source} stands inside the node it refers to`);
      else if (!target) this.report(place, 'E107', path, `no anchor &${node.source} comes before this alias`);
      else return target;
      return undefined;
    }
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.anchors.set(anchor, 'open');
    const result = this.convertContent(node, path, place);
    if (anchor !== undefined) {
      if (result) this.anchors.set(anchor, result);
      else this.anchors.delete(anchor);
    }
    return result;
  }

  private convertContent(node: unknown, path: string, place: Place): Converted | undefined {
    if (isMap(node)) {
      const entries = new Map<string, MapEntry>();
      let size = 1;
      let depth = 0;
      for (const pair of node.items) {
        const keyPlace = this.place(pair.key);
        const key = this.keyText(pair.key, keyPlace, path);
        if (key === undefined) continue;
        const earlier = entries.get(key);
        if (earlier) {
          if (this.diagnostics.length >= 50) continue;
          const line = this.lineOf(earlier.key);
          this.report(keyPlace, 'E104', pointer(path, key), `the key \`${shorten(key)}\` occurs twice in this map; it is first given on line ${line}`);
          continue;
        }
        const value = pair.value === null
          ? { node: { kind: 'scalar', value: null, place: keyPlace } as const, size: 1, depth: 0 }
          : this.convert(pair.value, pointer(path, key));
        if (!value) continue;
        size += value.size;
        depth = Math.max(depth, value.depth);
        entries.set(key, { key: keyPlace, value: value.node });
      }
      return this.bounded({ kind: 'map', entries, place }, size, depth + 1, path);
    }
    if (isSeq(node)) {
      const items: SourceNode[] = [];
      let size = 1;
      let depth = 0;
      for (const [index, item] of node.items.entries()) {
        const value = this.convert(item, pointer(path, index));
        if (!value) continue;
        size += value.size;
        depth = Math.max(depth, value.depth);
        items.push(value.node);
      }
      return this.bounded({ kind: 'list', items, place }, size, depth + 1, path);
    }
    if (isScalar(node)) return this.scalar(node.value, node.source, path, place);
    return { node: { kind: 'scalar', value: null, place }, size: 1, depth: 0 };
  }

  private scalar(value: unknown, source: string | undefined, path: string, place: Place): Converted | undefined {
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) {
        this.report(place, 'E106', path, `${shorten(source ?? String(value))} is not a finite number`);
        return undefined;
      }
      if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[-+]?\d+$|^0[xo]/.test(source ?? '')) {
        this.report(place, 'E106', path, `${shorten(source ?? '')} is beyond 2^53 - 1, where whole numbers lose digits`);
        return undefined;
      }
      return { node: { kind: 'scalar', value, place }, size: 1, depth: 0 };
    }
    if (typeof value === 'string') {
      const first = this.file.text[place.offset];
      const textOffset = place.offset + (first === '"' || first === "'" ? 1 : 0);
      const literal = this.file.text.startsWith(value, textOffset);
      return { node: { kind: 'scalar', value, place, ...(literal ? { textOffset } : {}) }, size: 1, depth: 0 };
    }
    return { node: { kind: 'scalar', value: typeof value === 'boolean' ? value : null, place }, size: 1, depth: 0 };
  }

  private keyText(key: unknown, place: Place, path: string): string | undefined {
    if (!isScalar(key)) {
      this.report(place, 'E102', path, 'a key must be plain text');
      return undefined;
    }
    const text = String(key.value);
    if (text === '<<') this.report(place, 'E105', path, `merge keys (<<) are not used in ${this.files}${this.files === 'specs' ? '; use `extends`' : '; use `defaults`'}`);
    else if (RESERVED_KEYS.has(text)) this.report(place, 'E108', path, `the key \`${text}\` is reserved`);
    else return text;
    return undefined;
  }

  private bounded(node: SourceNode, size: number, depth: number, path: string): Converted | undefined {
    if (size <= MOST_NODES && depth <= DEEPEST_NESTING) return { node, size, depth };
    const what = size > MOST_NODES ? `to more than ${MOST_NODES} values` : `to lists and maps nested more than ${DEEPEST_NESTING} deep`;
    if (!this.tooLarge) this.report(node.place, 'E107', path, `the document's aliases expand ${what}`);
    this.tooLarge = true;
    return undefined;
  }

  private place(node: unknown): Place {
    const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined;
    if (!range) return { file: this.file, offset: this.yaml.range[0], length: 1 };
    return { file: this.file, offset: range[0], length: Math.max(1, range[1] - range[0]) };
  }

  private lineOf(place: Place): number {
    return diagnosticAt(place, 'E104', '', '').location?.line ?? 1;
  }

  private report(place: Place, code: Parameters<typeof diagnosticAt>[1], path: string, message: string): void {
    if (this.diagnostics.length < 50) this.diagnostics.push(diagnosticAt(place, code, path, message));
  }
}

export function shorten(text: string, limit = 60): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}
