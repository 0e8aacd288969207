/**
 * Speed of attention on the CPU backend, by itself: milliseconds for ten layers of a step of `tokens` after `past`. Its least time
 * says what the code can do, its median what the machine let it do.
 *
 *   npx esbuild bench/cpu-attention.ts --bundle --platform=node --format=esm --packages=external --outfile=.cache/bench-attention.mjs && node .cache/bench-attention.mjs [threads...]
 */
import { buildPlan } from '../compiler/build-plan.ts';
import { GraphBuilder } from '../compiler/graph/builder.ts';
import type { Node } from '../compiler/graph/types.ts';
import { createCpuBackend } from '../runtime/cpu/backend.ts';

interface Shape { readonly name: string; readonly heads: number; readonly kvHeads: number; readonly width: number; readonly values: number }
const shapes: readonly Shape[] = [
  { name: '9 heads on 3', heads: 9, kvHeads: 3, width: 64, values: 64 },
  { name: '12 heads on 12', heads: 12, kvHeads: 12, width: 64, values: 64 },
  { name: '32 heads on 8', heads: 32, kvHeads: 8, width: 128, values: 128 },
  { name: '16 latent heads on 1', heads: 16, kvHeads: 1, width: 576, values: 512 },
];
const layers = 10;
const context = 1100;

async function measure(shape: Shape, threads: number): Promise<void> {
  const b = new GraphBuilder('attention');
  const rows = (name: string, heads: number, width: number): Node => b.reshape(b.gather(b.weight(name, [16, heads * width]), b.input('ids')), ['T', heads, width]);
  for (let l = 0; l < layers; l++) {
    const scores = b.scale(b.node({ op: 'scores' }, [rows('q', shape.heads, shape.width), b.cache(`keys${l}`, rows('k', shape.kvHeads, shape.width))]), 0.1);
    const shares = b.softmax(b.node({ op: 'mask', causal: true }, [scores]));
    b.output(`out${l}`, b.node({ op: 'mix' }, [shares, b.cache(`values${l}`, rows('v', shape.kvHeads, shape.values))]));
  }
  const graph = b.finish();
  const backend = await createCpuBackend({ threads });
  const plan = buildPlan(graph, backend.target, { maxTokens: 512, context, maxLogitRows: 1 }, { outputs: graph.outputs.map((o) => o.name) });
  const executor = await backend.load(plan, {
    read: (slot) => Promise.resolve(Float32Array.from({ length: graph.weights.find((w) => w.slot === slot)?.shape.reduce((p, d) => p * d, 1) ?? 0 }, (_, i) => ((i * 7919) % 2003) / 2003 - 0.5)),
  }, 'bench');
  const run = (tokens: number, past: number): Promise<unknown> => executor.step({ ids: Int32Array.from({ length: tokens }, (_, t) => t % 16), past, logitRows: 1 });
  const time = async (count: number, tokens: number, past: number): Promise<string> => {
    const times: number[] = [];
    for (let n = 0; n < count; n++) {
      const start = performance.now();
      await run(tokens, past);
      times.push(performance.now() - start);
    }
    times.sort((x, y) => x - y);
    return `${times[0]?.toFixed(2)} best, ${times[Math.floor(count / 2)]?.toFixed(2)} median`;
  };
  await run(512, 0);
  await run(512, 512);
  await time(100, 1, 1024);
  process.stdout.write(`${shape.name}, ${threads} threads: decode at 128: ${await time(200, 1, 128)}; at 1024: ${await time(100, 1, 1024)}; ` +
    `128 tokens: ${await time(15, 128, 0)}; 512 tokens: ${await time(4, 512, 0)}\n`);
  await executor.dispose();
}

const threads = process.argv.slice(2).map(Number);
for (const shape of shapes) for (const n of threads.length > 0 ? threads : [1, 2]) await measure(shape, n);
