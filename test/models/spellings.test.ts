/** Old and new spellings of the same config.json mean the same model. */
import { describe, expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { loadSpec } from '../../compiler/load.ts';
import { lowerModel } from '../../compiler/lower/lower-model.ts';
import { resolveModel } from '../../compiler/resolve.ts';
import { goldenFolder, modelsFolder, readDisk, specFor } from '../support/model-folder.ts';
import type { Graph } from '../../compiler/graph/types.ts';

type Config = Readonly<Record<string, unknown>>;

function lowered(config: Config): Pick<Graph, 'nodes' | 'weights' | 'outputs'> {
  const { spec } = loadSpec(specFor(String(config['model_type'])), readDisk, modelsFolder);
  if (!spec) throw new Error('no spec');
  const resolved = resolveModel(spec, { config });
  if (!resolved.model) throw new Error(resolved.diagnostics.map((d) => formatDiagnostic(d)).join('\n'));
  const { graph } = lowerModel(resolved.model);
  if (!graph) throw new Error('did not lower');
  return { nodes: graph.nodes, weights: graph.weights, outputs: graph.outputs };
}

function golden(name: string): Config {
  return JSON.parse(readFileSync(path.join(goldenFolder, name, 'config.json'), 'utf8')) as Config;
}

/** A golden config without some keys and with others. */
function changed(name: string, without: readonly string[], more: Config = {}): Config {
  return { ...Object.fromEntries(Object.entries(golden(name)).filter(([key]) => !without.includes(key))), ...more };
}

describe('spellings of config.json', () => {
  test.each<[string, string, Config]>([
    ['plain rotary positions', 'llama', changed('llama', ['rope_parameters'], { rope_theta: 10000.0, rope_scaling: null })],
    ['theta by default', 'llama', changed('llama', ['rope_parameters'])],
    ['head_dim and kv heads by default', 'gpt_neox', changed('gpt_neox', ['head_dim'])],
    ['linear scaling, oldest form', 'llama_linear_scaling', changed('llama_linear_scaling', ['rope_parameters'], { rope_theta: 10000.0, rope_scaling: { type: 'linear', factor: 4.0 } })],
    ['llama3 scaling', 'llama3_scaling', changed('llama3_scaling', ['rope_parameters'], {
      rope_theta: 10000.0, rope_scaling: { rope_type: 'llama3', factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_position_embeddings: 32 },
    })],
    ['YaRN of latent attention', 'deepseek_v3_yarn', changed('deepseek_v3_yarn', ['rope_parameters', 'qk_head_dim', 'head_dim'], {
      rope_theta: 10000.0,
      rope_scaling: { type: 'yarn', factor: 4.0, beta_fast: 32, beta_slow: 1, mscale: 1.0, mscale_all_dim: 1.0, original_max_position_embeddings: 32 },
    })],
    ['YaRN without truncation', 'gpt_oss', changed('gpt_oss', ['rope_parameters'], {
      rope_theta: 150000.0, rope_scaling: { rope_type: 'yarn', factor: 4.0, beta_fast: 32.0, beta_slow: 1.0, truncate: false, original_max_position_embeddings: 32 },
    })],
    ['rotary_pct and rotary_emb_base', 'gpt_neox', changed('gpt_neox', ['rope_parameters'], { rotary_pct: 0.5, rotary_emb_base: 10000 })],
    ['partial_rotary_factor', 'phi', changed('phi', ['rope_parameters'], { rope_theta: 10000.0, partial_rotary_factor: 0.5 })],
    ['local and global theta', 'gemma3', changed('gemma3', ['rope_parameters', 'layer_types'], { rope_theta: 1000000.0, rope_local_base_freq: 10000.0 })],
    ['layers by pattern', 'gemma2', changed('gemma2', ['layer_types'])],
    ['layers without positions', 'smollm3', changed('smollm3', ['no_rope_layers', 'layer_types'])],
    ['num_experts', 'qwen3_moe', changed('qwen3_moe', ['num_local_experts', 'rope_parameters'], { num_experts: 6, rope_theta: 10000.0, max_window_layers: 28 })],
    ['n_embed', 'bloom', changed('bloom', ['hidden_size'], { n_embed: 32 })],
    ['falcon by its first names', 'falcon_40b', changed('falcon_40b', ['num_hidden_layers', 'num_attention_heads', 'num_kv_heads', 'num_ln_in_parallel_attn', 'rope_parameters', 'ffn_hidden_size'], {
      model_type: 'RefinedWeb', n_layer: 3, n_head: 4, n_head_kv: 2,
    })],
  ])('%s', (_, name, config) => {
    expect(lowered(config)).toEqual(lowered(golden(name)));
  });

  test('a scaled local model is not the same as an unscaled one', () => {
    const scaled = changed('gemma3', ['rope_parameters'], { rope_theta: 1000000.0, rope_local_base_freq: 10000.0, rope_scaling: { rope_type: 'linear', factor: 8.0 } });
    expect(lowered(scaled)).not.toEqual(lowered(golden('gemma3')));
  });
});
