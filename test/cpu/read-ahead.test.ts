/** Stored rows come part by part, and the next part is under way while one is in use. */
import { describe, expect, test } from 'vitest';
import { readAhead, type StoredPart } from '../../runtime/cpu/read-ahead.ts';
import type { WeightProvider } from '../../runtime/backend.ts';

const parts: readonly StoredPart[] = [4, 9, 2, 9, 5].map((bytes, n) => ({ slot: `w${n}`, from: n, to: n + 1, bytes }));

/** A provider whose reads fill their memory late, with the part's number; `begun` says in which order they begin. */
function provider(begun: number[], fails = -1): WeightProvider {
  return {
    read: () => Promise.reject(new Error('not asked for')),
    readStored: async (_slot, from, to, scratch) => {
      begun.push(from);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (from === fails) throw new Error(`part ${from} is gone`);
      const bytes = parts[from]?.bytes ?? 0;
      const target = scratch && scratch.length >= bytes ? scratch.subarray(0, bytes) : new Uint8Array(bytes);
      return target.fill(to);
    },
  };
}

describe('reading ahead', () => {
  test('gives every part in order, whole until the next is asked for, and one is always under way', async () => {
    const begun: number[] = [];
    const seen: number[] = [];
    for await (const { part, stored } of readAhead(provider(begun), parts)) {
      // The next part fills its memory meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect([...stored]).toEqual(new Array(part.bytes).fill(part.to));
      seen.push(part.from);
      expect(begun.length).toBe(Math.min(seen.length + 1, parts.length));
    }
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(begun).toEqual(seen);
  });

  test('uses two pieces of memory for many parts of one size', async () => {
    const memories = new Set<ArrayBufferLike>();
    const same = parts.map((part) => ({ ...part, from: 1, bytes: 9 }));
    for await (const { stored } of readAhead(provider([]), same)) memories.add(stored.buffer);
    expect(memories.size).toBe(2);
  });

  test('fails where a part does, after those before it', async () => {
    const seen: number[] = [];
    const all = async (): Promise<void> => { for await (const { part } of readAhead(provider([], 2), parts)) seen.push(part.from); };
    await expect(all()).rejects.toThrow('part 2 is gone');
    expect(seen).toEqual([0, 1]);
  });

  test('lets its user stop while the next part fails', async () => {
    for await (const { part } of readAhead(provider([], 1), parts)) {
      expect(part.from).toBe(0);
      break;
    }
    // An error that nobody handles would fail the run.
    await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('gives nothing for no parts', async () => {
    for await (const { part } of readAhead(provider([]), [])) expect(part).toBe(undefined);
    await expect(readAhead({ read: () => Promise.reject(new Error()) }, parts).next()).rejects.toThrow('w0 is to be read as it is stored');
  });
});
