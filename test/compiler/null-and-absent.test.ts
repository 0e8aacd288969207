/** A key of config.json that is absent has the default of transformers' configuration class; one that is null is none. */
import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { checkSpec, resolveModel } from '../../compiler/resolve.ts';
import { Reporter } from '../../compiler/resolve/context.ts';
import { resolveParams } from '../../compiler/resolve/params.ts';
import type { ParamSources } from '../../compiler/resolve/params.ts';
import { loadShipped, loadText } from './models.ts';

const sizes = { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 8, intermediate_size: 96, vocab_size: 100 };

function param(name: string, config: Readonly<Record<string, unknown>>, wanted: string): unknown {
  return resolveParams(new Reporter(), loadShipped(name).root, { config: { ...sizes, ...config } }, true).values.get(wanted);
}

describe('in models/', () => {
  // What transformers 5 gives for Config(), and for Config(key=None).
  test.each<[spec: string, type: string, key: string, param: string, absent: unknown, ifNull: unknown, given: unknown]>([
    ['gemma2', 'gemma2', 'attn_logit_softcapping', 'score_cap', 50, null, 20],
    ['gemma2', 'gemma2', 'final_logit_softcapping', 'logit_cap', 30, null, 20],
    ['gemma2', 'gemma2', 'sliding_window', 'window', 4096, null, 7],
    ['gemma2', 'gemma2', 'num_key_value_heads', 'kv_heads', 4, 8, 2],
    ['gemma3', 'gemma3_text', 'final_logit_softcapping', 'logit_cap', null, null, 20],
    ['vaultgemma', 'vaultgemma', 'attn_logit_softcapping', 'score_cap', 50, null, 20],
    ['nanochat', 'nanochat', 'final_logit_softcapping', 'logit_cap', 15, null, 20],
    ['llama', 'llama', 'num_key_value_heads', 'kv_heads', 8, 8, 2],
    ['llama', 'llama', 'sliding_window', 'window', null, null, 7],
    ['llama', 'mistral', 'sliding_window', 'window', 4096, null, 7],
    ['mixtral', 'mixtral', 'sliding_window', 'window', null, null, 7],
    ['glm', 'glm', 'num_key_value_heads', 'kv_heads', 2, 8, 4],
    ['gpt_oss', 'gpt_oss', 'head_dim', 'head_dim', 64, 8, 16],
    ['deepseek_v2', 'deepseek_v2', 'q_lora_rank', 'q_rank', 1536, null, 24],
    ['deepseek_v3', 'deepseek_v3', 'q_lora_rank', 'q_rank', 1536, null, 24],
    ['youtu', 'youtu', 'q_lora_rank', 'q_rank', 1536, null, 24],
    ['granite_swa', 'granite_swa', 'rms_norm_eps', 'eps', 1e-5, 1e-5, 1e-3],
    ['helium', 'helium', 'rms_norm_eps', 'eps', 1e-8, 1e-8, 1e-3],
    ['llama', 'llama', 'rope_scaling', 'rope_type', 'default', 'default', undefined],
  ])('%s (%s): %s', (spec, type, key, name, absent, ifNull, given) => {
    expect(param(spec, { model_type: type }, name)).toEqual(absent);
    expect(param(spec, { model_type: type, [key]: null }, name)).toEqual(ifNull);
    if (given !== undefined) expect(param(spec, { model_type: type, [key]: given }, name)).toEqual(given);
  });

  test('a Mistral with heads of its own, and without', () => {
    const config = { model_type: 'mistral', num_attention_heads: 16 };
    expect(param('llama', config, 'kv_heads')).toBe(8);
    expect(param('llama', { ...config, num_key_value_heads: null }, 'kv_heads')).toBe(16);
  });
});

describe('if_null', () => {
  const value = (params: string, sources: ParamSources, others: Record<string, string> = {}, head = ''): unknown => {
    const { spec, diagnostics } = loadText(`peel: 1\n${head}\nparams: ${params}\nembeddings: { token: { rows: 9, dim: 8 } }\nlayers: { repeat: 0, residual: [] }\noutput: {}`, others);
    const resolved = resolveModel(spec!, sources);
    expect([...diagnostics, ...resolved.diagnostics].map((d) => formatDiagnostic(d))).toEqual([]);
    return resolved.model!.params['a'];
  };
  const a = '{ config: [x, n.y], default: 1, if_null: b + 1 }';
  test.each<[Record<string, unknown>, unknown]>([
    [{}, 1], [{ x: 5 }, 5], [{ x: null }, 8], [{ n: { y: null } }, 8], [{ n: null }, 1], [{ x: null, n: { y: 3 } }, 3], [{ n: { y: 4 } }, 4],
  ])('%j', (config, expected) => {
    expect(value(`{ a: ${a}, b: 7 }`, { config })).toBe(expected);
  });
  test('null may stay null, also over a base', () => {
    expect(value('{ a: { config: x, default: 1, if_null: null } }', { config: { x: null } })).toBe(null);
    expect(value('{ a: { config: x, default: 1 } }', { config: { x: null } })).toBe(1);
    expect(value('{ a: { if_null: null } }', { config: { x: null } }, { 'base.yaml': 'peel: 1\nparams: { a: { config: x, default: 1, if_null: 2 } }' }, 'extends: base')).toBe(null);
  });
  test('null from the command line is null', () => {
    expect(value('{ a: 3 }', { set: { a: 'null' } })).toBe(null);
  });
});

describe('gguf_default', () => {
  const spec = `peel: 1
params:
  tied:  { config: tie, gguf: "{arch}.tied", gguf_default: "tensors['output.weight'] == null", default: false }
  rows:  { gguf_default: "tensors['token_embd.weight'][0]", default: 7 }
  dense: { gguf_default: "tensors[format('blk.{}.gate.weight', i)] == null", default: true }
  none:  { default: 8, gguf_default: null }
embeddings: { token: { rows: 9, dim: 8 } }
layers: { repeat: 0, residual: [] }
output: {}`;
  const resolve = (sources: ParamSources) => {
    const reporter = new Reporter();
    const params = resolveParams(reporter, loadText(spec).spec!.root, sources);
    expect(reporter.diagnostics()).toEqual([]);
    return params;
  };
  const tensors = { 'token_embd.weight': [5, 8], 'blk.1.gate.weight': [2, 8] };

  test('stands in for the default where a GGUF file is read, and knows its tensors', () => {
    const found = resolve({ gguf: { 'general.architecture': 'a' }, tensors });
    expect([found.values.get('tied'), found.values.get('rows'), found.values.get('none')]).toEqual([true, 5, null]);
    expect([0, 1, 2].map((i) => found.inLayer(i).get('dense'))).toEqual([true, false, true]);
    expect(resolve({ gguf: { 'general.architecture': 'a', 'a.tied': false }, tensors }).values.get('tied')).toBe(false);
  });

  test('is not looked at elsewhere', () => {
    const found = resolve({ config: {} });
    expect([found.values.get('tied'), found.values.get('rows'), found.values.get('none'), found.values.get('dense')]).toEqual([false, 7, 8, true]);
  });

  test('`tensors` is known there alone', () => {
    const { spec: other } = loadText(spec.replace('default: false', 'default: tensors == null'));
    expect(checkSpec(other!).map((d) => `${d.code} ${d.path}`)).toEqual(['E403 /params/tied/default']);
  });
});

describe('per_layer', () => {
  const resolve = (heads: unknown) => {
    const reporter = new Reporter();
    const { spec, diagnostics } = loadText(`peel: 1
params: { heads: { config: heads, default: 4, per_layer: true }, width: heads * 8, list: { config: heads, default: 4 } }
embeddings: { token: { rows: 9, dim: 8 } }
layers: { repeat: 0, residual: [] }
output: {}`);
    expect([...diagnostics, ...checkSpec(spec!)]).toEqual([]);
    const params = resolveParams(reporter, spec!.root, { config: { heads } });
    return { params, widths: () => [0, 1].map((i) => params.inLayer(i).get('width')), problems: () => reporter.diagnostics().map((d) => `${d.code} ${d.message}`) };
  };

  test('makes a list one value a layer, for what depends on it too', () => {
    const { params, widths, problems } = resolve([2, 3]);
    expect(params.layered).toEqual(['heads', 'width']);
    expect(widths()).toEqual([16, 24]);
    expect(problems()).toEqual([]);
  });

  test('leaves a single value, a list of equal ones, and other params as they are', () => {
    expect([resolve(5), resolve([6, 6])].map(({ params }) => [params.layered, params.values.get('width')])).toEqual([[[], 40], [[], 48]]);
    expect(resolve([2, 3]).params.values.get('list')).toEqual([2, 3]);
  });

  test('a list that ends before the layers do is reported', () => {
    const { params, problems } = resolve([2, 3]);
    params.inLayer(2);
    expect(problems()).toEqual(['E504 `heads` is a list of 2 values, none of them for layer 2']);
  });
});
