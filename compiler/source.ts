/** The tree of a YAML file with the place of every node. It survives merging (`extends`): each node keeps the file it came from. */
import type { Diagnostic, Location, Severity } from './diagnostics.ts';
import type { DiagnosticCode } from './diagnostic-codes.ts';

export interface SourceFile {
  readonly name: string;
  readonly text: string;
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[];
}

/** A stretch of a file, in UTF-16 units. */
export interface Place {
  readonly file: SourceFile;
  readonly offset: number;
  readonly length: number;
}

export type ScalarValue = string | number | boolean | null;
export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: ScalarValue;
  readonly place: Place;
  /** Where the text of a string begins in the file, if the file spells it character by character (no escapes, no folding). */
  readonly textOffset?: number;
}
export interface MapEntry {
  readonly key: Place;
  readonly value: SourceNode;
}
export interface MapNode {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, MapEntry>;
  readonly place: Place;
}
export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly SourceNode[];
  readonly place: Place;
}
export type SourceNode = ScalarNode | MapNode | ListNode;

export function sourceFile(name: string, text: string): SourceFile {
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  return { name, text, lineStarts };
}

/** Line (from 1) that holds an offset. */
function lineOf(file: SourceFile, offset: number): number {
  let low = 0;
  let high = file.lineStarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((file.lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low + 1;
}

/** Longest part of a line that is quoted under a message. */
const LONGEST_EXCERPT = 400;

export function locate(place: Place): { readonly location: Location; readonly sourceLine?: string } {
  const { file, offset, length } = place;
  const line = lineOf(file, offset);
  const start = file.lineStarts[line - 1] ?? 0;
  const end = file.lineStarts[line];
  const text = file.text.slice(start, end === undefined ? undefined : end - 1).replace(/\r$/, '');
  const location = { file: file.name, line, column: offset - start + 1, offset, length };
  return text.length <= LONGEST_EXCERPT ? { location, sourceLine: text } : { location };
}

export function diagnosticAt(
  place: Place | undefined, code: DiagnosticCode, path: string, message: string, hint?: string, severity: Severity = 'error',
): Diagnostic {
  return { code, severity, path, message, ...(place ? locate(place) : {}), ...(hint === undefined ? {} : { hint }) };
}

/** One step further along a JSON pointer (RFC 6901). */
export function pointer(path: string, key: string | number): string {
  return `${path}/${String(key).replace(/~/g, '~0').replace(/\//g, '~1')}`;
}

export function pointerSegments(path: string): string[] {
  return path === '' ? [] : path.slice(1).split('/').map((segment) => segment.replace(/~1/g, '/').replace(/~0/g, '~'));
}

export function child(node: SourceNode, key: string): SourceNode | undefined {
  switch (node.kind) {
    case 'map': return node.entries.get(key)?.value;
    case 'list': return /^\d{1,9}$/.test(key) ? node.items[Number(key)] : undefined;
    case 'scalar': return undefined;
    default: return node satisfies never;
  }
}

/** The place of the deepest node that a pointer reaches, and the place of the key that leads there. */
export function placeOf(root: SourceNode, path: string): { readonly value: Place; readonly key?: Place } {
  let node = root;
  let key: Place | undefined;
  for (const segment of pointerSegments(path)) {
    const entry = node.kind === 'map' ? node.entries.get(segment) : undefined;
    const next = child(node, segment);
    if (!next) break;
    key = entry?.key;
    node = next;
  }
  return key ? { value: node.place, key } : { value: node.place };
}

export function nodeAt(root: SourceNode, path: string): SourceNode | undefined {
  let node: SourceNode | undefined = root;
  for (const segment of pointerSegments(path)) {
    if (!node) return undefined;
    node = child(node, segment);
  }
  return node;
}

export type PlainValue = ScalarValue | readonly PlainValue[] | { readonly [key: string]: PlainValue };

/** The value as plain data. The parser bounds depth, size and key names, so this neither overflows nor meets `__proto__`. */
export function plainValue(node: SourceNode): PlainValue {
  switch (node.kind) {
    case 'scalar': return node.value;
    case 'list': return node.items.map(plainValue);
    case 'map': {
      const result: Record<string, PlainValue> = {};
      for (const [key, entry] of node.entries) result[key] = plainValue(entry.value);
      return result;
    }
    default: return node satisfies never;
  }
}
