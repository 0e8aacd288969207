import { describe, expect, test } from 'vitest';
import { control } from '../../runtime/cpu/control.ts';
import { defineBarrier } from '../../runtime/cpu/barrier.ts';
import { definePack } from '../../runtime/cpu/emit/pack.ts';
import { packBlocks, storedElements } from '../../runtime/cpu/layout.ts';
import { packTogether } from '../../runtime/cpu/packer.ts';
import { ModuleBuilder } from '../../runtime/cpu/wasm/module.ts';
import { fillMemory } from '../../runtime/cpu/fill.ts';
import type { PlacedBuffer } from '../../runtime/cpu/place.ts';

describe('block order', () => {
  test('a matrix of 10 rows: two blocks of 8 rows, column by column, the second filled up with zeros', () => {
    const source = Float32Array.from({ length: 30 }, (_, i) => 100 * Math.floor(i / 3) + (i % 3));
    const target = new Float32Array(storedElements([10, 3], 'blocks'));
    packBlocks(source, target, [10, 3]);
    expect([...target.subarray(0, 10)]).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 1, 101]);
    expect([...target.subarray(24, 36)]).toEqual([800, 900, 0, 0, 0, 0, 0, 0, 801, 901, 0, 0]);
    expect(target.length).toBe(48);
  });

  test.each([[8, 4], [40, 103], [13, 7], [61, 2], [3, 1], [64, 32]])('%d rows of %d packed in WebAssembly, by staging memory of two blocks', async (rows, k) => {
    const module = new ModuleBuilder();
    module.export('pack', definePack(module, 1, defineBarrier(module, 1)));
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const { instance } = await WebAssembly.instantiate(module.finish({ initial: 2, maximum: 2, shared: true }), { env: { memory } });
    const values = Float32Array.from({ length: rows * k }, (_, i) => i + 1);
    const [target, staging] = [control.end, 65536 + 4096];
    packTogether(memory, instance, 1, { address: staging, bytes: 4 * k * 16 })(values, target, k);
    const expected = new Float32Array(storedElements([rows, k], 'blocks'));
    packBlocks(values, expected, [rows, k]);
    expect(new Float32Array(memory.buffer, target, expected.length)).toEqual(expected);
  });

  test.each([
    ['a matrix', [40, 103]], ['rows as they are', [7, 301]], ['a stack of matrices', [3, 9, 71]],
  ] as const)('%s in parts is what it is in one piece', async (name, shape) => {
    const format = name === 'rows as they are' ? 'rows' as const : 'blocks' as const;
    const count = shape.reduce<number>((p, d) => p * d, 1);
    const values = Float32Array.from({ length: count }, (_, i) => (i * 31) % 1009);
    const row = count / shape[0];
    const placed: PlacedBuffer = { address: 1024, format, capacity: shape, buffer: { id: 0, role: 'weight', name: 'w', dtype: 'f32', shape } };
    const pages = Math.ceil((1024 + 4 * storedElements(shape, format)) / 65536);
    const results: Float32Array[] = [];
    let parts = 0;
    for (const readRows of [undefined, (_: string, from: number, to: number) => (parts++, Promise.resolve(values.slice(from * row, to * row)))]) {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      await fillMemory(memory, { buffers: new Map([[0, placed]]), end: 0 }, { read: () => Promise.resolve(values), ...(readRows ? { readRows } : {}) }, { part: 1000 });
      results.push(new Float32Array(memory.buffer, 1024, storedElements(shape, format)));
    }
    expect(parts).toBeGreaterThan(1);
    const [one, other] = results;
    expect(one && other && one.every((v, i) => v === other[i])).toBe(true);
  });
});
