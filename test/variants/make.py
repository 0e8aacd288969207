"""Write the variant checkpoints beside this file: switches of config.json that no folder of test/golden turns.

Uses test/golden/make.py (needs torch, transformers, safetensors). Usage: python make.py [NAME...]
"""
import os, runpy, sys

HERE = os.path.dirname(os.path.abspath(__file__))
make = runpy.run_path(os.path.join(HERE, "..", "golden", "make.py"))

B = dict(vocab_size=48, bos_token_id=1, eos_token_id=2, pad_token_id=0)
S = dict(B, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20, max_position_embeddings=64)
G = dict(S, num_attention_heads=4, num_key_value_heads=2, head_dim=8)
P = dict(B, n_embd=16, n_layer=2, n_head=2, n_positions=64)
F = dict(B, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
D = dict(S, num_hidden_layers=2, num_key_value_heads=2, q_lora_rank=6, kv_lora_rank=8, qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=4,
         n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=1, moe_intermediate_size=8, first_k_dense_replace=1, n_group=3, topk_group=2)


def R(kind, **more):
    return dict(rope_type=kind, rope_theta=10000.0, **more)


FACTORS = dict(short_factor=[1.0, 1.5, 2.0, 3.0], long_factor=[1.2, 2.5, 4.0, 8.0])
MODELS = {
    "llama_biases": ("llama", dict(G, attention_bias=True, mlp_bias=True, hidden_act="gelu_fast", rms_norm_eps=1e-3)),
    "llama_dynamic": ("llama", dict(G, max_position_embeddings=8, rope_parameters=R("dynamic", factor=2.0))),
    "llama_longrope": ("llama", dict(G, rope_parameters=R("longrope", original_max_position_embeddings=16, factor=4.0, **FACTORS))),
    "llama_yarn": ("llama", dict(G, head_dim=16, rope_parameters=R("yarn", factor=4.0, original_max_position_embeddings=32, attention_factor=1.3, beta_fast=16, beta_slow=2))),
    "qwen2_window": ("qwen2", dict(S, num_key_value_heads=1, use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "qwen3_moe_steps": ("qwen3_moe", dict(G, num_experts=5, num_experts_per_tok=3, moe_intermediate_size=8, norm_topk_prob=False, decoder_sparse_step=2, attention_bias=True)),
    "gemma2_caps": ("gemma2", dict(G, sliding_window=5, query_pre_attn_scalar=20, layer_types=["full_attention", "sliding_attention"], attn_logit_softcapping=2.0, final_logit_softcapping=3.0)),
    "phi_norms": ("phi", dict(S, partial_rotary_factor=0.5, qk_layernorm=True, num_key_value_heads=1)),
    "phi3_longrope": ("phi3", dict(S, original_max_position_embeddings=8, num_key_value_heads=1, rope_parameters=R("longrope", **FACTORS))),
    "cohere_norms": ("cohere", dict(S, num_key_value_heads=1, use_qk_norm=True, attention_bias=True, tie_word_embeddings=False)),
    "smollm3_window": ("smollm3", dict(S, num_hidden_layers=3, num_key_value_heads=1, no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=4, attention_bias=True, mlp_bias=True)),
    "gpt2_scales": ("gpt2", dict(P, scale_attn_by_inverse_layer_idx=True, scale_attn_weights=False, n_inner=18, activation_function="relu", tie_word_embeddings=False)),
    "neox_sequential": ("gpt_neox", dict(S, rotary_pct=0.25, use_parallel_residual=False, attention_bias=False)),
    "bloom_six_heads": ("bloom", dict(B, hidden_size=18, n_layer=2, n_head=6, apply_residual_connection_post_layernorm=True)),
    "falcon_sequential": ("falcon", dict(F, multi_query=False, parallel_attn=False, bias=True, alibi=True)),
    "falcon_twelve_heads": ("falcon", dict(F, hidden_size=24, num_attention_heads=12, multi_query=True, alibi=True)),
    "falcon_one_norm": ("falcon", dict(F, num_kv_heads=1, new_decoder_architecture=True, num_ln_in_parallel_attn=1)),
    "deepseek_v2_biases": ("deepseek_v2", dict(D, topk_method="group_limited_greedy", attention_bias=True, mlp_bias=True, routed_scaling_factor=2.0, rope_parameters=R("yarn", factor=4.0, original_max_position_embeddings=32, mscale=0.707, mscale_all_dim=0.707))),
    "deepseek_v3_half": ("deepseek_v3", dict(D, rope_interleave=False, norm_topk_prob=False, q_lora_rank=None)),
    "gpt_oss_types": ("gpt_oss", dict(G, num_local_experts=4, num_experts_per_tok=3, sliding_window=4, layer_types=["full_attention", "sliding_attention"], swiglu_limit=0.5, attention_bias=False, rope_parameters=R("default"))),
}


for k, (name, (model_type, kw)) in enumerate(MODELS.items()):
    if sys.argv[1:] and name not in sys.argv[1:]: continue
    make["build"](name, model_type, kw, HERE, 7000 + k, T=13, N=8)
