/** Faults in the specs of models/: what a porter of a model gets wrong. */

/** A fault that the golden checkpoint `name` shows, on the reference backend and in `peel diff` on the CPU. */
const golden = (name, says) => ({
  kills: { file: 'test/models/golden.test.ts', test: new RegExp(`on the reference backend ${name}$`) },
  diff: { args: [`test/golden/${name}`, '--against', `test/golden/${name}/golden.safetensors`, '--device', 'cpu'], says },
});

/** @type {import('./plant.mjs').Fault[]} */
export const faults = [
  {
    name: 'rotary pairing swapped', file: 'models/llama.yaml',
    find: `default: "'half'" }`, replace: `default: "'interleaved'" }`,
    ...golden('llama', [/^first divergence: hidden\.0, the output of layer 0/, /^likely cause: rotary pairing/m]),
  },
  {
    name: 'norms without 1 + w', file: 'models/gemma.yaml',
    find: 'norm_offset: { gguf_default: 0, default: 1 }', replace: 'norm_offset: { gguf_default: 0, default: 0 }',
    ...golden('gemma', [/^first divergence: hidden\.0, the output of layer 0/, /^likely cause: .*norm/m]),
  },
];
