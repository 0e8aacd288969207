/**
 * The head of a GGUF file: counts, metadata, what its tensors are and where. Nothing is allocated by a number of the file that the
 * file's size does not bear out. Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import type { Diagnostic } from '../../../compiler/diagnostics.ts';
import type { TensorInfo } from '../header.ts';
import { weightProblem } from '../problem.ts';
import { ByteCursor, Malformed } from './cursor.ts';
import { checkGeneral, readAlignment } from './general.ts';
import { placeTensors } from './layout.ts';
import { Metadata, maxStringBytes, readScalar, valueBytes, valueTypes, type Entry, type ValueType } from './metadata.ts';
import type { GgmlType } from './types.ts';

export interface GgufTensor extends TensorInfo {
  readonly dtype: GgmlType;
}

export interface GgufHead {
  readonly metadata: Metadata;
  readonly tensors: readonly GgufTensor[];
}

/** A tensor as its file describes it. */
export interface TensorEntry {
  readonly name: string;
  readonly at: number;
  /** Sizes, that of a row first. */
  readonly sizes: readonly bigint[];
  readonly type: number;
  readonly offset: bigint;
}

const maxKeys = 100_000;
const maxTensors = 100_000;
const maxKeyBytes = 65_535;
/** ggml's names have 63 bytes at most. */
const maxNameBytes = 63;
const maxReported = 50;
/** Least bytes of a key with its value, and of a tensor's description. */
const leastKeyBytes = 14;
const leastTensorBytes = 33;

const oldMagic = new Set(['ggml', 'ggjt', 'ggla', 'ggmf', 'lmgg', 'tjgg', 'algg', 'fmgg']);

function checkMagic(cursor: ByteCursor): void {
  const magic = String.fromCharCode(cursor.u8(), cursor.u8(), cursor.u8(), cursor.u8());
  if (magic !== 'GGUF') {
    if (oldMagic.has(magic)) throw new Malformed(`it begins with '${magic}': a file older than GGUF, which has to be converted from its source again`, 0);
    if (magic === 'vers') throw new Malformed(`it is not a GGUF file but a Git LFS pointer to one: fetch it with git lfs pull`, 0);
    throw new Malformed(`it begins with ${JSON.stringify(magic)} where a GGUF file has "GGUF"`, 0);
  }
  const version = cursor.u32();
  if (version === 2 || version === 3) return;
  if (version !== 0 && (version & 0xffff) === 0) throw new Malformed('its numbers are big-endian, only little-endian files are read', 4, 'E737');
  throw new Malformed(`it is of GGUF version ${version}, versions 2 and 3 are read`, 4, 'E737');
}

function count(cursor: ByteCursor, what: string, most: number, least: number): number {
  const at = cursor.at;
  const value = cursor.u64();
  const room = Math.min(most, Math.floor(cursor.fileBytes / least));
  if (value > BigInt(room)) {
    throw new Malformed(`it would have ${value} ${what}, ${value > BigInt(most) ? `at most ${most} are allowed` : `but the file has only ${cursor.fileBytes} bytes`}`, at, 'E723');
  }
  return Number(value);
}

function valueType(number: number, what: string, at: number): ValueType {
  const type = valueTypes[number];
  if (type === undefined) throw new Malformed(`${what} is of type ${number}, which is not known`, at);
  return type;
}

/** Steps over an array's elements, which stay bytes. */
function readArray(cursor: ByteCursor, what: string, at: number): Entry {
  const of = valueType(cursor.u32(), `an element of ${what}`, cursor.at - 4);
  if (of === 'array') throw new Malformed(`${what} is an array of arrays, which is not supported`, cursor.at - 4);
  const elements = cursor.u64();
  const size = valueBytes[of];
  if (elements * BigInt(size) > BigInt(cursor.fileBytes - cursor.at)) {
    throw new Malformed(`${what} would have ${elements} elements, but only ${cursor.fileBytes - cursor.at} bytes follow`, cursor.at - 8, 'E723');
  }
  const begin = cursor.at;
  const length = Number(elements);
  if (of === 'string') cursor.skipStrings(length, maxStringBytes, what);
  else cursor.take(length * size);
  if (of === 'bool' && cursor.bytes.subarray(begin, cursor.at).some((byte) => byte > 1)) throw new Malformed(`${what} holds a bool that is neither 0 nor 1`, begin);
  return { type: 'array', of, count: length, begin, at };
}

function readTensor(cursor: ByteCursor, index: number): TensorEntry {
  const at = cursor.at;
  cursor.what = `tensor ${index}`;
  const name = cursor.name(maxNameBytes, `the name of tensor ${index}`);
  const axes = cursor.u32();
  if (axes < 1 || axes > 4) throw new Malformed(`tensor '${name}' would have ${axes} dimensions, from 1 to 4 are allowed`, cursor.at - 4);
  const sizes = Array.from({ length: axes }, () => cursor.u64());
  return { name, at, sizes, type: cursor.u32(), offset: cursor.u64() };
}

/**
 * Reads the head from `bytes`, the beginning of `file`, which has `fileBytes`. Throws OutOfBytes where more bytes are needed, Malformed
 * where it cannot go on. Everything else that is wrong is in `problems`.
 */
export function parseHead(bytes: Uint8Array, file: string, fileBytes: number): { head: GgufHead; problems: Diagnostic[] } {
  const problems: Diagnostic[] = [];
  const add = (problem: Diagnostic): void => { if (problems.length < maxReported) problems.push(problem); };
  const cursor = new ByteCursor(bytes, fileBytes);
  checkMagic(cursor);
  const tensorCount = count(cursor, 'tensors', maxTensors, leastTensorBytes);
  const keyCount = count(cursor, 'metadata keys', maxKeys, leastKeyBytes);
  const entries = new Map<string, Entry>();
  for (let i = 0; i < keyCount; i++) {
    const at = cursor.at;
    cursor.what = `metadata key ${i}`;
    const key = cursor.name(maxKeyBytes, cursor.what);
    cursor.what = `the metadata '${key.slice(0, 80)}'`;
    const type = valueType(cursor.u32(), cursor.what, cursor.at - 4);
    const entry: Entry = type === 'array' ? readArray(cursor, cursor.what, at) : { type, value: readScalar(cursor, type, cursor.what), at };
    if (entries.has(key)) add(weightProblem('E725', file, `the metadata key '${key}' is there twice`, { column: at + 1 }));
    else entries.set(key, entry);
  }
  const described = new Map<string, TensorEntry>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensor(cursor, i);
    if (described.has(tensor.name)) add(weightProblem('E725', file, 'is there twice', { tensor: tensor.name, column: tensor.at + 1 }));
    else described.set(tensor.name, tensor);
  }
  const alignment = readAlignment(entries, file, add);
  const tensors = alignment === undefined ? [] : placeTensors([...described.values()], { file, fileBytes, headEnd: cursor.at, alignment, add, whole: problems.length === 0 });
  const shapes = new Map(tensors.map((tensor) => [tensor.name, tensor.shape]));
  const metadata = new Metadata(file, bytes.slice(0, cursor.at), entries, shapes);
  checkGeneral(metadata, tensors, add);
  return { head: { metadata, tensors }, problems };
}
