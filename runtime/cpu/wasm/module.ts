/** A WebAssembly module being written: functions over one imported shared memory, which may call functions of the host. */
import { InternalError } from '../../../compiler/diagnostics.ts';
import { ByteWriter } from './bytes.ts';
import { FunctionBuilder, type FunctionHandle } from './function.ts';
import { valueTypeByte, type ValueType } from './opcodes.ts';

/** The memory is imported as `env.memory`, in 64 KiB pages. */
export interface MemoryImport {
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly functionTypes: number[] = [];
  private readonly bodies: FunctionBuilder[] = [];
  private readonly imports: { readonly name: string; readonly type: number }[] = [];
  private readonly exports: { readonly name: string; readonly index: number }[] = [];

  /** Declares a function; write its body with the builder before `finish`. */
  function<const P extends readonly ValueType[], R extends ValueType | undefined>(name: string, params: P, result: R): FunctionBuilder<P, R> {
    this.functionTypes.push(this.typeOf(params, result));
    const handle: FunctionHandle<P, R> = { index: this.imports.length + this.bodies.length, params, result };
    const builder = new FunctionBuilder(handle, name);
    this.bodies.push(builder as unknown as FunctionBuilder);
    return builder;
  }

  /** A function that the host gives as `env.<name>`. Functions are numbered behind imported ones: import first. */
  imported<const P extends readonly ValueType[]>(name: string, params: P): FunctionHandle<P, undefined> {
    if (this.bodies.length > 0) throw new InternalError('wasm', `${name} is imported after functions were declared`);
    return { index: this.imports.push({ name, type: this.typeOf(params, undefined) }) - 1, params, result: undefined };
  }

  private typeOf(params: readonly ValueType[], result: ValueType | undefined): number {
    const key = `${params.join(' ')}>${result ?? ''}`;
    const type = this.types.indexOf(key);
    return type < 0 ? this.types.push(key) - 1 : type;
  }

  export(name: string, handle: { readonly index: number }): void {
    this.exports.push({ name, index: handle.index });
  }

  get functionCount(): number {
    return this.bodies.length;
  }

  /** The module's bytes. `memory` is imported where it is given. */
  finish(memory?: MemoryImport): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    section(out, 1, (s) => {
      s.unsigned(this.types.length);
      for (const key of this.types) {
        const [params = '', result = ''] = key.split('>');
        const list = params === '' ? [] : params.split(' ');
        s.byte(0x60);
        s.unsigned(list.length);
        for (const type of list) s.byte(valueTypeByte[type as ValueType]);
        s.bytes(result === '' ? [0] : [1, valueTypeByte[result as ValueType]]);
      }
    });
    if (memory || this.imports.length > 0) {
      section(out, 2, (s) => {
        s.unsigned(this.imports.length + (memory ? 1 : 0));
        for (const { name, type } of this.imports) {
          s.name('env');
          s.name(name);
          s.byte(0x00);
          s.unsigned(type);
        }
        if (!memory) return;
        s.name('env');
        s.name('memory');
        s.bytes([0x02, memory.shared ? 0x03 : 0x01]);
        s.unsigned(memory.initial);
        s.unsigned(memory.maximum);
      });
    }
    section(out, 3, (s) => {
      s.unsigned(this.functionTypes.length);
      for (const type of this.functionTypes) s.unsigned(type);
    });
    section(out, 7, (s) => {
      s.unsigned(this.exports.length);
      for (const { name, index } of this.exports) {
        s.name(name);
        s.byte(0x00);
        s.unsigned(index);
      }
    });
    section(out, 10, (s) => {
      s.unsigned(this.bodies.length);
      for (const body of this.bodies) {
        const code = body.finish();
        s.unsigned(code.length);
        s.bytes(code);
      }
    });
    nameSection(out, [...this.imports, ...this.bodies].map(({ name }) => name));
    return out.finish();
  }
}

function section(out: ByteWriter, id: number, write: (s: ByteWriter) => void): void {
  const body = new ByteWriter();
  write(body);
  out.byte(id);
  out.unsigned(body.length);
  out.bytes(body.finish());
}

/** Function names, for profiles and stack traces. */
function nameSection(out: ByteWriter, names: readonly string[]): void {
  section(out, 0, (s) => {
    s.name('name');
    const list = new ByteWriter();
    list.unsigned(names.length);
    names.forEach((name, index) => {
      list.unsigned(index);
      list.name(name);
    });
    s.byte(1);
    s.unsigned(list.length);
    s.bytes(list.finish());
  });
}
