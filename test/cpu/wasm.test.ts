import { describe, expect, it } from 'vitest';
import { call } from '../../runtime/cpu/wasm/function.ts';
import { ModuleBuilder } from '../../runtime/cpu/wasm/module.ts';
import { ByteWriter } from '../../runtime/cpu/wasm/bytes.ts';
import { add, atomic, choose, f32, f32x4, i32, i64, lane, load, mul, op, shuffle } from '../../runtime/cpu/wasm/value.ts';

async function instantiate(module: ModuleBuilder, memory?: WebAssembly.Memory): Promise<Record<string, (...args: number[]) => number>> {
  const bytes = module.finish(memory ? { initial: 1, maximum: 1, shared: true } : undefined);
  const { instance } = await WebAssembly.instantiate(bytes, memory ? { env: { memory } } : {});
  return instance.exports as Record<string, (...args: number[]) => number>;
}

describe('the assembler', () => {
  it('writes LEB128 as the specification says', () => {
    const out = new ByteWriter();
    out.unsigned(624485);
    out.signed(-123456);
    out.signed(63);
    out.signed(64);
    out.signed64(-1n);
    out.unsigned(0xffffffff);
    expect([...out.finish()]).toEqual([0xe5, 0x8e, 0x26, 0xc0, 0xbb, 0x78, 0x3f, 0xc0, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f]);
  });

  it('encodes the smallest module byte by byte', () => {
    const module = new ModuleBuilder();
    const f = module.function('f', ['i32', 'i32'], 'i32');
    f.result(op('i32.add', ...f.params));
    module.export('f', f.handle);
    expect([...module.finish()].slice(0, 41)).toEqual([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x20, 1, 0x6a, 0x0b, 0, 11,
    ]);
  });

  it('runs loops, blocks, calls and conditions', async () => {
    const module = new ModuleBuilder();
    const square = module.function('square', ['i32'], 'i32');
    square.result(mul(square.params[0], square.params[0]));
    const sum = module.function('sumOfSquares', ['i32'], 'i32');
    const total = sum.let(i32(0));
    const i = sum.local('i32');
    sum.countedLoop(i, i32(0), sum.params[0], 1, () => sum.set(total, add(total, call(square.handle, i))));
    sum.result(total);
    const firstPower = module.function('powerAtLeast', ['i32'], 'i32');
    const p = firstPower.let(i32(1));
    firstPower.block((exit) => {
      firstPower.loop((again) => {
        firstPower.branchIf(exit, op('i32.ge_s', p, firstPower.params[0]));
        firstPower.set(p, mul(p, i32(2)));
        firstPower.branch(again);
      });
    });
    firstPower.if(op('i32.gt_s', p, i32(100)), () => firstPower.set(p, i32(-1)), () => firstPower.set(p, add(p, i32(0))));
    firstPower.result(p);
    module.export('sum', sum.handle);
    module.export('power', firstPower.handle);
    const { sum: run, power } = await instantiate(module);
    expect(run!(10)).toBe(285);
    expect(run!(0)).toBe(0);
    expect(power!(33)).toBe(64);
    expect(power!(65)).toBe(-1);
  });

  it('runs SIMD, shared memory and atomics', async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const floats = new Float32Array(memory.buffer);
    floats.set([1, 2, 3, 4, 10, 20, 30, 40]);
    const module = new ModuleBuilder();
    const f = module.function('f', ['i32'], 'i32');
    const x = f.let(load('v128.load', f.params[0]));
    const y = f.let(load('v128.load', f.params[0], 16));
    f.store('v128.store', f.params[0], op('f32x4.add', op('f32x4.mul', x, y), f32x4(1, 2, 3, 4)), 32);
    f.store('v128.store', f.params[0], shuffle(x, y, [3, 0, 5, 6]), 48);
    f.store('f32.store', f.params[0], choose(op('f32.lt', lane('f32x4.extract_lane', 2, x), f32(2)), f32(7), f32(8)), 64);
    f.drop(atomic('i32.atomic.rmw.add', i32(100), 0, i32(5)));
    f.drop(atomic('memory.atomic.notify', i32(100), 0, i32(1)));
    // Expected 0, found 5: returns at once with 1.
    f.result(add(atomic('memory.atomic.wait32', i32(100), 0, i32(0), i64(-1n)), atomic('i32.atomic.rmw.add', i32(100), 0, i32(1))));
    module.export('f', f.handle);
    const { f: run } = await instantiate(module, memory);
    expect(run!(0)).toBe(1 + 5);
    expect([...floats.subarray(8, 17)]).toEqual([11, 42, 93, 164, 4, 1, 20, 30, 8]);
    expect(new Int32Array(memory.buffer)[25]).toBe(6);
  });

  it('refuses operands of another type', () => {
    const module = new ModuleBuilder();
    const f = module.function('f', ['i32', 'f32'], undefined);
    // @ts-expect-error the second operand is a float
    expect(() => op('i32.add', ...f.params)).toThrow('i32.add takes (i32, i32), not (i32, f32)');
  });
});
