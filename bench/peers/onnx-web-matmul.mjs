/** onnxruntime-web (WebAssembly, in Node): f32 products of rows by a constant matrix, the shape that Peel's own runner times beside it. */
import ort from 'onnxruntime-web';
import { options, print, promptIds, versionOf } from './common.mjs';

const o = options();
ort.env.wasm.numThreads = o.threads;
ort.env.logLevel = 'error';

/** Protocol buffer fields: a tag, then a number or bytes. */
const varint = (n) => { const out = []; for (; n >= 128; n = Math.floor(n / 128)) out.push((n % 128) | 128); return [...out, n]; };
const join = (parts) => Buffer.concat(parts.map((p) => Buffer.from(p)));
const number = (field, n) => join([varint(field * 8), varint(n)]);
const bytes = (field, data) => { const b = Buffer.from(data); return join([varint(field * 8 + 2), varint(b.length), b]); };

/** y[tokens, n] = x[tokens, k] w[k, n], w inside the file: ModelProto { ir_version, opset_import, graph }. */
function matmulModel(k, n, weights) {
  const dims = (...sizes) => sizes.map((d) => bytes(1, typeof d === 'number' ? number(1, d) : bytes(2, d)));
  const value = (name, ...sizes) => join([bytes(1, name), bytes(2, bytes(1, join([number(1, 1), bytes(2, join(dims(...sizes)))])))]);
  const tensor = join([number(1, k), number(1, n), number(2, 1), bytes(8, 'w'), bytes(9, new Uint8Array(weights.buffer))]);
  const node = join([bytes(1, 'x'), bytes(1, 'w'), bytes(2, 'y'), bytes(4, 'MatMul')]);
  const graph = join([bytes(1, node), bytes(2, 'g'), bytes(5, tensor), bytes(11, value('x', 'tokens', k)), bytes(12, value('y', 'tokens', n))]);
  return join([number(1, 9), bytes(8, join([bytes(1, ''), number(2, 17)])), bytes(7, graph)]);
}

const width = Number(o.width ?? 512), tokens = Number(o.tokens ?? 512);
const weights = Float32Array.from(promptIds(width * width, 1), (id) => (id - 15000) / 3e6);
const session = await ort.InferenceSession.create(matmulModel(width, width, weights), { executionProviders: ['wasm'] });
const x = new ort.Tensor('float32', Float32Array.from(promptIds(width * tokens, 2), (id) => (id - 15000) / 15000), [tokens, width]);
const times = [];
let y;
for (const begun = performance.now(); performance.now() - begun < 2000 || times.length < 5;) {
  const from = performance.now();
  ({ y } = await session.run({ x }));
  times.push(performance.now() - from);
}
const sorted = times.slice(2).sort((a, b) => a - b);
const least = (2 * width * width * tokens) / sorted[0] / 1e6, middle = (2 * width * width * tokens) / sorted[sorted.length >> 1] / 1e6;
print({ peer: 'onnxruntime-web', version: versionOf('onnxruntime-web'), threads: o.threads, width, tokens, best: least, median: middle, first: Array.from(y.data.slice(0, 4)) });
process.exit(0);
