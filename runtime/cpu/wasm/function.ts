/** A WebAssembly function being written: parameters, locals, structured control flow. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { ByteWriter } from './bytes.ts';
import { stores, valueTypeByte, type ValueType } from './opcodes.ts';
import { add, i32, op, writeOpcode, type I32, type Operands, type Value } from './value.ts';

/** A function of the module under construction, callable from others. */
export interface FunctionHandle<P extends readonly ValueType[] = readonly ValueType[], R extends ValueType | undefined = ValueType | undefined> {
  readonly index: number;
  readonly params: P;
  readonly result: R;
}

/** A variable. As a value it reads the variable. */
export interface Local<T extends ValueType = ValueType> extends Value<T> {
  readonly index: number;
}

/** A block that can be left, or a loop that can be continued, from inside. */
export interface Label {
  readonly depth: number;
}

export class FunctionBuilder<P extends readonly ValueType[] = readonly ValueType[], R extends ValueType | undefined = ValueType | undefined> {
  private readonly code = new ByteWriter();
  private readonly localTypes: ValueType[] = [];
  private depth = 0;
  readonly params: { readonly [K in keyof P]: Local<P[K]> };

  constructor(readonly handle: FunctionHandle<P, R>, readonly name: string) {
    this.params = handle.params.map((type, index) => makeLocal(type, index)) as { readonly [K in keyof P]: Local<P[K]> };
  }

  local<T extends ValueType>(type: T): Local<T> {
    this.localTypes.push(type);
    return makeLocal(type, this.handle.params.length + this.localTypes.length - 1);
  }

  set<T extends ValueType>(local: Local<T>, value: Value<T>): void {
    if (value.type !== local.type) throw new InternalError('wasm', `${this.name}: a ${value.type} for a local of ${local.type}`);
    value.emit(this.code);
    this.code.byte(0x21);
    this.code.unsigned(local.index);
  }

  /** A new local holding `value`. */
  let<T extends ValueType>(value: Value<T>): Local<T> {
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  store<N extends keyof typeof stores>(name: N, address: I32, value: Value<(typeof stores)[N][3]>, offset = 0): void {
    const [prefix, code, align, type] = stores[name];
    if (value.type !== type) throw new InternalError('wasm', `${this.name}: ${name} of a ${value.type}`);
    address.emit(this.code);
    value.emit(this.code);
    writeOpcode(this.code, prefix, code);
    this.code.unsigned(prefix === 0xfe ? align : Math.min(align, 2));
    this.code.unsigned(offset);
  }

  /** Calls a function without a result. */
  run<Q extends readonly ValueType[]>(callee: FunctionHandle<Q, undefined>, ...operands: Operands<Q>): void {
    writeCall(this.code, callee, operands as readonly Value[]);
  }

  drop(value: Value): void {
    value.emit(this.code);
    this.code.byte(0x1a);
  }

  block(body: (exit: Label) => void): void {
    this.open(0x02, body);
  }

  loop(body: (repeat: Label) => void): void {
    this.open(0x03, body);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    condition.emit(this.code);
    this.code.bytes([0x04, 0x40]);
    this.depth++;
    then();
    if (otherwise) {
      this.code.byte(0x05);
      otherwise();
    }
    this.depth--;
    this.code.byte(0x0b);
  }

  branch(label: Label): void {
    this.code.byte(0x0c);
    this.code.unsigned(this.depth - label.depth);
  }

  branchIf(label: Label, condition: I32): void {
    condition.emit(this.code);
    this.code.byte(0x0d);
    this.code.unsigned(this.depth - label.depth);
  }

  /** Runs `body` with `counter` at from, from + step, ... while it is below `to` (signed). `to` is written again in each turn: give a local or a constant. */
  countedLoop(counter: Local<'i32'>, from: I32, to: I32, step: number, body: () => void): void {
    this.set(counter, from);
    this.if(op('i32.lt_s', counter, to), () => {
      this.loop((repeat) => {
        body();
        this.set(counter, add(counter, i32(step)));
        this.branchIf(repeat, op('i32.lt_s', counter, to));
      });
    });
  }

  return(value?: Value): void {
    value?.emit(this.code);
    this.code.byte(0x0f);
  }

  unreachable(): void {
    this.code.byte(0x00);
  }

  /** The value that the function gives when control reaches its end. */
  result(value: Value<R & ValueType>): void {
    value.emit(this.code);
  }

  fence(): void {
    this.code.bytes([0xfe, 0x03, 0x00]);
  }

  /** The body as the code section holds it, without its size. */
  finish(): Uint8Array {
    const out = new ByteWriter();
    const runs: [ValueType, number][] = [];
    for (const type of this.localTypes) {
      const last = runs.at(-1);
      if (last && last[0] === type) last[1]++;
      else runs.push([type, 1]);
    }
    out.unsigned(runs.length);
    for (const [type, count] of runs) {
      out.unsigned(count);
      out.byte(valueTypeByte[type]);
    }
    out.bytes(this.code.finish());
    out.byte(0x0b);
    return out.finish();
  }

  private open(opcode: number, body: (label: Label) => void): void {
    this.code.bytes([opcode, 0x40]);
    this.depth++;
    body({ depth: this.depth });
    this.depth--;
    this.code.byte(0x0b);
  }
}

/** The result of calling a function. */
export function call<P extends readonly ValueType[], R extends ValueType>(callee: FunctionHandle<P, R>, ...operands: Operands<P>): Value<R> {
  return { type: callee.result, emit: (out) => writeCall(out, callee, operands as readonly Value[]) };
}

function writeCall(out: ByteWriter, callee: FunctionHandle, operands: readonly Value[]): void {
  if (operands.length !== callee.params.length || operands.some((v, i) => v.type !== callee.params[i])) {
    throw new InternalError('wasm', `a call of function ${callee.index} with (${operands.map((v) => v.type).join(', ')})`);
  }
  for (const operand of operands) operand.emit(out);
  out.byte(0x10);
  out.unsigned(callee.index);
}

function makeLocal<T extends ValueType>(type: T, index: number): Local<T> {
  return {
    type,
    index,
    emit(out) {
      out.byte(0x20);
      out.unsigned(index);
    },
  };
}
