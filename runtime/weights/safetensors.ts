/** Reads safetensors files: the header at once, tensor data by range when asked. */
import type { promises as fs } from 'node:fs';
import { InternalError } from '../../compiler/diagnostics.ts';
import type { WeightFormat } from '../../compiler/formats.ts';
import { narrow, widenInPlace, elementBytes } from './element.ts';
import { openRegular, readExactly } from './files.ts';
import { maxHeaderBytes, parseHeader, type ElementTensor, type Header, type TensorInfo } from './header.ts';
import { weightError, weightProblem } from './problem.ts';

/** Tensors by name, wherever they are. Disposing closes the files. */
export interface TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Elements `from`..`from + target.length` of a tensor, converted to f32, straight into `target`. */
  readInto(info: TensorInfo, from: number, target: Float32Array): Promise<void>;
  /** Looks at the data of tensors whose form depends on it; to be called before they are read. Until then `formatOf` takes what is likely. */
  prepare?(): Promise<void>;
  /** The form in which `readStored` gives the tensor; f32 where its elements have to be converted one by one. */
  formatOf(info: TensorInfo): WeightFormat;
  /** Elements `from`..`from + count` (whole blocks of the file) in the form of `formatOf`, f32 excepted, into `target`. */
  readStored(info: TensorInfo, from: number, count: number, target: Uint8Array): Promise<void>;
  dispose(): Promise<void>;
}

async function readHeader(handle: fs.FileHandle, file: string, size: number): Promise<Header> {
  if (size < 8) throw weightError(weightProblem('E723', file, `has ${size} bytes, a safetensors file starts with 8 bytes of header length`));
  const lengthBytes = new Uint8Array(8);
  await readExactly(handle, file, lengthBytes, 0);
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw weightError(weightProblem('E723', file, `its header would have ${length} bytes, at most ${maxHeaderBytes} are allowed`,
      { hint: 'it may not be a safetensors file' }));
  }
  const dataStart = 8 + Number(length);
  if (dataStart > size) {
    throw weightError(weightProblem('E723', file, `its header would end at byte ${dataStart} but the file has ${size}`, { hint: 'the file is truncated' }));
  }
  const bytes = new Uint8Array(Number(length));
  await readExactly(handle, file, bytes, 8);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw weightError(weightProblem('E724', file, 'its header is not valid UTF-8'));
  }
  const { header, problems } = parseHeader(text, file, dataStart, size);
  if (problems.length > 0) throw weightError(...problems);
  return header;
}

/** The header alone: no tensor data is read. Throws PeelError (exit codes 11 and 14) with every problem of the file. */
export async function readSafetensorsHeader(file: string): Promise<Header> {
  const { handle, size } = await openRegular(file);
  try {
    return await readHeader(handle, file, size);
  } finally {
    await handle.close();
  }
}

class SafetensorsFile implements TensorSource {
  readonly tensors: ReadonlyMap<string, ElementTensor>;
  constructor(private readonly handle: fs.FileHandle, readonly metadata: ReadonlyMap<string, string>, tensors: readonly ElementTensor[]) {
    this.tensors = new Map(tensors.map((t) => [t.name, t]));
  }

  private own({ name }: TensorInfo): ElementTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new InternalError('weights', `tensor '${name}' is of another file`);
    return tensor;
  }

  async readInto(tensor: TensorInfo, from: number, target: Float32Array): Promise<void> {
    if (target.length === 0) return;
    const info = this.own(tensor);
    const size = elementBytes(info.dtype);
    const position = info.begin + from * size;
    switch (info.dtype) {
      case 'F8_E4M3': case 'F8_E5M2':
        throw weightError(weightProblem('E726', info.file, `element type ${info.dtype} is not supported`,
          { tensor: info.name, hint: 'convert the weights to BF16, F16 or F32' }));
      case 'F64': case 'I64': case 'U64': {
        const raw = new Uint8Array(target.length * size);
        await readExactly(this.handle, info.file, raw, position);
        narrow(info.dtype, raw.buffer, target);
        return;
      }
      default: {
        // Narrow elements go to the end of the destination and widen in place: no second buffer.
        const bytes = target.length * size;
        const raw = new Uint8Array(target.buffer, target.byteOffset + target.byteLength - bytes, bytes);
        await readExactly(this.handle, info.file, raw, position);
        widenInPlace(info.dtype, target);
      }
    }
  }

  formatOf(info: TensorInfo): WeightFormat {
    return info.dtype === 'F16' ? 'f16' : info.dtype === 'BF16' ? 'bf16' : 'f32';
  }

  async readStored(info: TensorInfo, from: number, count: number, target: Uint8Array): Promise<void> {
    const size = elementBytes(this.own(info).dtype);
    await readExactly(this.handle, info.file, target.subarray(0, count * size), info.begin + from * size);
  }

  dispose(): Promise<void> { return this.handle.close(); }
}

/** Opens one safetensors file. */
export async function openSafetensors(file: string): Promise<TensorSource & { readonly metadata: ReadonlyMap<string, string> }> {
  const { handle, size } = await openRegular(file);
  try {
    const header = await readHeader(handle, file, size);
    return new SafetensorsFile(handle, header.metadata, header.tensors);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A whole tensor as f32 (integers are converted). Throws PeelError where `source` has no such tensor. */
export async function readTensor(source: TensorSource, name: string, file = 'weights'): Promise<Float32Array> {
  const info = source.tensors.get(name);
  if (!info) throw weightError(weightProblem('E703', file, 'is missing', { tensor: name }));
  const target = new Float32Array(info.shape.reduce((a, b) => a * b, 1));
  await source.readInto(info, 0, target);
  return target;
}
