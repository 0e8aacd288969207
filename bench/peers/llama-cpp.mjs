/** llama.cpp, the native CPU build of node-llama-cpp. */
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { measure, options, versionOf } from './common.mjs';

const o = options();
const begun = performance.now();
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, usePrebuiltBinaries: true, maxThreads: o.threads });
const model = await llama.loadModel({ modelPath: o.model });
const longest = Math.max(...o.prompts, ...o.pasts) + o.decode + 8;
const context = await model.createContext({ contextSize: longest, batchSize: 512, threads: o.threads });
const loadMs = Math.round(performance.now() - begun);
let sequence, tokens;
const after = async () => {
  const { value, done } = await tokens.next();
  if (done) throw new Error('llama.cpp ended early');
  return value;
};
await measure(o, { peer: 'llama.cpp', version: `node-llama-cpp ${versionOf('node-llama-cpp')}`, detail: 'native, KV in f16', loadMs }, {
  start: async (ids) => {
    sequence = context.getSequence();
    tokens = sequence.evaluate(ids, { temperature: 0, yieldEogToken: true });
    return after();
  },
  next: after,
  end: async () => { await tokens.return?.(); await sequence.dispose(); },
}, begun);
process.exit(0);
