/** Stored rows come part by part, and the next part is under way while one is in use. */
import { describe, expect, test } from 'vitest';
import { readAhead, type StoredPart } from '../../runtime/cpu/read-ahead.ts';
import type { WeightProvider } from '../../runtime/backend.ts';

const sizes = [4, 9, 2, 9, 5];
const parts: readonly StoredPart[] = sizes.map((_, n) => ({ slot: `w${n}`, from: n, to: n + 1 }));
const pieces = (): [Uint8Array, Uint8Array] => [new Uint8Array(9), new Uint8Array(9)];

/** A provider whose reads fill their memory late, with the part's number; `begun` says in which order they begin. Some have memory of their own. */
function provider(begun: number[], fails = -1): WeightProvider {
  return {
    read: () => Promise.reject(new Error('not asked for')),
    readStored: async (_slot, from, to, scratch) => {
      begun.push(from);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (from === fails) throw new Error(`part ${from} is gone`);
      const target = scratch && from % 3 > 0 ? scratch.subarray(0, sizes[from]) : new Uint8Array(sizes[from] ?? 0);
      return target.fill(to);
    },
  };
}

describe('reading ahead', () => {
  test('brings every part in order into one of two pieces, where it stays until the next is asked for, and one is always under way', async () => {
    const begun: number[] = [];
    const seen: number[] = [];
    const both = pieces();
    for await (const { part, piece } of readAhead(provider(begun), parts, both)) {
      // The next part fills its memory meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(piece).toBe(both[seen.length % 2]);
      expect([...piece.subarray(0, sizes[part.from])]).toEqual(new Array(sizes[part.from] ?? 0).fill(part.to));
      seen.push(part.from);
      expect(begun.length).toBe(Math.min(seen.length + 1, parts.length));
    }
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(begun).toEqual(seen);
  });

  test('fails where a part does, after those before it', async () => {
    const seen: number[] = [];
    const all = async (): Promise<void> => { for await (const { part } of readAhead(provider([], 2), parts, pieces())) seen.push(part.from); };
    await expect(all()).rejects.toThrow('part 2 is gone');
    expect(seen).toEqual([0, 1]);
  });

  test('lets its user stop while the next part fails', async () => {
    for await (const { part } of readAhead(provider([], 1), parts, pieces())) {
      expect(part.from).toBe(0);
      break;
    }
    // An error that nobody handles would fail the run.
    await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('gives nothing for no parts', async () => {
    for await (const { part } of readAhead(provider([]), [], pieces())) expect(part).toBe(undefined);
    await expect(readAhead({ read: () => Promise.reject(new Error()) }, parts, pieces()).next()).rejects.toThrow('w0 is to be read as it is stored');
  });
});
