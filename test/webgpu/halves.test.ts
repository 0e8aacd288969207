/** Weights that a file stores in 16 bits stay so on the device, and give bit for bit what their f32 values give. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import type { WebGpuBackend, WebGpuOptions } from '../../runtime/webgpu/index.ts';
import type { WeightProvider } from '../../runtime/backend.ts';
import { generator } from '../conformance/harness.ts';
import { llamaGraph } from '../support/hand-graphs.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

type Half = 'f16' | 'bf16';

function valueOf(bits: number, format: Half): number {
  if (format === 'bf16') return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  return (bits & 0x8000 ? -1 : 1) * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** Random numbers of all magnitudes up to 1, subnormal ones of f16 among them, of which `stored` are in 16 bits. */
function weights(graph: Graph, format: Half, stored: (slot: string) => boolean): WeightProvider {
  const bits = (slot: string): Uint16Array => {
    const random = generator(`${format} ${slot}`);
    const count = graph.weights.find((w) => w.slot === slot)?.shape.reduce((n, d) => n * d, 1) ?? 0;
    return Uint16Array.from({ length: count }, () => {
      const sign = random() < 0.5 ? 0x8000 : 0;
      return sign + (format === 'f16' ? Math.floor(random() * 15) * 1024 + Math.floor(random() * 1024) : (113 + Math.floor(random() * 14)) * 128 + Math.floor(random() * 128));
    });
  };
  return {
    read: (slot) => Promise.resolve(Float32Array.from(bits(slot), (b) => valueOf(b, format))),
    formatOf: (slot) => (stored(slot) ? format : 'f32'),
    readStored: (slot, from, to) => {
      const width = graph.weights.find((w) => w.slot === slot)?.shape.at(-1) ?? 0;
      return Promise.resolve(new Uint8Array(bits(slot).slice(from * width, to * width).buffer));
    },
  };
}

async function run(backend: WebGpuBackend, graph: Graph, provider: WeightProvider): Promise<{ bytes: number; planned: number; results: Float32Array[] }> {
  const plan = buildPlan(graph, backend.target, { maxTokens: 6, context: 8, maxLogitRows: 6 }, { formats: (slot) => provider.formatOf?.(slot) ?? 'f32' });
  const executor = await backend.load(plan, provider, 'test');
  const [name = ''] = graph.outputs.map((o) => o.name).filter((n) => n === 'logits' || n === 'out');
  const many = await executor.step({ ids: Int32Array.of(3, 1, 4, 1, 5, 9), past: 0, logitRows: 6 }, [name]);
  const one = await executor.step({ ids: Int32Array.of(2), past: 6, logitRows: 1 }, [name]);
  const results = [many, one].map((r) => r.outputs.get(name) ?? new Float32Array(0));
  const { weightBytes } = executor;
  await executor.dispose();
  return { bytes: weightBytes, planned: plan.memory.weights, results };
}

const bitsOf = (values: readonly Float32Array[]): number[] => values.flatMap((v) => [...new Uint32Array(v.buffer, v.byteOffset, v.length)]);

// Models' widths, of which 4 is a divisor and of which it is not. A driver in software takes a minute to compile a whole model's kernels for hardware.
const ways: [string, number[], Omit<WebGpuOptions, 'gpu'>][] = [
  ['a thread a row', [16, 14], { kernels: 'software' }],
  ['workgroups', [], { kernels: 'hardware' }],
  ['no shader-f16, small bindings', [14], { without: ['shader-f16'], limits: { maxStorageBufferBindingSize: 4096 } }],
];

describe.each(ways)('16-bit weights, %s', (_, widths, options) => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openTestWebGpu(options); });
  afterAll(() => backend.dispose());

  describe.each(['f16', 'bf16'] as const)('%s', (format) => {
    test.each(widths)('a model of width %i', async (dim) => {
      const graph = llamaGraph({ vocab: 61, dim, heads: 2, kvHeads: 1, headDim: 6, hidden: dim + 5, layers: 1 });
      const half = await run(backend, graph, weights(graph, format, () => true));
      const full = await run(backend, graph, weights(graph, format, () => false));
      expect(half.results[0]?.some((x) => x !== 0)).toBe(true);
      expect(bitsOf(half.results)).toEqual(bitsOf(full.results));
      expect(half.planned / full.planned).toBeLessThan(0.52);
      expect(half.bytes / full.bytes).toBeLessThan(0.6);
    });

    test('a table of odd width that is gathered from and multiplied with; one of two packed weights in 16 bits', async () => {
      const b = new GraphBuilder('odd');
      const table = b.weight('table', [101, 25]);
      const x = b.gather(table, b.input('ids'));
      const hidden = b.mul(b.linear(x, b.weight('up', [12, 25])), b.linear(x, b.weight('gate', [12, 25])));
      b.output('out', b.linear(b.linear(hidden, b.weight('down', [25, 12])), table));
      const graph = b.finish();
      const half = await run(backend, graph, weights(graph, format, (slot) => slot !== 'gate'));
      const full = await run(backend, graph, weights(graph, format, () => false));
      expect(bitsOf(half.results)).toEqual(bitsOf(full.results));
      expect(half.bytes / full.bytes).toBeLessThan(0.6);
    });
  });
});
