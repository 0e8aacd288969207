import { describe, expect, test } from 'vitest';
import { loadShipped, resolved } from './models.ts';

const llamaConfig = {
  hidden_size: 32, intermediate_size: 56, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, num_hidden_layers: 3, vocab_size: 160,
  max_position_embeddings: 128, rms_norm_eps: 1e-6, hidden_act: 'silu', rope_parameters: { rope_theta: 10000, rope_type: 'default' },
};

describe('llama', () => {
  test('resolves from a config', () => {
    const model = resolved(loadShipped('llama'), { config: llamaConfig });
    expect(model.dim).toBe(32);
    expect(model.context).toBe(128);
    expect(model.layers).toHaveLength(3);
    const [attention, ffn] = model.layers[1]!.steps;
    expect(attention).toMatchObject({ id: 'attention', norm: { kind: 'rmsnorm', eps: 1e-6, weight: true, bias: false }, scale: 1 });
    expect(attention!.branches[0]!.body).toMatchObject({ kind: 'attention', heads: 4, kvHeads: 2, headDim: 8, mask: 'causal', position: { kind: 'rope', dims: 8, pairing: 'half' } });
    expect(ffn!.branches[0]!.body).toMatchObject({ kind: 'ffn', hidden: 56, gated: true, activation: { kind: 'builtin', name: 'silu' } });
    expect(model.output.linear).toEqual({ rows: 160, tied: false, bias: false });
  });

  test('old and new spellings of rotary scaling give the same model', () => {
    const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32, rope_type: 'llama3' };
    const { rope_parameters: _, ...bare } = llamaConfig;
    const old = resolved(loadShipped('llama'), { config: { ...bare, rope_theta: 10000, rope_scaling: scaling } });
    const fresh = resolved(loadShipped('llama'), { config: { ...bare, rope_parameters: { ...scaling, rope_theta: 10000 } } });
    expect(fresh.layers).toEqual(old.layers);
    expect(fresh.layers[0]!.steps[0]!.branches[0]!.body).toMatchObject({ position: { scaling: { type: 'llama3', factor: 8, originalContext: 32 } } });
  });

  test('recipes name the tensors', () => {
    const model = resolved(loadShipped('llama'), { config: llamaConfig });
    expect(model.recipes!('layers.2.attention.k.weight')).toMatchObject({ names: ['layers.2.self_attn.k_proj.weight', 'model.layers.2.self_attn.k_proj.weight'] });
    expect(model.recipes!('embeddings.token.weight')!.names).toContain('model.embed_tokens.weight');
    expect(model.recipes!('layers.0.nothing.weight')).toBeUndefined();
  });
});

test('gpt2: fused and transposed projections', () => {
  const model = resolved(loadShipped('gpt2'), { config: { n_embd: 32, n_head: 4, n_layer: 2, vocab_size: 160, n_positions: 128, activation_function: 'gelu_new', layer_norm_epsilon: 1e-5, n_inner: null, scale_attn_by_inverse_layer_idx: true } });
  expect(model.embeddings.position).toEqual({ kind: 'learned', rows: 128, offset: 0 });
  expect(model.layers[1]!.steps[0]!.branches[0]!.body).toMatchObject({ scale: 8 ** -0.5 / 2, bias: { q: true, k: true, v: true, o: true } });
  expect(model.recipes!('layers.1.attention.v.weight')).toMatchObject({
    names: ['transformer.h.1.attn.c_attn.weight', 'h.1.attn.c_attn.weight'], transpose: true, unpack: { outer: 1, parts: [32, 32, 32], inner: 1, take: 2 },
  });
  expect(model.recipes!('layers.1.attention.v.bias')!.transpose).toBeUndefined();
  expect(model.ignoredTensors).toContain('lm_head.weight');
});
