/** A spec's tree as YAML that reads like a written one: small maps on a line, comments where they stood. */
import { Document, isMap, isPair, isScalar, isSeq, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Node } from 'yaml';
import type { MapNode, Place, SourceNode } from '../source.ts';

export interface PrintOptions {
  /** Lines before the spec, without `#`. An empty one is an empty line of the comment. */
  readonly head: readonly string[];
  /** What stands behind a param, by name. */
  readonly paramNotes?: ReadonlyMap<string, string>;
}

const WIDEST_LINE = 120;
/** Maps that are always spread over lines. */
const SPREAD = new Set(['', 'params', 'layers', 'weights', 'huggingface', 'gguf', 'tensors', 'blocks', 'activations']);

/** The text of a spec. Comments that stand right above a key or an item in its file are kept, but for those of params and at a file's head. */
export function printSpec(root: MapNode, options: PrintOptions): string {
  const document = new Document();
  const contents = convert(root, { key: '', path: [], notes: options.paramNotes ?? new Map() });
  document.contents = contents;
  if (isMap(contents)) for (const item of contents.items.slice(1)) if (isPair(item) && isScalar(item.key) && isMap(item.value) && !item.value.flow) item.key.spaceBefore = true;
  const head = options.head.map((text) => (text === '' ? '#' : `# ${text}`)).join('\n');
  return `${head}${head === '' ? '' : '\n'}${document.toString({ lineWidth: WIDEST_LINE, minContentWidth: 0, flowCollectionPadding: true })}`;
}

interface Where { readonly key: string; readonly path: readonly string[]; readonly notes: ReadonlyMap<string, string> }

function convert(node: SourceNode, where: Where): Node {
  const inParams = where.path[0] === 'params';
  switch (node.kind) {
    case 'scalar': return new Scalar(node.value);
    case 'list': {
      const list = new YAMLSeq();
      list.items = node.items.map((item) => {
        const value = convert(item, { ...where, path: [...where.path, '-'] });
        const comment = inParams ? undefined : commentAbove(item.place);
        if (comment !== undefined) value.commentBefore = comment;
        return value;
      });
      list.flow = !list.items.some(isSpread) && (list.items.every((item) => isScalar(item)) || fits(list, where));
      return list;
    }
    case 'map': {
      const map = new YAMLMap();
      for (const [key, entry] of node.entries) {
        const value = convert(entry.value, { ...where, key, path: [...where.path, key] });
        const name = new Scalar(key);
        const comment = inParams || where.path.length === 0 ? undefined : commentAbove(entry.key);
        if (comment !== undefined) name.commentBefore = comment;
        const note = inParams && where.path.length === 1 ? where.notes.get(key) : undefined;
        if (note !== undefined) {
          if (isScalar(value)) value.comment = ` ${note}`;
          else name.commentBefore = ` ${note}`;
        }
        map.items.push(new Pair(name, value));
      }
      map.flow = !SPREAD.has(where.key) && !map.items.some(({ key, value }) => isSpread(key) || isSpread(value)) && fits(map, where);
      return map;
    }
    default: return node satisfies never;
  }
}

/** Whether a part of a collection keeps it from one line: a comment, or a collection that is spread itself. */
function isSpread(part: unknown): boolean {
  if (isScalar(part)) return part.commentBefore !== undefined || part.comment !== undefined;
  return (isMap(part) || isSeq(part)) && (part.flow !== true || part.commentBefore !== undefined);
}

/** Whether it is short enough for the rest of its line. Keys of two levels of braces in one are hard to read. */
function fits(collection: YAMLMap | YAMLSeq, where: Where): boolean {
  const text = JSON.stringify(collection);
  const [spaces, levels] = [where.path.length * 2 + where.key.length, depth(collection)];
  return levels <= 3 && text.replaceAll('"', '').length + spaces < (levels > 1 ? 100 : WIDEST_LINE);
}

function depth(node: unknown): number {
  const inner = isMap(node) ? node.items.map((item) => item.value) : isSeq(node) ? node.items : undefined;
  return inner ? 1 + Math.max(0, ...inner.map(depth)) : 0;
}

/** The comment lines right above a place, if it is the first on its line; not those that open a file. */
function commentAbove({ file, offset }: Place): string | undefined {
  const lineStart = file.text.lastIndexOf('\n', offset - 1) + 1;
  if (!/^[\s-]*$/.test(file.text.slice(lineStart, offset))) return undefined;
  const lines: string[] = [];
  let end = lineStart - 1;
  while (end > 0) {
    const start = file.text.lastIndexOf('\n', end - 1) + 1;
    const comment = /^\s*#(.*)$/.exec(file.text.slice(start, end));
    if (!comment || start === 0) break;
    lines.unshift(comment[1] ?? '');
    end = start - 1;
  }
  return lines.length === 0 ? undefined : lines.join('\n');
}
