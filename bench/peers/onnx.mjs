/**
 * ONNX Runtime's Node package on a file of onnx-model.py: keys and values stay in buffers that are past and present at once (CPU), or on
 * the device (WebGPU).
 */
import ort from 'onnxruntime-node';
import { measure, options, versionOf } from './common.mjs';

const o = options();
const provider = o.provider ?? 'cpu';
const begun = performance.now();
const settings = { executionProviders: provider === 'cpu' ? ['cpu'] : [{ name: provider }, 'cpu'], intraOpNumThreads: o.threads, interOpNumThreads: 1, graphOptimizationLevel: 'all', logSeverityLevel: 3 };
if (provider !== 'cpu') {
  const probe = await ort.InferenceSession.create(o.model, { executionProviders: ['cpu'], graphOptimizationLevel: 'disabled', logSeverityLevel: 3 });
  settings.preferredOutputLocation = Object.fromEntries(probe.outputNames.map((n) => [n, n === 'logits' ? 'cpu' : 'gpu-buffer']));
  await probe.release();
}
const session = await ort.InferenceSession.create(o.model, settings);
const loadMs = Math.round(performance.now() - begun);
const presents = session.outputNames.filter((n) => n.startsWith('present'));
const pastOf = (name) => name.replace('present', 'past_key_values');
const [, heads, , width] = session.inputMetadata.find((m) => m.name === 'past_key_values.0.key').shape;
const capacity = Math.max(...o.prompts, ...o.pasts) + o.decode + 1;
const shared = provider === 'cpu' && Object.fromEntries(presents.map((n) => [n, new ort.Tensor('float32', new Float32Array(heads * capacity * width), [1, heads, capacity, width])]));
const empty = () => Object.fromEntries(presents.map((n) => [pastOf(n), shared ? shared[n] : new ort.Tensor('float32', new Float32Array(0), [1, heads, 0, width])]));

let past, length = 0;
async function step(ids) {
  length += ids.length;
  const feeds = { input_ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]), attention_mask: new ort.Tensor('int64', new BigInt64Array(length).fill(1n), [1, length]), ...past };
  const out = shared ? await session.run(feeds, { logits: null, ...shared }) : await session.run(feeds);
  const before = past;
  past = Object.fromEntries(presents.map((n) => [pastOf(n), shared ? shared[n] : out[n]]));
  if (!shared) for (const t of Object.values(before)) if (t.location === 'gpu-buffer') t.dispose();
  const logits = out.logits.data.subarray(out.logits.data.length - out.logits.dims[2]);
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}
await measure(o, { peer: provider === 'cpu' ? 'ONNX Runtime' : `ONNX Runtime ${provider}`, version: `onnxruntime-node ${versionOf('onnxruntime-node')}`, detail: 'KV in f32', loadMs }, {
  start: (ids) => { past = empty(); length = 0; return step(ids); },
  next: (token) => step([token]),
  end: async () => { for (const t of Object.values(past)) if (t.location === 'gpu-buffer') t.dispose(); },
}, begun);
process.exit(0);
