/** GGUF files written by hand, right or wrong. */

/** Little-endian bytes, one value after the other. */
export class Bytes {
  private readonly parts: Uint8Array[] = [];
  length = 0;
  raw(bytes: Uint8Array | readonly number[]): this {
    this.parts.push(Uint8Array.from(bytes));
    this.length += bytes.length;
    return this;
  }
  private number(size: number, write: (view: DataView) => void): this {
    const view = new DataView(new ArrayBuffer(size));
    write(view);
    return this.raw(new Uint8Array(view.buffer));
  }
  u8(value: number): this { return this.raw([value & 255]); }
  u16(value: number): this { return this.number(2, (view) => view.setUint16(0, value, true)); }
  u32(value: number): this { return this.number(4, (view) => view.setUint32(0, value, true)); }
  u64(value: number | bigint): this { return this.number(8, (view) => view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true)); }
  f32(value: number): this { return this.number(4, (view) => view.setFloat32(0, value, true)); }
  f64(value: number): this { return this.number(8, (view) => view.setFloat64(0, value, true)); }
  string(text: string, length?: bigint): this {
    const bytes = new TextEncoder().encode(text);
    return this.u64(length ?? bytes.length).raw(bytes);
  }
  pad(alignment: number): this { return this.raw(new Uint8Array((alignment - (this.length % alignment)) % alignment)); }
  done(): Uint8Array {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) { whole.set(part, at); at += part.length; }
    return whole;
  }
}

/** A value of the metadata as bytes: its type's number, then itself. */
export type Value = (bytes: Bytes) => Bytes;
export const u32 = (value: number): Value => (b) => b.u32(4).u32(value);
export const i32 = (value: number): Value => (b) => b.u32(5).u32(value);
export const f32 = (value: number): Value => (b) => b.u32(6).f32(value);
export const bool = (value: number): Value => (b) => b.u32(7).u8(value);
export const text = (value: string): Value => (b) => b.u32(8).string(value);
export const u64 = (value: number | bigint): Value => (b) => b.u32(10).u64(value);
export const texts = (values: readonly string[]): Value => (b) => values.reduce((bytes, value) => bytes.string(value), b.u32(9).u32(8).u64(values.length));
export const u32s = (values: readonly number[]): Value => (b) => values.reduce((bytes, value) => bytes.u32(value), b.u32(9).u32(4).u64(values.length));

export interface TensorText {
  readonly name: string;
  /** Sizes as the file has them, that of rows first. */
  readonly sizes: readonly (number | bigint)[];
  /** ggml's number of the type; 0 is F32. */
  readonly type?: number;
  readonly data: Uint8Array;
  /** In place of the offset where the data will be. */
  readonly offset?: number | bigint;
}

export interface GgufText {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly keyCount?: number | bigint;
  /** Pairs, so that a key may be there twice. */
  readonly metadata?: readonly (readonly [string, Value])[];
  readonly tensors?: readonly TensorText[];
  /** What tensors are aligned to; 32 in files that do not say. */
  readonly alignment?: number;
  /** In place of the number of dimensions. */
  readonly axes?: number;
}

export function ggufFile(file: GgufText): Uint8Array {
  const { magic = 'GGUF', version = 3, metadata = [], tensors = [], alignment = 32 } = file;
  const bytes = new Bytes().raw(new TextEncoder().encode(magic)).u32(version).u64(file.tensorCount ?? tensors.length).u64(file.keyCount ?? metadata.length);
  for (const [key, value] of metadata) value(bytes.string(key));
  let offset = 0;
  for (const tensor of tensors) {
    bytes.string(tensor.name).u32(file.axes ?? tensor.sizes.length);
    for (const size of tensor.sizes) bytes.u64(size);
    bytes.u32(tensor.type ?? 0).u64(tensor.offset ?? offset);
    offset += Math.ceil(tensor.data.length / alignment) * alignment;
  }
  bytes.pad(alignment);
  for (const tensor of tensors) bytes.raw(tensor.data).pad(alignment);
  return bytes.done();
}

/** A tensor of f32 values; `sizes` has that of rows first. */
export function f32Tensor(name: string, sizes: readonly number[], values?: readonly number[]): TensorText {
  const data = Float32Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, (_, i) => values?.[i] ?? i);
  return { name, sizes, data: new Uint8Array(data.buffer) };
}
