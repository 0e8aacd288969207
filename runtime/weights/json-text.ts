/**
 * A JSON reader that says where it stopped and which names are there twice, and that takes NaN and Infinity as Python writes them.
 * Slower than JSON.parse: for what JSON.parse refused, and for files where a name twice is an error.
 */

export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
  constructor(message: string, readonly line: number, readonly column: number) { super(message); }
}

export interface JsonDuplicate { readonly key: string; readonly line: number; readonly column: number }

const maxDepth = 200;
const words = new Map<string, unknown>([
  ['true', true], ['false', false], ['null', null], ['NaN', NaN], ['Infinity', Infinity], ['-Infinity', -Infinity],
]);

/** The value of `text` (objects without a prototype) and its duplicate names. Throws JsonSyntaxError. */
export function parseJson(text: string): { value: unknown; duplicates: JsonDuplicate[] } {
  let at = 0;
  const duplicates: JsonDuplicate[] = [];
  const place = (offset: number): { line: number; column: number } => {
    const before = text.slice(0, offset);
    return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
  };
  const fail = (message: string): never => {
    const { line, column } = place(at);
    throw new JsonSyntaxError(message, line, column);
  };
  const found = (): string => (at < text.length ? `found '${text[at] ?? ''}'` : 'the text ends');
  const space = (): void => { while (at < text.length && ' \t\n\r\ufeff'.includes(text[at] ?? '')) at++; };
  const string = (): string => {
    if (text[at] !== '"') fail(`a name or text in double quotes was expected, ${found()}`);
    let end = at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    if (end >= text.length) fail('a text has no closing quote');
    try {
      const value = JSON.parse(text.slice(at, end + 1)) as string;
      at = end + 1;
      return value;
    } catch {
      return fail('a text holds a line break or an unknown escape');
    }
  };
  const value = (depth: number): unknown => {
    if (depth > maxDepth) fail(`nested more than ${maxDepth} deep`);
    space();
    switch (text[at]) {
      case '{': {
        const object: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
        at++;
        space();
        if (text[at] === '}') { at++; return object; }
        for (;;) {
          space();
          const start = at;
          const key = string();
          if (Object.hasOwn(object, key)) duplicates.push({ key, ...place(start) });
          space();
          if (text[at] !== ':') fail(`':' was expected, ${found()}`);
          at++;
          object[key] = value(depth + 1);
          space();
          if (text[at] === '}') { at++; return object; }
          if (text[at] !== ',') fail(`',' or '}' was expected, ${found()}`);
          at++;
        }
      }
      case '[': {
        const list: unknown[] = [];
        at++;
        space();
        if (text[at] === ']') { at++; return list; }
        for (;;) {
          list.push(value(depth + 1));
          space();
          if (text[at] === ']') { at++; return list; }
          if (text[at] !== ',') fail(`',' or ']' was expected, ${found()}`);
          at++;
        }
      }
      case '"': return string();
      default: {
        const token = /^[-+.\w]+/.exec(text.slice(at, at + 400))?.[0] ?? '';
        if (words.has(token)) { at += token.length; return words.get(token); }
        if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(token)) fail(`a value was expected, ${token === '' ? found() : `found '${token.slice(0, 40)}'`}`);
        at += token.length;
        return Number(token);
      }
    }
  };
  const result = value(0);
  space();
  if (at < text.length) fail(`the end was expected, ${found()}`);
  return { value: result, duplicates };
}
