/** GGUF files: the head at once, in pieces that grow as far as it reaches, tensor data by range when asked. */
import { closeSync, openSync, readSync, statSync, type promises as fs } from 'node:fs';
import { InternalError } from '../../../compiler/diagnostics.ts';
import { formatBlock, type WeightFormat } from '../../../compiler/formats.ts';
import { widenInPlace } from '../element.ts';
import { openRegular, readExactly } from '../files.ts';
import type { TensorInfo } from '../header.ts';
import { weightError, weightProblem } from '../problem.ts';
import type { TensorSource } from '../safetensors.ts';
import { convertIQ4_NL, convertMXFP4, convertQ3_K, convertQ5_0, fitsQ8_0 } from './convert.ts';
import { Malformed, OutOfBytes } from './cursor.ts';
import { decode, halfValues, plainType } from './decode.ts';
import { parseHead, type GgufHead, type GgufTensor } from './head.ts';
import type { Metadata } from './metadata.ts';
import { convertTQ1_0, convertTQ2_0 } from './ternary.ts';
import { ggmlBlock } from './types.ts';

const firstPiece = 2 << 20;
/** Vocabularies make heads of some 20 MB. */
const maxHeadBytes = 96 << 20;
/** Bytes read at a time where elements are converted. */
const pieceBytes = 4 << 20;

/** Whether a file's name, or else its first bytes, say that it is a GGUF file. */
export function isGguf(file: string): boolean {
  if (/\.gguf$/i.test(file)) return true;
  try {
    // The kind is looked at first, since opening a FIFO would wait for a writer.
    if (!statSync(file).isFile()) return false;
    const opened = openSync(file, 'r');
    try {
      const magic = Buffer.alloc(4);
      return readSync(opened, magic, 0, 4, 0) === 4 && magic.toString('latin1') === 'GGUF';
    } finally {
      closeSync(opened);
    }
  } catch {
    return false;
  }
}

async function readHead(handle: fs.FileHandle, file: string, size: number): Promise<GgufHead> {
  let bytes = new Uint8Array(0);
  let wanted = Math.min(size, firstPiece);
  for (;;) {
    const longer = new Uint8Array(wanted);
    longer.set(bytes);
    await readExactly(handle, file, longer.subarray(bytes.length), bytes.length);
    bytes = longer;
    try {
      const { head, problems } = parseHead(bytes, file, size);
      if (problems.length > 0) throw weightError(...problems);
      return head;
    } catch (error) {
      if (error instanceof Malformed) throw weightError(weightProblem(error.code, file, error.message, { column: error.at + 1 }));
      if (!(error instanceof OutOfBytes)) throw error;
      if (error.needed > BigInt(size)) {
        throw weightError(weightProblem('E723', file, `${error.what} reaches to byte ${error.needed} but the file has ${size}`, { hint: 'the file is truncated' }));
      }
      if (error.needed > BigInt(maxHeadBytes)) {
        throw weightError(weightProblem('E723', file, `${error.what} reaches to byte ${error.needed}, at most ${maxHeadBytes} are read before the tensors`));
      }
      wanted = Math.min(size, maxHeadBytes, Math.max(Number(error.needed), bytes.length * 4));
    }
  }
}

/** The head alone. Throws PeelError (exit codes 11 and 14) with every problem of the file. */
export async function readGgufHead(file: string): Promise<GgufHead> {
  const { handle, size } = await openRegular(file);
  try {
    return await readHead(handle, file, size);
  } finally {
    await handle.close();
  }
}

/** A GGUF file, opened. */
export interface GgufSource extends TensorSource {
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

class GgufFile implements GgufSource {
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  private halves: Float32Array | undefined;
  /** MXFP4 tensors whose scales all are f16, once `prepare` has looked. */
  private readonly fitting = new Map<string, boolean>();

  constructor(private readonly handle: fs.FileHandle, readonly metadata: Metadata, tensors: readonly GgufTensor[]) {
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  private own({ name }: TensorInfo): GgufTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new InternalError('weights', `tensor '${name}' is of another file`);
    return tensor;
  }

  /** Calls `visit` with the raw blocks `from` to `to` of a tensor, some at a time. */
  private async forBlocks(info: GgufTensor, from: number, to: number, visit: (raw: Uint8Array, block: number) => boolean | void): Promise<void> {
    const { bytes } = ggmlBlock(info.dtype);
    const step = Math.max(1, Math.floor(pieceBytes / bytes));
    const buffer = new Uint8Array(Math.min(step, to - from) * bytes);
    for (let block = from; block < to; block += step) {
      const raw = buffer.subarray(0, Math.min(step, to - block) * bytes);
      await readExactly(this.handle, info.file, raw, info.begin + block * bytes);
      if (visit(raw, block) === false) return;
    }
  }

  async readInto(tensor: TensorInfo, from: number, target: Float32Array): Promise<void> {
    if (target.length === 0) return;
    const info = this.own(tensor);
    const { elements, bytes } = ggmlBlock(info.dtype);
    const plain = plainType(info.dtype);
    if (plain !== undefined && bytes <= 4) {
      // Narrow elements go to the end of the destination and widen in place: no second buffer.
      const raw = new Uint8Array(target.buffer, target.byteOffset + target.byteLength - target.length * bytes, target.length * bytes);
      await readExactly(this.handle, info.file, raw, info.begin + from * bytes);
      widenInPlace(plain, target);
      return;
    }
    const halves = this.halfValues();
    const firstBlock = Math.floor(from / elements);
    const lastBlock = Math.ceil((from + target.length) / elements);
    await this.forBlocks(info, firstBlock, lastBlock, (raw, block) => {
      const begin = block * elements - from;
      const count = (raw.length / bytes) * elements;
      if (begin >= 0 && begin + count <= target.length) {
        decode(info.dtype, raw, target.subarray(begin, begin + count), halves);
        return;
      }
      // A range that begins or ends inside a block.
      const whole = new Float32Array(count);
      decode(info.dtype, raw, whole, halves);
      const skip = Math.max(0, -begin);
      target.set(whole.subarray(skip, Math.min(count, target.length - begin)), begin + skip);
    });
  }

  private halfValues(): Float32Array {
    this.halves ??= halfValues();
    return this.halves;
  }

  async prepare(): Promise<void> {
    for (const info of this.tensors.values()) {
      if (info.dtype !== 'MXFP4' || this.fitting.has(info.name)) continue;
      let fits = true;
      await this.forBlocks(info, 0, (info.end - info.begin) / ggmlBlock('MXFP4').bytes, (raw) => { fits = fitsQ8_0(raw); return fits; });
      this.fitting.set(info.name, fits);
    }
  }

  formatOf(tensor: TensorInfo): WeightFormat {
    const info = this.own(tensor);
    return info.dtype === 'MXFP4' && this.fitting.get(info.name) === false ? 'f32' : ggmlBlock(info.dtype).kept;
  }

  async readStored(tensor: TensorInfo, from: number, count: number, target: Uint8Array): Promise<void> {
    const info = this.own(tensor);
    const { elements, bytes } = ggmlBlock(info.dtype);
    const format = this.formatOf(info);
    const first = from / elements;
    const last = first + count / elements;
    if (!Number.isInteger(first) || !Number.isInteger(last) || format === 'f32') throw new InternalError('weights', `tensor '${info.name}' cannot be read as it is stored from element ${from}`);
    const convert = converterOf(info);
    if (!convert) {
      await readExactly(this.handle, info.file, target.subarray(0, (last - first) * bytes), info.begin + first * bytes);
      return;
    }
    const block = formatBlock(format);
    const outBytes = (elements / block.elements) * block.bytes;
    await this.forBlocks(info, first, last, (raw, at) => {
      convert(raw, target.subarray((at - first) * outBytes, (at - first) * outBytes + (raw.length / bytes) * outBytes));
    });
  }

  dispose(): Promise<void> { return this.handle.close(); }
}

function converterOf(info: GgufTensor): ((raw: Uint8Array, target: Uint8Array) => void) | undefined {
  switch (info.dtype) {
    case 'Q5_0': return convertQ5_0;
    case 'IQ4_NL': return convertIQ4_NL;
    case 'MXFP4': return convertMXFP4;
    case 'Q3_K': return convertQ3_K;
    case 'TQ1_0': return convertTQ1_0;
    case 'TQ2_0': return convertTQ2_0;
    default: return undefined;
  }
}

/** Opens one GGUF file, which may be a part of a split model. */
export async function openGgufFile(file: string): Promise<GgufSource> {
  const { handle, size } = await openRegular(file);
  try {
    const { metadata, tensors } = await readHead(handle, file, size);
    return new GgufFile(handle, metadata, tensors);
  } catch (error) {
    await handle.close();
    throw error;
  }
}
