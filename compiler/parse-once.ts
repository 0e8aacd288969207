import { parseSpec, type ParseResult } from './parse.ts';

export type ParseSpec = typeof parseSpec;

/** A parser for programs that read the same files again and again: it keeps each file's tree until the file's text changes. */
export function parserWithMemory(): ParseSpec {
  const known = new Map<string, { readonly content: string | Uint8Array; readonly result: ParseResult }>();
  return (content, name, what = 'a spec') => {
    const key = `${what} ${name}`;
    const last = known.get(key);
    if (last && same(last.content, content)) return last.result;
    const result = parseSpec(content, name, what);
    known.set(key, { content, result });
    return result;
  };
}

function same(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
