import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../compiler/graph/builder.ts';
import type { Graph } from '../../../compiler/graph/types.ts';
import { formatBytes, type WeightFormat } from '../../../compiler/formats.ts';
import { chooseQuantisation, describeQuantisation } from '../../../compiler/quantise-choice.ts';
import type { WeightProvider } from '../../../runtime/backend.ts';
import { dequantiser } from '../../../runtime/weights/dequantise.ts';
import { quantised } from '../../../runtime/weights/quantise.ts';
import { QuantisingProvider } from '../../../runtime/weights/quantising.ts';
import { RandomProvider } from '../../../runtime/weights/random.ts';

/** A table and head in one, a product whose rows hold no 256 numbers, one that hold none of 32, and a norm. */
function graph(): Graph {
  const b = new GraphBuilder('test');
  const table = b.weight('embeddings.token.weight', [40, 256]);
  let x = b.gather(table, b.input('ids'));
  x = b.mul(x, b.weight('layers.0.norm.weight', [256]));
  const h = b.linear(x, b.weight('layers.0.ffn.up.weight', [96, 256]));
  const d = b.linear(h, b.weight('layers.0.ffn.down.weight', [20, 96]));
  const back = b.linear(d, b.weight('layers.0.ffn.back.weight', [256, 20]));
  b.output('logits', b.linear(back, table));
  return b.finish();
}
const f32 = (): WeightFormat => 'f32';

describe('the choice of weights to quantise', () => {
  it('takes the matrices of products and the token table, by the length of their rows', () => {
    const choice = chooseQuantisation(graph(), 'q4_K', [], f32);
    expect(Object.fromEntries(choice.forms)).toEqual({ 'embeddings.token.weight': 'q4_K', 'layers.0.ffn.up.weight': 'q4_K', 'layers.0.ffn.down.weight': 'q4_1_fitted' });
    expect(Object.fromEntries(choice.fallbacks)).toEqual({ 'layers.0.ffn.down.weight': 'q4_1', 'layers.0.ffn.back.weight': 'f32' });
    expect(describeQuantisation(choice)).toBe('quantised to q4_K: 2 weights, 0.2 MiB become 0.0 MiB; 1 weight in q4_1, whose rows are no multiple of 256; 1 weight in f32, whose rows are no multiple of 256');
  });

  it('leaves alone what --keep names, what is quantised already, and says which patterns name nothing', () => {
    const stored = (slot: string): WeightFormat => (slot.endsWith('down.weight') ? 'q8_0' : 'bf16');
    const choice = chooseQuantisation(graph(), 'q4_0', ['*.up.*', '*.nothing'], stored);
    expect([...choice.forms.keys()]).toEqual(['embeddings.token.weight']);
    expect(choice.kept).toEqual(['layers.0.ffn.up.weight']);
    expect(choice.already).toEqual(['layers.0.ffn.down.weight']);
    expect(choice.unmatched).toEqual(['*.nothing']);
    expect(describeQuantisation(choice)).toContain("1 weight kept; 1 weight left as the file has them quantised; no weight is called '*.nothing'");
  });
});

describe('QuantisingProvider', () => {
  const slot = 'layers.0.experts.up.weight';
  const slots = [{ slot, shape: [6, 5, 64] }, { slot: 'layers.0.norm.weight', shape: [64] }];
  const random = new RandomProvider(slots, 4);
  const provider = new QuantisingProvider(random, slots, new Map([[slot, 'q4_0']]));
  const inner: WeightProvider = {
    read: (name) => random.read(name),
    readRows: async (name, from, to) => (await random.read(name)).subarray(from * 320, to * 320),
  };

  it('gives any rows in the format, and their values', async () => {
    const all = quantised('q4_0', await random.read(slot));
    expect(provider.formatOf(slot)).toBe('q4_0');
    for (const p of [provider, new QuantisingProvider(inner, slots, new Map([[slot, 'q4_0']]))]) {
      expect(await p.readStored(slot, 0, 30)).toEqual(all);
      expect(await p.readStored(slot, 7, 23)).toEqual(all.subarray(7 * 36, 23 * 36));
      const values = new Float32Array(6 * 5 * 64);
      dequantiser()('q4_0', all, values);
      expect(await p.read(slot)).toEqual(values);
      expect(await p.readRows(slot, 2, 5)).toEqual(values.subarray(2 * 320, 5 * 320));
    }
  });

  it('leaves the others as they are', async () => {
    expect(provider.formatOf('layers.0.norm.weight')).toBe('f32');
    expect(await provider.read('layers.0.norm.weight')).toEqual(await random.read('layers.0.norm.weight'));
  });

  it('E736: says where a weight holds what cannot be quantised', async () => {
    const bad = new QuantisingProvider({ read: () => Promise.resolve(new Float32Array(6 * 5 * 64).fill(NaN, 700, 701)) }, slots, new Map([[slot, 'q8_0']]));
    await expect(bad.readStored(slot, 0, 1)).rejects.toThrow(/E736 .*experts.up.weight.*holds NaN in row 2 of its first axis/);
  });

  it('reads a long weight a band at a time', async () => {
    const reads: number[] = [];
    const long = [{ slot: 'w', shape: [40960, 512] }];
    const p = new QuantisingProvider({
      read: () => Promise.reject(new Error('read whole')),
      readRows: (_slot, from, to) => { reads.push(to - from); return Promise.resolve(new Float32Array((to - from) * 512)); },
    }, long, new Map([['w', 'q8_0']]));
    for (let row = 0; row < 40960; row += 4096) expect((await p.readStored('w', row, row + 4096)).length).toBe(4096 * formatBytes('q8_0', [512]));
    expect(Math.max(...reads) * 512 * 4).toBeLessThanOrEqual(16 << 20);
    expect(reads.reduce((a, b) => a + b, 0)).toBe(40960);
  });
});
