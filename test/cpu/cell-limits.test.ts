/** Products of the largest numbers: sums of 16 bits hold them. */
import { afterAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { formatBytes, type WeightFormat } from '../../compiler/formats.ts';
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import type { WeightProvider } from '../../runtime/backend.ts';
import { quantisedFormats } from '../conformance/quantised-cases.ts';
import { blockValues } from '../support/blocks.ts';

const backends = await Promise.all([{ threads: 1 }, { threads: 1, relaxedSimd: false }, { threads: 1, exact: true }].map((o) => createCpuBackend(o)));
afterAll(async () => { for (const b of backends) await b.dispose(); });

const [rows, k] = [16, 256];
const half = 0x3400;
/** f16 numbers of a block, bytes from its start, and the block's size. */
const halvesOf: Record<string, readonly [number, readonly number[]]> = {
  q8_0: [34, [0]], q4_0: [18, [0]], q4_1: [20, [0, 2]], q4_K: [144, [0, 2]], q5_K: [176, [0, 2]], q6_K: [210, [208]],
};

/** Blocks whose f16 numbers are `bits`, and all of whose other bytes are `byte`. */
function filled(format: WeightFormat, byte: number, bits = half): Uint8Array {
  const data = new Uint8Array(formatBytes(format, [rows, k])).fill(byte);
  const view = new DataView(data.buffer);
  const [size, places] = halvesOf[format] ?? [1, []];
  for (let at = 0; at < data.length; at += size) for (const place of places) view.setUint16(at + place, bits, true);
  return data;
}

function load(backend: (typeof backends)[number], format: WeightFormat, data: Uint8Array, inputs: Float32Array): ReturnType<typeof backend.load> {
  const b = new GraphBuilder('limits');
  b.output('out', b.linear(b.gather(b.weight('table', [inputs.length / k, k]), b.input('ids')), b.weight('w', [rows, k])));
  const plan = buildPlan(b.finish(), backend.target, { maxTokens: 8, context: 8, maxLogitRows: 1 }, { formats: (slot) => (slot === 'w' ? format : 'f32') });
  const rowBytes = formatBytes(format, [k]);
  const provider: WeightProvider = {
    formatOf: (slot) => (slot === 'w' ? format : 'f32'), read: () => Promise.resolve(inputs),
    readStored: (_, from, to) => Promise.resolve(data.slice(from * rowBytes, to * rowBytes)),
  };
  return backend.load(plan, provider, 'test');
}

describe.each(quantisedFormats)('%s', (format) => {
  // Bits all set; the largest and the least 8-bit number, whose high bits are those of more than one place.
  test.each([0xff, 0x7f, 0x80])('bytes of %i', async (byte) => {
    const data = filled(format, byte);
    const values = blockValues(format, data);
    const inputs = Float32Array.from({ length: 3 * k }, (_, i) => (i < k ? 1 : i < 2 * k ? -1 : i % 2 === 0 ? 1 : -1));
    const expected = [0, 1, 2].flatMap((t) => Array.from({ length: rows }, (_, r) => Array.from({ length: k }, (_, i) => (values[r * k + i] ?? NaN) * (inputs[t * k + i] ?? NaN)).reduce((a, b) => a + b)));
    const size = Math.max(...values.map(Math.abs)) * k;
    for (const backend of backends) {
      const executor = await load(backend, format, data, inputs);
      const found = [[0, 1, 2, 0, 1], [2]].map((ids) => executor.step({ ids: Int32Array.from(ids), past: 0, logitRows: 1 }, ['out']).then((s) => s.outputs.get('out') ?? new Float32Array(0)));
      const [many, one] = await Promise.all(found);
      const worst = Math.max(...Array.from(many ?? [], (y, n) => Math.abs(y - (expected[n % expected.length] ?? NaN))), ...Array.from(one ?? [], (y, n) => Math.abs(y - (expected[2 * rows + n] ?? NaN))));
      expect([many?.length, one?.length]).toEqual([5 * rows, rows]);
      expect(worst / size, backend.target.relaxedSimd ? 'bytes' : 'words or floats').toBeLessThan(1e-6);
      await executor.dispose();
    }
  });
});
