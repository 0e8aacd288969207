/** Rows of a weight come in the order that the plan stores them in, however they are asked for. */
import { expect, test } from 'vitest';
import { rowAt, rowRuns } from '../../compiler/kernels/row-order.ts';
import { inPlanOrder } from '../../runtime/weights/in-plan-order.ts';
import type { Buffer } from '../../compiler/kernels/types.ts';

const rowOrder = { block: 3, first: 2 };
const buffer = (name: string, ordered: boolean): Buffer => ({ id: 0, role: 'weight', name, dtype: 'f32', shape: [6, 2], ...(ordered ? { rowOrder } : {}) });
const own = Float32Array.from({ length: 12 }, (_, n) => n);
const expected = [0, 1, 3, 4, 2, 5].flatMap((r) => [2 * r, 2 * r + 1]);

test('rows are counted part by part', () => {
  expect(Array.from({ length: 6 }, (_, n) => rowAt(rowOrder, 6, n))).toEqual([0, 1, 3, 4, 2, 5]);
  expect(rowRuns(rowOrder, 6, 1, 5)).toEqual([{ from: 1, to: 2 }, { from: 3, to: 5 }, { from: 2, to: 3 }]);
  expect(rowRuns({ block: 24, first: 16 }, 48, 0, 48).length).toBe(4);
});

test('reading gives them whole, by parts and as they are stored', async () => {
  const provider = inPlanOrder({
    read: () => Promise.resolve(own),
    readRows: (_, from, to) => Promise.resolve(own.subarray(2 * from, 2 * to)),
    readStored: (_, from, to) => Promise.resolve(Uint8Array.from(own.subarray(2 * from, 2 * to))),
    formatOf: () => 'f32',
  }, { buffers: [buffer('w', true), buffer('plain', false)] });
  expect([...await provider.read('w')]).toEqual(expected);
  expect([...await provider.read('plain')]).toEqual([...own]);
  expect([...(await provider.readRows?.('w', 1, 5)) ?? []]).toEqual(expected.slice(2, 10));
  expect([...(await provider.readStored?.('w', 2, 6)) ?? []]).toEqual(expected.slice(4));
  expect([...(await provider.readRows?.('plain', 1, 5)) ?? []]).toEqual([...own.subarray(2, 10)]);
  expect(provider.formatOf?.('w')).toBe('f32');
});
