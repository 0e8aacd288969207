/** Writes safetensors files: for results worth keeping, and for tests. */
import { promises as fs } from 'node:fs';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { elementBytes, floatToHalf } from './element.ts';
import { reason } from './files.ts';
import { weightProblem } from './problem.ts';

export interface TensorData {
  readonly shape: readonly number[];
  readonly dtype: 'F32' | 'F16' | 'BF16' | 'I32';
  readonly data: Float32Array | Int32Array;
}

function encode({ dtype, data }: TensorData): Uint8Array {
  switch (dtype) {
    case 'F32': { const f = data instanceof Float32Array ? data : Float32Array.from(data); return new Uint8Array(f.buffer, f.byteOffset, f.byteLength); }
    case 'I32': { const i = data instanceof Int32Array ? data : Int32Array.from(data); return new Uint8Array(i.buffer, i.byteOffset, i.byteLength); }
    case 'F16': return new Uint8Array(Uint16Array.from(data, (x) => floatToHalf(x)).buffer);
    case 'BF16': {
      const bits = new Uint32Array(Float32Array.from(data).buffer);
      // Round to nearest, ties to even, on the upper 16 bits; a NaN stays one.
      return new Uint8Array(Uint16Array.from(bits, (b) => ((b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 64 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16)).buffer);
    }
    default: throw dtype satisfies never;
  }
}

/** The bytes of a safetensors file with `tensors` in the given order. */
export function encodeSafetensors(tensors: ReadonlyMap<string, TensorData>, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const header: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let offset = 0;
  const parts: Uint8Array[] = [];
  for (const [name, tensor] of tensors) {
    const count = tensor.shape.reduce((a, b) => a * b, 1);
    if (count !== tensor.data.length) throw new RangeError(`${name}: shape [${tensor.shape.join(', ')}] has ${count} elements, data ${tensor.data.length}`);
    const end = offset + count * elementBytes(tensor.dtype);
    header[name] = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, end] };
    parts.push(encode(tensor));
    offset = end;
  }
  let text = JSON.stringify(header);
  const length = new TextEncoder().encode(text).length;
  text += ' '.repeat((8 - (length % 8)) % 8); // Data starts at a multiple of 8.
  const head = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + head.length + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(head.length), true);
  bytes.set(head, 8);
  let at = 8 + head.length;
  for (const part of parts) { bytes.set(part, at); at += part.length; }
  return bytes;
}

/** Writes a file whole or not at all: a temporary beside it is renamed over it. */
export async function writeFileAtomically(file: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await fs.writeFile(temporary, bytes);
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw new PeelError(ExitCode.fileSystem, [weightProblem('E721', file, `cannot be written: ${reason(error)}`)]);
  }
}

export async function writeSafetensors(file: string, tensors: ReadonlyMap<string, TensorData>, metadata: Readonly<Record<string, string>> = {}): Promise<void> {
  await writeFileAtomically(file, encodeSafetensors(tensors, metadata));
}
