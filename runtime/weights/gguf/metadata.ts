/** The key-value part of a GGUF file. Arrays stay bytes until someone asks for them. */
import { weightError, weightProblem } from '../problem.ts';
import { ByteCursor, Malformed } from './cursor.ts';

export type Scalar = number | bigint | boolean | string;
export type MetadataValue = Scalar | readonly Scalar[];

/** Type numbers of values in a file, in their order there. */
export const valueTypes = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'float32', 'bool', 'string', 'array', 'uint64', 'int64', 'float64'] as const;
export type ValueType = (typeof valueTypes)[number];

/** Bytes of a value; of a string at least. */
export const valueBytes: Readonly<Record<ValueType, number>> = {
  uint8: 1, int8: 1, uint16: 2, int16: 2, uint32: 4, int32: 4, float32: 4, bool: 1, string: 8, array: 12, uint64: 8, int64: 8, float64: 8,
};

/** Most bytes of one text. */
export const maxStringBytes = 64 << 20;

/** A number of 64 bits as a number where that is exact. */
const plain = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

export function readScalar(cursor: ByteCursor, type: Exclude<ValueType, 'array'>, what: string): Scalar {
  switch (type) {
    case 'uint8': return cursor.u8();
    case 'int8': return cursor.i8();
    case 'uint16': return cursor.u16();
    case 'int16': return cursor.i16();
    case 'uint32': return cursor.u32();
    case 'int32': return cursor.i32();
    case 'uint64': return plain(cursor.u64());
    case 'int64': return plain(cursor.i64());
    case 'float32': return cursor.f32();
    case 'float64': return cursor.f64();
    case 'bool': {
      const value = cursor.u8();
      if (value > 1) throw new Malformed(`${what} is a bool of ${value}, it must be 0 or 1`, cursor.at - 1);
      return value === 1;
    }
    case 'string': return cursor.string(maxStringBytes, what);
    default: throw type satisfies never;
  }
}

/** A value, or where in the head an array's elements lie. */
export type Entry =
  | { readonly type: Exclude<ValueType, 'array'>; readonly value: Scalar; readonly at: number }
  | { readonly type: 'array'; readonly of: Exclude<ValueType, 'array'>; readonly count: number; readonly begin: number; readonly at: number };

export class Metadata {
  private readonly arrays = new Map<string, readonly Scalar[]>();

  /** `head` is the beginning of `file`, in which the entries' positions are; `shapes` are those of the file's tensors. */
  constructor(
    readonly file: string, private readonly head: Uint8Array, private readonly entries: ReadonlyMap<string, Entry>,
    private readonly shapes: ReadonlyMap<string, readonly number[]>,
  ) {}

  get architecture(): string | undefined {
    const value = this.get('general.architecture');
    return typeof value === 'string' ? value : undefined;
  }

  keys(): Iterable<string> { return this.entries.keys(); }
  has(key: string): boolean { return this.entries.has(key); }

  /** A value's type; of an array with that of its elements. Undefined where there is no such key. */
  typeOf(key: string): string | undefined {
    const entry = this.entries.get(key);
    return entry?.type === 'array' ? `array of ${entry.of}` : entry?.type;
  }

  /** Elements of an array, without reading them. */
  lengthOf(key: string): number | undefined {
    const entry = this.entries.get(key);
    return entry?.type === 'array' ? entry.count : undefined;
  }

  /** A key's value. Numbers of 64 bits beyond 2^53 are bigints. Throws PeelError (exit code 11) for text in an array that is not UTF-8. */
  get(key: string): MetadataValue | undefined {
    const entry = this.entries.get(key);
    if (entry?.type !== 'array') return entry?.value;
    const known = this.arrays.get(key);
    if (known) return known;
    const values = this.elements(key, entry.of, entry.begin, entry.count);
    this.arrays.set(key, values);
    return values;
  }

  private elements(key: string, type: Exclude<ValueType, 'array'>, begin: number, count: number): Scalar[] {
    const cursor = new ByteCursor(this.head, this.head.length);
    cursor.at = begin;
    const values = new Array<Scalar>(count);
    try {
      if (type === 'string') {
        const text = Buffer.from(this.head.buffer, this.head.byteOffset, this.head.byteLength);
        // The lengths have been checked when the head was read.
        for (let i = 0, at = begin; i < count; i++) {
          const end = at + 8 + text.readUInt32LE(at);
          const value = text.toString('utf8', at + 8, end);
          // The character for what cannot be decoded may also stand there itself.
          values[i] = value.includes('\ufffd') ? cursor.text(at + 8, end, `element ${i} of '${key}'`) : value;
          at = end;
        }
      } else for (let i = 0; i < count; i++) values[i] = readScalar(cursor, type, `element ${i} of '${key}'`);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      throw weightError(weightProblem(error.code, this.file, error.message, { column: error.at + 1 }));
    }
    return values;
  }

  /** What params read: values by key, each read when it is asked for, and the tensors' shapes, that of rows last. */
  sources(): { gguf: Readonly<Record<string, unknown>>; tensors: Readonly<Record<string, readonly number[]>> } {
    const gguf = Object.create(null) as Record<string, unknown>;
    for (const key of this.entries.keys()) Object.defineProperty(gguf, key, { get: () => this.get(key), enumerable: true });
    return { gguf, tensors: Object.assign(Object.create(null), Object.fromEntries(this.shapes)) as Record<string, readonly number[]> };
  }

  /** The same, with the shapes of the tensors of all files of a split model. */
  withShapes(shapes: ReadonlyMap<string, readonly number[]>): Metadata {
    return new Metadata(this.file, this.head, this.entries, shapes);
  }

  /** Byte of the file, from 1, at which a key stands. */
  columnOf(key: string): number { return (this.entries.get(key)?.at ?? 0) + 1; }
}
