/** Values: typed expression trees that write their own instructions. The type parameter is checked by TypeScript; nothing else is needed at run time. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import type { ByteWriter } from './bytes.ts';
import { atomics, laneOperations, loads, operations, type ValueType } from './opcodes.ts';

export interface Value<T extends ValueType = ValueType> {
  readonly type: T;
  /** Set for integer constants, so that arithmetic on them folds. */
  readonly constant?: number;
  emit(out: ByteWriter): void;
}
export type I32 = Value<'i32'>;
export type F32 = Value<'f32'>;
export type V128 = Value<'v128'>;

export type Operands<T extends readonly ValueType[]> = { readonly [K in keyof T]: Value<T[K]> };
type Operations = typeof operations;
type LaneOperations = typeof laneOperations;
type Atomics = typeof atomics;

export function writeOpcode(out: ByteWriter, prefix: number, code: number): void {
  if (prefix === 0) {
    out.byte(code);
  } else {
    out.byte(prefix);
    out.unsigned(code);
  }
}

/** One instruction on values: `op('f32x4.add', a, b)`. */
export function op<N extends keyof Operations>(name: N, ...operands: Operands<Operations[N][2]>): Value<Operations[N][3]> {
  const [prefix, code, types, type] = operations[name];
  const values = operands as readonly Value[];
  if (values.length !== types.length || values.some((v, i) => v.type !== types[i])) {
    throw new InternalError('wasm', `${name} takes (${types.join(', ')}), not (${values.map((v) => v.type).join(', ')})`);
  }
  return {
    type: type as Operations[N][3],
    emit(out) {
      for (const value of values) value.emit(out);
      writeOpcode(out, prefix, code);
    },
  };
}

/** An instruction with a lane index. */
export function lane<N extends keyof LaneOperations>(name: N, index: number, ...operands: Operands<LaneOperations[N][2]>): Value<LaneOperations[N][3]> {
  const [prefix, code, , type] = laneOperations[name];
  const values = operands as readonly Value[];
  return {
    type: type as LaneOperations[N][3],
    emit(out) {
      for (const value of values) value.emit(out);
      writeOpcode(out, prefix, code);
      out.byte(index);
    },
  };
}

/** Reads memory at `address` + `offset` bytes. No alignment is assumed beyond that of the element. */
export function load<N extends keyof typeof loads>(name: N, address: I32, offset = 0): Value<(typeof loads)[N][3]> {
  const [prefix, code, align, type] = loads[name];
  return {
    type: type as (typeof loads)[N][3],
    emit(out) {
      address.emit(out);
      writeOpcode(out, prefix, code);
      out.unsigned(prefix === 0xfe ? align : Math.min(align, 2));
      out.unsigned(offset);
    },
  };
}

export function atomic<N extends keyof Atomics>(name: N, address: I32, offset: number, ...operands: Operands<Atomics[N][3]>): Value<Atomics[N][4]> {
  const [prefix, code, align, , type] = atomics[name];
  const values = operands as readonly Value[];
  return {
    type: type as Atomics[N][4],
    emit(out) {
      address.emit(out);
      for (const value of values) value.emit(out);
      writeOpcode(out, prefix, code);
      out.unsigned(align);
      out.unsigned(offset);
    },
  };
}

export function i32(value: number): I32 {
  return {
    type: 'i32',
    constant: value | 0,
    emit(out) {
      out.byte(0x41);
      out.signed(value);
    },
  };
}

export function i64(value: bigint): Value<'i64'> {
  return {
    type: 'i64',
    emit(out) {
      out.byte(0x42);
      out.signed64(value);
    },
  };
}

export function f32(value: number): F32 {
  return {
    type: 'f32',
    emit(out) {
      out.byte(0x43);
      out.f32(value);
    },
  };
}

function v128Const(bytes: Uint8Array): V128 {
  return {
    type: 'v128',
    emit(out) {
      writeOpcode(out, 0xfd, 12);
      out.bytes(bytes);
    },
  };
}
export const f32x4 = (a: number, b = a, c = a, d = a): V128 => v128Const(new Uint8Array(new Float32Array([a, b, c, d]).buffer));
export const i32x4 = (a: number, b = a, c = a, d = a): V128 => v128Const(new Uint8Array(new Int32Array([a, b, c, d]).buffer));
export const f64x2 = (a: number, b = a): V128 => v128Const(new Uint8Array(new Float64Array([a, b]).buffer));
export const i64x2 = (a: bigint, b = a): V128 => v128Const(new Uint8Array(new BigInt64Array([a, b]).buffer));

/** Lanes of the result by bytes: 0..15 from `a`, 16..31 from `b`. */
export function shuffleBytes(a: V128, b: V128, bytes: readonly number[]): V128 {
  return {
    type: 'v128',
    emit(out) {
      a.emit(out);
      b.emit(out);
      writeOpcode(out, 0xfd, 13);
      out.bytes(bytes);
    },
  };
}
/** Lanes of the result by 32-bit lanes: 0..3 from `a`, 4..7 from `b`. */
export function shuffle(a: V128, b: V128, lanes: readonly [number, number, number, number]): V128 {
  return shuffleBytes(a, b, lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3]));
}

/** `condition` not 0 ? a : b. Both are computed. */
export function choose<T extends ValueType>(condition: I32, a: Value<T>, b: Value<T>): Value<T> {
  if (condition.constant !== undefined) return condition.constant !== 0 ? a : b;
  return {
    type: a.type,
    emit(out) {
      a.emit(out);
      b.emit(out);
      condition.emit(out);
      // The untyped form does not take v128.
      if (a.type === 'v128') {
        out.bytes([0x1c, 1, 0x7b]);
      } else {
        out.byte(0x1b);
      }
    },
  };
}

export function add(a: I32, b: I32): I32 {
  if (a.constant !== undefined && b.constant !== undefined) return i32(a.constant + b.constant);
  if (a.constant === 0) return b;
  if (b.constant === 0) return a;
  return op('i32.add', a, b);
}
export function sub(a: I32, b: I32): I32 {
  if (a.constant !== undefined && b.constant !== undefined) return i32(a.constant - b.constant);
  if (b.constant === 0) return a;
  return op('i32.sub', a, b);
}
export function mul(a: I32, b: I32): I32 {
  if (a.constant !== undefined && b.constant !== undefined) return i32(Math.imul(a.constant, b.constant));
  if (a.constant !== undefined) return mul(b, a);
  if (b.constant === 0) return i32(0);
  if (b.constant === 1) return a;
  if (b.constant !== undefined && b.constant > 0 && (b.constant & (b.constant - 1)) === 0) return op('i32.shl', a, i32(Math.log2(b.constant)));
  return op('i32.mul', a, b);
}
/** Smaller of two, each written twice: give locals or constants. */
export const min = (a: I32, b: I32): I32 => choose(op('i32.lt_s', a, b), a, b);
export const max = (a: I32, b: I32): I32 => choose(op('i32.gt_s', a, b), a, b);
