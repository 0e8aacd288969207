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
  {
    name: 'embeddings not scaled', file: 'models/gemma.yaml',
    find: '{ scale: sqrt(dim) }', replace: '{ scale: 1 }',
    ...golden('gemma', /^first divergence: embeddings/),
  },
  {
    name: 'window off by one', file: 'models/llama.yaml',
    find: 'window: { size: window, kind', replace: 'window: { size: window + 1, kind',
    ...golden('mistral', /^first divergence: hidden\.0, the output of layer 0/),
  },
  {
    name: 'soft cap of scores dropped', file: 'models/gemma2.yaml',
    find: 'softcap: score_cap', replace: 'softcap: null',
    ...golden('gemma2', /^first divergence: hidden\.0, the output of layer 0/),
  },
  {
    name: 'scale of scores from the width of a head', file: 'models/gemma2.yaml',
    find: 'query_scalar ** -0.5', replace: 'head_dim ** -0.5',
    ...golden('gemma2', /^first divergence: hidden\.0, the output of layer 0/),
  },
  {
    name: 'weights of experts not normalised', file: 'models/mixtral.yaml',
    find: 'normalize: true', replace: 'normalize: false',
    ...golden('mixtral', /^first divergence: hidden\.0, the output of layer 0/),
  },
  {
    name: 'projection not transposed', file: 'models/gpt2.yaml',
    find: '{ name: "h.{i}.attn.c_proj", transpose: true }', replace: 'h.{i}.attn.c_proj',
    ...golden('gpt2', /^first divergence: hidden\.0, the output of layer 0/),
  },
  {
    name: 'norm of queries and keys after the rotation', file: 'models/qwen3.yaml',
    find: 'before_rope', replace: 'after_rope',
    ...golden('qwen3', /^first divergence: hidden\.0, the output of layer 0/),
  },
  {
    name: 'soft cap of logits dropped', file: 'models/gemma2.yaml',
    find: 'softcap: logit_cap', replace: 'softcap: null',
    ...golden('gemma2', /^first divergence: logits/),
  },
  {
    name: 'scale of logits dropped', file: 'models/granite.yaml',
    find: 'scale: 1 / logits_divisor', replace: 'scale: 1',
    ...golden('granite', /^first divergence: logits/),
  },
];
