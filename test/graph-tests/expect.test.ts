/** Expectations of graph tests: each holds where it should, and says what was wanted, what was found and where it does not. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { kernelPasses } from '../../compiler/passes/index.ts';
import type { PlacedFinding } from '../../runtime/graph-tests/case.ts';
import { loadTestFile } from '../../runtime/graph-tests/load.ts';
import { runCase } from '../../runtime/graph-tests/run-case.ts';
import { SharedWork } from '../../runtime/graph-tests/shared.ts';
import { folderWith } from './files.ts';

/** What a case of tiny.yaml finds; `more` is the rest of the case. */
async function found(expectation: string, more = '', { folder = folderWith({}), update = false }: { readonly folder?: string; readonly update?: boolean } = {}): Promise<string[]> {
  return (await findings(expectation, more, folder, update)).map(({ kind, message }) => `${kind === 'failed' ? '' : `${kind}: `}${message}`.replaceAll(`${folder}/`, ''));
}

async function findings(expectation: string, more: string, folder: string, update = false): Promise<readonly PlacedFinding[]> {
  const file = path.join(folder, 'a.test.yaml');
  writeFileSync(file, `peel: 1\nspec: tiny\ntests:\n  - name: a\n    ${more}\n    expect: { ${expectation} }\n`);
  const { cases: [test], diagnostics } = loadTestFile(file);
  if (!test) throw new Error(diagnostics.map((d) => formatDiagnostic(d)).join('\n'));
  const shared = new SharedWork();
  const result = await runCase(test, { update }, shared);
  await shared.dispose();
  return result.findings;
}

it('looks at shapes and types of named values', async () => {
  expect(await found('values: { "layers.*.attention.{k,v}": { shape: [T, 2, dim / heads], dtype: f32 }, layers.1.ffn.up: { shape: [T, dim * (3 + i)] }, logits: { shape: [R, vocab] } }')).toEqual([]);
  expect(await found('values: { "layers.*.attention.q": { shape: [T, heads, dim], dtype: i32 }, layers.0.attn.q: { dtype: f32 } }')).toEqual([
    'layers.0.attention.q, layers.1.attention.q: wanted the shape [T, 4, 16], found [T, 4, 4]; wanted i32, found f32, at layers.0.attention.q (tiny.yaml:10)',
    'no value of the model fits `layers.0.attn.q`; did you mean `layers.0.attention.q`?',
  ]);
});

it('names the place in the spec, where annotations stand', async () => {
  const folder = folderWith({});
  const [shape] = await findings('values: { layers.0.ffn.up: { shape: [T] } }', '', folder);
  expect(shape).toMatchObject({ location: { line: 6 }, spec: { file: path.join(folder, 'tiny.yaml'), line: 12 } });
  const [number] = await findings('agree: { devices: [cpu, reference], tolerance: 0 }', '', folder);
  expect(number?.spec?.file).toBe(path.join(folder, 'tiny.yaml'));
});

it('counts operators and parameters', async () => {
  expect(await found('operators: { softmax: layers, linear: 15, total: { min: 40, max: 100 } }, parameters: { near: 9000, within: 1000 }')).toEqual([]);
  expect(await found('operators: { softmax: 1, rope: { min: 5 } }')).toEqual(['operators `softmax`: wanted 1, found 2', 'operators `rope`: wanted at least 5, found 4']);
});

it('adds up bytes and FLOPs at a context', async () => {
  expect(await found('state_bytes: layers * 2 * 2 * dim / heads * 4 * S, weight_bytes: 4 * 8272, activation_bytes: { max: 1e5 }, peak_bytes: { min: 4 * 8272 }', 'context: 64')).toEqual([]);
  expect(await found('flops_per_token: { near: 2 * 8272 + layers * heads * S * 4 * 4, within: 6000 }', 'context: 64')).toEqual([]);
  expect(await found('state_bytes: 1024, weight_bytes: { max: 1024 }', 'context: 32')).toEqual([
    'bytes of weights on WebAssembly at a context of 32: wanted at most 1,024 (1 KiB), found 33,088 (32.31 KiB)',
    'bytes of states on WebAssembly at a context of 32: wanted 1,024 (1 KiB), found 4,096 (4 KiB)',
  ]);
  expect(await found('flops_per_token: 1')).toEqual([expect.stringMatching(/^FLOPs of a token after 2047 others: wanted 1, found [\d,]+$/)]);
});

it('counts kernels, in all, by kind and by layer, on any target', async () => {
  expect(await found('kernels: { per_layer: 5, layers: [5, 5], attention: layers, total: 14, outside_layers: 4 }')).toEqual([]);
  expect(await found('kernels: { per_layer: { max: 7 }, nest: { min: 1 } }', 'target: { device: webgpu, max_binding_bytes: 128 MiB, f16: false }')).toEqual([]);
  expect(await found('kernels: { per_layer: { max: 4 }, layers: [5], attention: 3 }')).toEqual([
    'kernels of kind attention: wanted 3, found 2\nlayers.0.attention.core (attention), layers.1.attention.core (attention)',
    'kernels of layer 0: wanted at most 4, found 5\nlayers.0.attention.q (linear), layers.0.attention.core (attention), layers.0.attention.o (linear), layers.0.ffn.up (linear), layers.0.ffn.down (linear)',
    'kernels of 1 layers are listed, the model has 2 layers',
  ]);
});

it('tells which fusions fired, where and why not', async () => {
  expect(await found('fusions: { fired: [attention, { pass: gated-product, times: layers }, { pass: epilogue, at: "layers.*.ffn*" }], not_fired: [{ pass: epilogue, at: "*.core" }] }')).toEqual([]);
  expect(await found('fusions: { fired: [{ pass: attention, at: "layers.7.*" }, { pass: attention, times: 3 }, epilog], not_fired: [gated-product] }')).toEqual([
    'wanted attention at layers.7.* to fire, it did not; it fired at layers.0.attention.core, layers.1.attention.core',
    'fusions by attention: wanted 3, found 2',
    'no pass is called `epilog`; did you mean `epilogue`?',
    'wanted gated-product not to fire, it did at layers.0.ffn.activation, layers.1.ffn.activation\nlayers.0.ffn.up and layers.0.ffn.gate as one product, rows interleaved',
  ]);
  expect(kernelPasses.map(({ name }) => name)).toContain('epilogue');
});

it('computes the same whichever way, and names the first value that differs', async () => {
  expect(await found('agree: { fused: true, devices: [cpu, reference], decode: true, sequences: true, causal: true }')).toEqual([]);
  expect(await found('agree: { fused: 0 }')).toEqual([expect.stringMatching(/^fused and unfused: logits differ by [\d.e-]+ where 0 is allowed: -?[\d.]+ against -?[\d.]+ at \[\d+, \d+\]\n/)]);
  const [apart, ...more] = await found('agree: { devices: [cpu, reference], tolerance: 0 }');
  expect(more).toEqual([]);
  expect(apart).toMatch(/^cpu and reference: logits differ by .*\nthe first values apart: layers\.0\.\S+ differ by .*; operator `\w+` of layers\.0\.\S+ \(tiny\.yaml:\d+\)$/);
  expect(await found('agree: { decode: 0 }')).toEqual(expect.arrayContaining([expect.stringMatching(/^token by token and in one prefill: logits differ by /)]));
});

it('holds a model to the causality that it should have', async () => {
  expect(await found('agree: { causal: false }')).toEqual(['wanted later tokens to have a say in earlier logits, they have none: the model is causal']);
  const encoder = folderWith({ 'tiny.yaml': `peel: 1
name: tiny
params: { vocab: 32, dim: 16, layers: 1 }
embeddings: { token: { rows: vocab, dim: dim } }
normalization: { kind: rmsnorm, eps: 1e-5 }
layers:
  repeat: layers
  residual: [{ attention: { heads: 2, head_dim: 8, mask: bidirectional, position: none } }]
output: { norm: default, linear: { tied: true } }
` });
  expect(await found('agree: { causal: false, sequences: true, fused: true, devices: [cpu, reference] }', '', { folder: encoder })).toEqual([]);
  expect(await found('agree: { causal: true, decode: true }', '', { folder: encoder })).toEqual([
    'the model is bidirectional: it reads a sequence in one step', expect.stringMatching(/^another token at position 12 changes the logits of position 0: -?[\d.]+ becomes -?[\d.]+$/),
  ]);
});

it('records golden values and compares with them, values inside the model too', async () => {
  const folder = folderWith({});
  expect(await found('golden: { file: g.safetensors }', '', { folder })).toEqual(['there is no file g.safetensors; `peel test --update` records what Peel computes']);
  const recorded = await found('golden: { file: g.safetensors, ids: [1, 2, 3, 4], values: ["layers.*.attention.probs"] }', '', { folder, update: true });
  expect(recorded).toEqual(['written: g.safetensors: 4 ids, 9 tensors']);
  expect(await found('golden: { file: g.safetensors }', '', { folder })).toEqual([]);
  const [apart, ...more] = await found('golden: { file: g.safetensors }', 'seed: 2', { folder });
  expect(more).toEqual([]);
  expect(apart).toMatch(/^against g\.safetensors: \S+ differ by .* where 1e-4 is allowed.*\nthe first layer apart: embeddings; the first value inside apart: layers\.0\.attention\.probs$/);
});
