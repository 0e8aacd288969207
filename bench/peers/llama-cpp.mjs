/** llama.cpp, the native CPU build of node-llama-cpp. */
import { measure, options } from './common.mjs';
import { openLlamaCpp } from './llama-cpp-open.mjs';

const o = options();
const begun = performance.now();
const { context, version } = await openLlamaCpp(o, Math.max(...o.prompts, ...o.pasts) + o.decode + 8);
const loadMs = Math.round(performance.now() - begun);
let sequence, tokens;
const after = async () => {
  const { value, done } = await tokens.next();
  if (done) throw new Error('llama.cpp ended early');
  return value;
};
await measure(o, { peer: 'llama.cpp', version, detail: 'native, KV in f16', loadMs }, {
  start: async (ids) => {
    sequence = context.getSequence();
    tokens = sequence.evaluate(ids, { temperature: 0, yieldEogToken: true });
    return after();
  },
  next: after,
  end: async () => { await tokens.return?.(); await sequence.dispose(); },
}, begun);
process.exit(0);
