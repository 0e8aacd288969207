/**
 * A whole model on the CPU backend: the shape of a 135M LLaMA (f32, synthetic weights) through the shipped spec. Prints load,
 * decode and prefill times; run it with --cpu-prof for the time of each kernel.
 *
 *   npx esbuild bench/cpu-model.ts --bundle --platform=node --format=esm --packages=external --outfile=.cache/bench-model.mjs && node .cache/bench-model.mjs [threads] [layers]
 */
import { existsSync, readFileSync } from 'node:fs';
import { buildPlan } from '../compiler/build-plan.ts';
import { loadSpec } from '../compiler/load.ts';
import { lowerModel } from '../compiler/lower/lower-model.ts';
import { resolveModel } from '../compiler/resolve.ts';
import { createCpuBackend } from '../runtime/cpu/backend.ts';

const threads = Number(process.argv[2] ?? 1);
const layers = Number(process.argv[3] ?? 30);
const config = {
  model_type: 'llama', hidden_size: 576, intermediate_size: 1536, num_attention_heads: 9, num_key_value_heads: 3, num_hidden_layers: layers,
  rms_norm_eps: 1e-5, rope_theta: 10000, vocab_size: 49152, max_position_embeddings: 2048, tie_word_embeddings: true, hidden_act: 'silu',
};
const { spec } = loadSpec('models/llama.yaml', (file) => (existsSync(file) ? readFileSync(file) : undefined), 'models');
const model = spec && resolveModel(spec, { config }, 'huggingface').model;
const graph = model && lowerModel(model).graph;
if (!graph) throw new Error('the model did not lower');

const clock = (): number => performance.now();
const backend = await createCpuBackend({ threads });
const planning = clock();
const plan = buildPlan(graph, backend.target, { maxTokens: 512, context: 1100, maxLogitRows: 1 });
const loading = clock();
const noise = Float32Array.from({ length: 1 << 20 }, (_, i) => ((i * 7919) % 2003) / 20030 - 0.05);
const shapes = new Map(graph.weights.map((w) => [w.slot, w.shape.reduce((p, d) => p * d, 1)]));
const executor = await backend.load(plan, {
  read(slot) {
    const values = new Float32Array(shapes.get(slot) ?? 0);
    for (let at = 0; at < values.length; at += noise.length) values.set(noise.subarray(0, values.length - at), at);
    return Promise.resolve(values);
  },
}, 'bench');
const loaded = clock();

async function times(count: number, run: (n: number) => Promise<unknown>): Promise<string> {
  const list: number[] = [];
  for (let n = 0; n < count; n++) {
    const start = clock();
    await run(n);
    list.push(clock() - start);
  }
  list.sort((a, b) => a - b);
  return `${list[0]?.toFixed(1)} ms best, ${list[Math.floor(count / 2)]?.toFixed(1)} median`;
}

const ids = (count: number): Int32Array => Int32Array.from({ length: count }, (_, t) => (t * 37) % 49152);
const results: string[] = [];
for (const count of [128, 512]) {
  const first = await times(1, () => executor.step({ ids: ids(count), past: 0, logitRows: 1 }));
  results.push(`prefill of ${count}: ${await times(count > 200 ? 3 : 5, () => executor.step({ ids: ids(count), past: 0, logitRows: 1 }))} (first ${first})`);
}
await executor.step({ ids: ids(512), past: 512, logitRows: 1 });
for (const past of [128, 1024]) results.push(`decode at ${past}: ${await times(15, (n) => executor.step({ ids: Int32Array.of(n), past: past + n, logitRows: 1 }))}`);
process.stdout.write(`${executor.report.description}; ${plan.kernels.length} kernels; plan ${(loading - planning).toFixed(0)} ms, load ${(loaded - loading).toFixed(0)} ms; ` +
  `weights ${(plan.memory.weights / 1e6).toFixed(0)} MB\n  ${results.join('\n  ')}\n`);
await executor.dispose();
