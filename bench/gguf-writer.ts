/** Writes GGUF files (version 3, little-endian), tensor data piece by piece: models of made-up weights for benchmarks. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { formatBytes, type WeightFormat } from '../compiler/formats.ts';

export type GgufValue =
  | { readonly type: 'u32'; readonly value: number }
  | { readonly type: 'f32'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

export interface GgufTensorSpec {
  readonly name: string;
  /** Rows first: [out, in]. */
  readonly shape: readonly number[];
  readonly format: WeightFormat;
}

/** Numbers of ggml's types in a file. */
const typeNumbers: Readonly<Record<WeightFormat, number>> = { f32: 0, f16: 1, bf16: 30, q4_0: 2, q4_1: 3, q8_0: 8, q4_K: 12, q5_K: 13, q6_K: 14 };
const alignment = 32;
const aligned = (n: number): number => Math.ceil(n / alignment) * alignment;

/** Bytes put one after the other. */
class Bytes {
  private buffer = new Uint8Array(1 << 16);
  length = 0;
  private room(n: number): DataView {
    if (this.length + n > this.buffer.length) {
      const larger = new Uint8Array(Math.max(2 * this.buffer.length, this.length + n));
      larger.set(this.buffer);
      this.buffer = larger;
    }
    this.length += n;
    return new DataView(this.buffer.buffer, this.length - n, n);
  }
  u32(x: number): void { this.room(4).setUint32(0, x, true); }
  u64(x: number): void { this.room(8).setBigUint64(0, BigInt(x), true); }
  i32(x: number): void { this.room(4).setInt32(0, x, true); }
  f32(x: number): void { this.room(4).setFloat32(0, x, true); }
  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.room(bytes.length);
    this.buffer.set(bytes, this.length - bytes.length);
  }
  done(): Uint8Array { return this.buffer.subarray(0, this.length); }
}

function putValue(bytes: Bytes, v: GgufValue): void {
  switch (v.type) {
    case 'u32': bytes.u32(4); bytes.u32(v.value); return;
    case 'f32': bytes.u32(6); bytes.f32(v.value); return;
    case 'string': bytes.u32(8); bytes.string(v.value); return;
    case 'strings': bytes.u32(9); bytes.u32(8); bytes.u64(v.value.length); for (const text of v.value) bytes.string(text); return;
    case 'i32s': bytes.u32(9); bytes.u32(5); bytes.u64(v.value.length); for (const x of v.value) bytes.i32(x); return;
    default: throw v satisfies never;
  }
}

/** `data` gives a tensor's bytes in its format; without it the file has a hole for all of them. Gives the file's size. */
export function writeGguf(file: string, metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensorSpec[], data?: (tensor: GgufTensorSpec) => Uint8Array): number {
  const head = new Bytes();
  head.u32(0x46554747); // GGUF
  head.u32(3);
  head.u64(tensors.length);
  head.u64(metadata.size);
  for (const [key, value] of metadata) { head.string(key); putValue(head, value); }
  let offset = 0;
  for (const { name, shape, format } of tensors) {
    head.string(name);
    head.u32(shape.length);
    for (const d of [...shape].reverse()) head.u64(d);
    head.u32(typeNumbers[format]);
    head.u64(offset);
    offset = aligned(offset + formatBytes(format, shape));
  }
  const out = openSync(file, 'w');
  try {
    const padding = new Uint8Array(alignment);
    const put = (bytes: Uint8Array): void => {
      for (let at = 0; at < bytes.length;) at += writeSync(out, bytes, at, Math.min(bytes.length - at, 1 << 26));
      const rest = aligned(bytes.length) - bytes.length;
      if (rest > 0) writeSync(out, padding, 0, rest);
    };
    put(head.done());
    const size = aligned(head.length) + offset;
    if (data) for (const tensor of tensors) put(data(tensor));
    else ftruncateSync(out, size);
    return size;
  } finally {
    closeSync(out);
  }
}
