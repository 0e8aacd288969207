/** Peel's f32 product of the shape that peers/onnx-web-matmul.mjs times. */
import { buildPlan } from '../compiler/build-plan.ts';
import { GraphBuilder } from '../compiler/graph/builder.ts';
import { createCpuBackend } from '../runtime/cpu/backend.ts';
import { options, print, promptIds } from './peers/common.mjs';

const o = options();
const width = Number(o.width ?? 512), tokens = Number(o.tokens ?? 512);
const layers = 8; // One step has several products, so that starting it does not count.
const b = new GraphBuilder('matmul');
const x = b.gather(b.weight('x', [tokens, width]), b.input('ids'));
// y[t, n] = sum over k of x[t, k] w[k, n]: rows of a product's weight are its outputs.
b.output('y', Array.from({ length: layers }, (_, l) => b.linear(x, b.weight(`w${l}`, [width, width]))).reduce((sum, y) => b.add(sum, y)));
const graph = b.finish();
const backend = await createCpuBackend({ threads: o.threads });
const plan = buildPlan(graph, backend.target, { maxTokens: tokens, context: tokens, maxLogitRows: 1 }, { outputs: ['y'] });
const weights = Float32Array.from(promptIds(width * width, 1), (id) => (id - 15000) / 3e6);
const transposed = weights.map((_, i) => weights[(i % width) * width + Math.floor(i / width)] ?? 0);
const executor = await backend.load(plan, {
  read: (slot) => Promise.resolve(slot === 'x' ? Float32Array.from(promptIds(width * tokens, 2), (id) => (id - 15000) / 15000) : transposed.slice()),
}, 'bench');
const ids = Int32Array.from({ length: tokens }, (_, t) => t);
const times: number[] = [];
let y = new Float32Array(0) as Float32Array;
for (const begun = performance.now(); performance.now() - begun < 2000 || times.length < 5;) {
  const from = performance.now();
  const { outputs } = await executor.step({ ids, past: 0, logitRows: 1 }, times.length === 0 ? ['y'] : []);
  times.push(performance.now() - from);
  y = outputs.get('y') ?? y;
}
const sorted = times.slice(2).sort((a, b) => a - b);
const rate = (ms: number | undefined): number => (2 * width * width * tokens * layers) / (ms ?? NaN) / 1e6;
print({ peer: 'Peel', version: executor.report.description, threads: o.threads, width, tokens, best: rate(sorted[0]), median: rate(sorted[sorted.length >> 1]), first: Array.from(y.slice(0, 4), (v) => v / layers) });
process.exit(0);
