/** What every kernel template starts from: its function, its buffers, the sizes of the step. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import type { Buffer, BufferId, Kernel } from '../../../compiler/kernels/types.ts';
import type { Dim, DimName, Index } from '../../../compiler/kernels/scalar.ts';
import { isPacked, linearize, storedElements, type Format, type Packed } from '../layout.ts';
import type { MathLibrary } from '../math/library.ts';
import { call, type FunctionBuilder } from '../wasm/function.ts';
import { i32, load, op, type F32, type I32 } from '../wasm/value.ts';
import { staysWithin } from './bounds.ts';
import type { Element } from './element.ts';
import { Emitter } from './emitter.ts';
import { paddedRow } from './packed-element.ts';
import type { ProductLibrary } from './products.ts';
import type { RowLibrary } from './rows.ts';

/** Byte addresses of the sizes that a step is run with, in the control block. */
export const dimAddress: Readonly<Record<DimName, number>> = { T: 64, P: 68, S: 72, R: 76, L: 80 };
export const dimNames: readonly DimName[] = ['T', 'P', 'S', 'R', 'L'];

/** A buffer as a kernel sees it. `capacity`: its shape with every dimension at its largest. */
export interface BufferInfo {
  readonly buffer: Buffer;
  readonly format: Format;
  readonly capacity: readonly number[];
}

/** The compile-time surroundings of a kernel. */
export interface KernelSite {
  readonly f: FunctionBuilder;
  readonly math: MathLibrary;
  readonly threads: number;
  /** The running thread's number, 0 .. threads-1. */
  readonly thread: I32;
  /** The running thread's scratch memory; `scratchBytes` of it were asked for by the template. */
  readonly scratch: I32;
  /** The address of memory that all threads share; the template's `sharedBytes` of it, zero at first. A kernel leaves its counters at zero. */
  readonly shared: number;
  readonly info: (id: BufferId) => BufferInfo;
  /** The buffer's first byte. */
  readonly base: (id: BufferId) => I32;
  /** The largest value of a dimension. */
  readonly capacityOf: (d: Dim) => number;
  /** Inner loops shared by all kernels of the module. */
  readonly products: ProductLibrary;
  readonly rows: RowLibrary;
}

export function makeEmitter(site: KernelSite, kernel: Pick<Kernel, 'sources'>): Emitter {
  const { f } = site;
  const dims = new Map<DimName, I32>(dimNames.map((name) => [name, f.let(load('i32.load', i32(dimAddress[name])))]));
  return new Emitter(f, site.math, {
    source(e, source, index) {
      const id = kernel.sources[source];
      if (id === undefined) throw new InternalError('cpu', `a kernel has no source ${source}`);
      return bufferElement(site, e, id, index);
    },
  }, dims);
}

/** The element of a buffer at an index (one per axis). */
export function bufferElement(site: KernelSite, e: Emitter, id: BufferId, index: readonly Index[]): Element {
  const { buffer, format, capacity } = site.info(id);
  const safe = buffer.shape.every((d, n) => staysWithin(index[n] ?? { op: 'int', value: 0 }, d, e.extents));
  const linear = linearize(index, buffer.shape, isPacked(format) ? 'rows' : format, e.extents);
  const read = isPacked(format) ? packedReader(site, id, format, capacity) : undefined;
  return { ...(read ? { read } : {}), name: `b${id}`, base: site.base(id), linear, dtype: buffer.dtype, low: i32(0), count: i32(storedElements(capacity, format)), safe };
}

/** Reads an element of a packed matrix by its number in rows. */
function packedReader(site: KernelSite, id: BufferId, format: Packed, capacity: readonly number[]): (number: I32) => F32 {
  const rows = capacity[capacity.length - 2] ?? 1;
  const k = i32(capacity[capacity.length - 1] ?? 1);
  return (number) => {
    const row = site.f.let(op('i32.div_u', number, k));
    return call(site.products.element(format), site.base(id), paddedRow(row, rows), op('i32.rem_u', number, k), k);
  };
}
