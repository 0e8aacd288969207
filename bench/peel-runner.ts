/** Peel, in a process of its own, as the peers' runners are. With --check JSON: feeds other runners' tokens and says how far they were from ours. */
import { loadModel } from '../runtime/model.ts';
import { readBandwidth } from '../runtime/bandwidth.ts';
import { measure, options, print, promptIds } from './peers/common.mjs';

interface Check { readonly length: number; readonly firsts: [round: number, token: number][]; readonly tokens: number[] }

/** By how much a token's logit is below the largest, in standard deviations of the logits: 0 where it is the largest. */
function behind(row: Float32Array, token: number): number {
  const mean = row.reduce((a, b) => a + b, 0) / row.length;
  const deviation = Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length);
  return (row.reduce((a, b) => Math.max(a, b), -Infinity) - (row[token] ?? -Infinity)) / deviation;
}

const o = options();
const begun = performance.now();
if (o.probe !== undefined) {
  print({ bandwidth: await readBandwidth(o.threads) });
  process.exit(0);
}
const model = await loadModel({ path: o.model });
const longest = Math.max(...o.prompts, ...o.pasts) + o.decode + 8;
const device = o.provider === 'webgpu' ? 'webgpu' : 'cpu';
const session = await model.session({ device, threads: o.threads, context: longest, maxTokens: 512 });
const loadMs = Math.round(performance.now() - begun);
const formats = new Set(session.plan?.buffers.filter((b) => b.role === 'weight' && b.shape.length > 1).map((b) => b.format ?? 'f32'));
const info = { peer: device === 'cpu' ? 'Peel' : 'Peel webgpu', version: session.device.description, detail: `${session.device.kernels} kernels, weights in ${[...formats].join(', ')}`, loadMs };

if (o.check === undefined) {
  await measure(o, info, {
    start: async (ids: number[]) => { session.rewind(0); return (await session.feed(ids)).argmax; },
    next: async (token: number) => (await session.feed([token])).argmax,
  }, begun);
} else {
  const logits = async (ids: number[]): Promise<Float32Array> => (await session.feed(ids, { outputs: ['logits'] })).outputs.get('logits') ?? new Float32Array(0);
  const results = [];
  for (const { length, firsts, tokens } of JSON.parse(o.check) as Check[]) {
    const found: number[] = [];
    let row: Float32Array = new Float32Array(0);
    for (const [round, token] of [...firsts].reverse()) {
      session.rewind(0);
      found.push(behind(row = await logits(promptIds(length, round)), token));
    }
    for (const token of tokens) {
      found.push(behind(row, token));
      row = await logits([token]);
    }
    results.push({ same: found.filter((x) => x === 0).length, of: found.length, margin: Math.max(...found) });
  }
  print({ ...info, results });
}
await model.dispose();
process.exit(0);
