/**
 * The safetensors header: parsed by hand, since JSON.parse keeps the last of duplicate names in silence, and because a position
 * for every problem is wanted. Format: https://github.com/huggingface/safetensors#format
 */
import type { Diagnostic } from '../../compiler/diagnostics.ts';
import { elementBytes, isElementType, type ElementType } from './element.ts';
import { weightProblem } from './problem.ts';

/** One tensor of a file. `begin` and `end` are bytes of the file. */
export interface TensorInfo {
  readonly name: string;
  /** Element type, in the words of the file's format. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly file: string;
  readonly begin: number;
  readonly end: number;
}

/** A tensor of a safetensors file. */
export interface ElementTensor extends TensorInfo {
  readonly dtype: ElementType;
}

export interface Header {
  readonly tensors: readonly ElementTensor[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Most bytes of a header; the format's own limit. */
export const maxHeaderBytes = 100_000_000;
const maxReported = 50;

class Malformed extends Error {
  constructor(message: string, readonly at: number) { super(message); }
}

/** A cursor over JSON text that knows the three shapes a header is made of. */
class Cursor {
  at = 0;
  constructor(readonly text: string) {}

  private space(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c !== 32 && c !== 9 && c !== 10 && c !== 13) return;
      this.at++;
    }
  }
  fail(expected: string): never {
    const found = this.at < this.text.length ? `'${this.text[this.at] ?? ''}'` : 'the end of the header';
    throw new Malformed(`${expected} was expected, found ${found}`, this.at);
  }
  peek(): string {
    this.space();
    return this.text[this.at] ?? '';
  }
  accept(character: string): boolean {
    if (this.peek() !== character) return false;
    this.at++;
    return true;
  }
  expect(character: string): void {
    if (!this.accept(character)) this.fail(`'${character}'`);
  }
  string(): string {
    const start = this.at;
    this.expect('"');
    for (;;) {
      const c = this.text.charCodeAt(this.at++);
      if (Number.isNaN(c)) { this.at = this.text.length; this.fail(`'"'`); }
      if (c === 92) this.at++;
      if (c === 34) break;
    }
    const raw = this.text.slice(start, this.at).trimStart();
    try {
      return JSON.parse(raw) as string;
    } catch {
      throw new Malformed('not a valid string', start);
    }
  }
  integer(): number {
    this.space();
    const start = this.at;
    while (/[0-9]/.test(this.text[this.at] ?? '')) this.at++;
    const digits = this.text.slice(start, this.at);
    if (digits === '') this.fail('a whole number');
    const value = Number(digits);
    if (!Number.isSafeInteger(value) || (digits.length > 1 && digits.startsWith('0'))) throw new Malformed(`${digits.slice(0, 40)} is not a size`, start);
    return value;
  }
  integers(): number[] {
    const list: number[] = [];
    this.expect('[');
    if (this.accept(']')) return list;
    do list.push(this.integer()); while (this.accept(','));
    this.expect(']');
    return list;
  }
  /** Calls `entry` for each key of an object, standing behind the colon. */
  object(entry: (key: string, at: number) => void): void {
    this.expect('{');
    if (this.accept('}')) return;
    do {
      this.peek();
      const at = this.at;
      const key = this.string();
      this.expect(':');
      entry(key, at);
    } while (this.accept(','));
    this.expect('}');
  }
}

interface Entry { name: string; at: number; dtype: string; shape: number[]; offsets: number[] }

function parseEntries(text: string, report: (message: string, at: number, tensor?: string, duplicate?: boolean) => void):
{ entries: Entry[]; metadata: Map<string, string> } {
  const cursor = new Cursor(text);
  const entries: Entry[] = [];
  const metadata = new Map<string, string>();
  const seen = new Set<string>();
  if (text[0] !== '{') cursor.fail(`'{'`);
  cursor.object((name, at) => {
    if (seen.has(name)) report('is in the header twice', at, name, true);
    seen.add(name);
    if (name === '__metadata__') {
      cursor.object((key) => { metadata.set(key, cursor.string()); });
      return;
    }
    const entry: Partial<Entry> = { name, at };
    cursor.object((key, keyAt) => {
      if (Object.hasOwn(entry, key === 'data_offsets' ? 'offsets' : key)) report(`'${key}' is there twice`, keyAt, name, true);
      switch (key) {
        case 'dtype': entry.dtype = cursor.string(); break;
        case 'shape': entry.shape = cursor.integers(); break;
        case 'data_offsets': entry.offsets = cursor.integers(); break;
        default: throw new Malformed(`tensor '${name}': unknown key '${key}'`, keyAt);
      }
    });
    const { dtype, shape, offsets } = entry;
    if (dtype === undefined || shape === undefined || offsets === undefined) {
      const missing = [dtype === undefined && 'dtype', shape === undefined && 'shape', offsets === undefined && 'data_offsets'].filter(Boolean);
      report(`lacks ${missing.join(', ')}`, at, name);
    } else entries.push({ name, at, dtype, shape, offsets });
  });
  if (cursor.peek() !== '') cursor.fail('the end of the header');
  return { entries, metadata };
}

/**
 * Reads the header text of `file`, whose tensor data starts at byte `dataStart` and which has `fileBytes` bytes.
 * Gives all problems at once: syntax, duplicate names, unknown types, sizes that do not fit, holes, overlaps, trailing or missing bytes.
 */
export function parseHeader(text: string, file: string, dataStart: number, fileBytes: number): { header: Header; problems: Diagnostic[] } {
  const problems: Diagnostic[] = [];
  const add = (problem: Diagnostic): void => { if (problems.length < maxReported) problems.push(problem); };
  const column = (at: number): number => at + 9; // The header starts behind 8 bytes of length.
  let parsed: ReturnType<typeof parseEntries>;
  try {
    parsed = parseEntries(text, (message, at, tensor, duplicate) => {
      add(weightProblem(duplicate ? 'E725' : 'E724', file, message, { column: column(at), ...(tensor === undefined ? {} : { tensor }) }));
    });
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    add(weightProblem('E724', file, `the header is not valid: ${error.message}`, { column: column(error.at) }));
    return { header: { tensors: [], metadata: new Map() }, problems };
  }
  const tensors: ElementTensor[] = [];
  for (const { name, at, dtype, shape, offsets } of parsed.entries) {
    const where = { tensor: name, column: column(at) };
    const [begin, end] = offsets;
    if (!isElementType(dtype)) {
      add(weightProblem('E726', file, `element type '${dtype.slice(0, 40)}' is not known`, where));
    } else if (begin === undefined || end === undefined || offsets.length !== 2 || end < begin) {
      add(weightProblem('E724', file, `data_offsets [${offsets.slice(0, 4).join(', ')}] are not a begin and an end`, where));
    } else if (shape.length > 8) {
      add(weightProblem('E724', file, `has ${shape.length} dimensions, at most 8 are read`, where));
    } else {
      const bytes = shape.reduce((a, b) => a * b, elementBytes(dtype));
      if (bytes !== end - begin) {
        add(weightProblem('E727', file, `${dtype} [${shape.join(', ')}] takes ${bytes} bytes, its range [${begin}, ${end}] has ${end - begin}`, where));
      }
      if (dataStart + end > fileBytes) {
        add(weightProblem('E729', file, `its data ends at byte ${dataStart + end} but the file has ${fileBytes}`, { ...where, hint: 'the file is truncated' }));
      }
      tensors.push({ name, dtype, shape, file, begin: dataStart + begin, end: dataStart + end });
    }
  }
  if (problems.length === 0) checkLayout(tensors, file, dataStart, fileBytes, add);
  return { header: { tensors, metadata: parsed.metadata }, problems };
}

/** The ranges, sorted, must cover the data exactly: each begins where the last ended, and the last ends where the file does. */
function checkLayout(tensors: readonly TensorInfo[], file: string, dataStart: number, fileBytes: number, add: (d: Diagnostic) => void): void {
  const sorted = [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = dataStart;
  let previous = '';
  for (const { name, begin, end } of sorted) {
    if (begin > reached) add(weightProblem('E728', file, `${begin - reached} bytes before it belong to no tensor`, { tensor: name }));
    if (begin < reached) add(weightProblem('E728', file, `overlaps tensor '${previous}' by ${reached - begin} bytes`, { tensor: name }));
    if (end > reached) { reached = end; previous = name; }
  }
  if (reached < fileBytes) add(weightProblem('E729', file, `${fileBytes - reached} bytes behind the last tensor belong to none`));
}
