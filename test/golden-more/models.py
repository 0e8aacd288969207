"""Checkpoints beside those in test/golden: other families, and options of the same families. name: (model_type, arguments of its configuration).

Arguments that begin with an underscore are for make.py: `_class` the transformers class, `_attention` its attention implementation,
`_drop` and `_set` edit the saved config.json, `_old` writes rotary settings as files before transformers 5 do, `_rename` and `_add`
edit the saved tensors, `_times` multiplies random weights by name, `_shards` the largest shard, `_dtype` what weights are saved in, `_new` how many tokens are generated.
"""
BASE = dict(vocab_size=48, bos_token_id=1, eos_token_id=2, pad_token_id=0)
HEADS = dict(BASE, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, max_position_embeddings=64)
GROUPED = dict(HEADS, num_key_value_heads=2)
FOUR = dict(GROUPED, num_hidden_layers=4)
GPT2 = dict(BASE, n_embd=32, n_layer=2, n_head=4, n_positions=32, n_inner=24)
FALCON = dict(BASE, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_hidden_size=24)
LATENT = dict(HEADS, num_key_value_heads=4, q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=6)
SIGMOID = dict(n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1, moe_intermediate_size=12, first_k_dense_replace=1)
V3 = dict(LATENT, **SIGMOID, n_group=4, topk_group=2, routed_scaling_factor=2.5)
V2 = dict(LATENT, **SIGMOID, n_group=4, topk_group=2, topk_method="group_limited_greedy", routed_scaling_factor=1.5)
OSS = dict(GROUPED, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=5)
GRANITE = dict(embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=2.0)
LOCAL = dict(num_local_experts=4, num_experts_per_tok=2)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12)
YARN = dict(factor=4.0, original_max_position_embeddings=8)


def rope(kind, theta=10000.0, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **more))


def longrope(original):
    return dict(original_max_position_embeddings=original, **rope("longrope", short_factor=[1.0, 1.2, 1.4, 1.6], long_factor=[2.0, 3.5, 5.0, 6.5], original_max_position_embeddings=original))


MODELS = {
    # Options of the families in test/golden
    "llama_biases": ("llama", dict(GROUPED, attention_bias=True, mlp_bias=True)),
    "llama_dynamic_beyond": ("llama", dict(GROUPED, max_position_embeddings=9, **rope("dynamic", factor=2.0))),
    "llama_dynamic_within": ("llama", dict(GROUPED, **rope("dynamic", factor=2.0))),
    "llama_yarn": ("llama", dict(GROUPED, **rope("yarn", **YARN))),
    "llama_yarn_options": ("llama", dict(GROUPED, head_dim=16, **rope("yarn", **YARN, mscale=1.3, mscale_all_dim=0.7, truncate=False, beta_fast=16.0, beta_slow=2.0))),
    "llama_proportional": ("llama", dict(GROUPED, head_dim=16, **rope("proportional", partial_rotary_factor=0.5))),
    "llama_old_config": ("llama", dict(GROUPED, **rope("llama3", 5000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32), _old=True, _drop=["head_dim", "attention_bias", "mlp_bias", "tie_word_embeddings"])),
    "llama_shards": ("llama", dict(GROUPED, _dtype="float16", _shards="12KB")),
    "gpt2_options": ("gpt2", dict(GPT2, scale_attn_by_inverse_layer_idx=True, activation_function="gelu", tie_word_embeddings=False)),
    "gpt2_bare_names": ("gpt2", dict(GPT2, _rename=[("transformer.", "")], _add={"h.0.attn.bias": [1, 1, 8, 8], "h.1.attn.masked_bias": []}, _set=dict(n_ctx=32))),
    "neox_sequential": ("gpt_neox", dict(HEADS, use_parallel_residual=False, rotary_pct=1.0, attention_bias=False)),
    "bloom_six_heads": ("bloom", dict(BASE, hidden_size=36, n_layer=2, n_head=6, apply_residual_connection_post_layernorm=True)),
    # transformers' eager attention adds the bias twice; its other implementations do not.
    "falcon_rw": ("falcon", dict(FALCON, alibi=True, multi_query=False, parallel_attn=False, bias=True, new_decoder_architecture=False)),
    "falcon_11b": ("falcon", dict(FALCON, num_kv_heads=2, new_decoder_architecture=True, num_ln_in_parallel_attn=1, bias=False, alibi=False)),
    "falcon_sequential": ("falcon", dict(FALCON, multi_query=True, parallel_attn=False, new_decoder_architecture=False, bias=True, alibi=False)),
    "qwen2_windows": ("qwen2", dict(FOUR, use_sliding_window=True, sliding_window=5, max_window_layers=2, _drop=["layer_types"])),
    "qwen3_moe_steps": ("qwen3_moe", dict(FOUR, head_dim=12, **MOE, norm_topk_prob=False, decoder_sparse_step=2, attention_bias=True)),
    "gemma_old_config": ("gemma", dict(GROUPED, head_dim=12, hidden_act="gelu", _old=True, _drop=["hidden_activation", "layer_types", "use_bidirectional_attention"])),
    "gemma2_without_caps": ("gemma2", dict(GROUPED, head_dim=12, sliding_window=5, query_pre_attn_scalar=144, attn_logit_softcapping=None, final_logit_softcapping=None)),
    "gemma3_stretched": ("gemma3_text", dict(GROUPED, head_dim=12, sliding_window=5, tie_word_embeddings=False, layer_types=["sliding_attention", "full_attention"], rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6), sliding_attention=dict(rope_type="default", rope_theta=1e4)))),
    "gemma3_encoder": ("gemma3_text", dict(GROUPED, head_dim=12, sliding_window=5, layer_types=["sliding_attention", "full_attention"], use_bidirectional_attention=True, _class="AutoModel")),
    "phi_normed": ("phi", dict(GROUPED, partial_rotary_factor=0.5, qk_layernorm=True)),
    "phi3_long": ("phi3", dict(GROUPED, **longrope(8))),
    "phi3_short": ("phi3", dict(GROUPED, **longrope(32))),
    "cohere_normed": ("cohere", dict(GROUPED, use_qk_norm=True, attention_bias=True, logit_scale=1.5)),
    "smollm3_windows": ("smollm3", dict(FOUR, no_rope_layers=[1, 0, 0, 1], use_sliding_window=True, sliding_window=5)),
    "starcoder2_window": ("starcoder2", dict(GROUPED, sliding_window=5, use_bias=False, tie_word_embeddings=False)),
    "deepseek_v2_yarn": ("deepseek_v2", dict(V2, q_lora_rank=None, first_k_dense_replace=0, **rope("yarn", **YARN, mscale=0.707, mscale_all_dim=1.1))),
    "deepseek_v3_half": ("deepseek_v3", dict(V3, rope_interleave=False, attention_bias=True, norm_topk_prob=False)),
    # Large enough for the clamps to matter.
    "gpt_oss_plain": ("gpt_oss", dict(OSS, attention_bias=False, **rope("default", 150000.0), _times={"gate_up_proj": 6.0})),
    "bert_masked": ("bert", dict(HEADS, hidden_act="gelu_new", _class="AutoModelForMaskedLM", _rename=[("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")])),
    "bert_causal": ("bert", dict(HEADS, is_decoder=True, _class="AutoModelForCausalLM")),
    # Other families
    "opt": ("opt", dict(BASE, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=24, max_position_embeddings=32)),
    "opt_350m": ("opt", dict(BASE, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=24, max_position_embeddings=32, do_layer_norm_before=False, word_embed_proj_dim=20)),
    "mpt": ("mpt", dict(BASE, d_model=24, n_heads=6, n_layers=2, max_seq_len=32, attn_config=dict(clip_qkv=0.8, softmax_scale=0.3))),
    "stablelm": ("stablelm", dict(GROUPED, use_qkv_bias=True)),
    "stablelm_parallel": ("stablelm", dict(GROUPED, partial_rotary_factor=0.5, use_parallel_residual=True, qk_layernorm=True)),
    "olmo": ("olmo", dict(GROUPED, clip_qkv=0.8)),
    "olmo3": ("olmo3", dict(FOUR, sliding_window=5, rope_parameters=dict(full_attention=dict(rope_type="yarn", rope_theta=500000.0, **YARN), sliding_attention=dict(rope_type="default", rope_theta=500000.0)))),
    "olmoe": ("olmoe", dict(GROUPED, num_experts=4, num_experts_per_tok=2, clip_qkv=0.8)),
    "cohere2": ("cohere2", dict(FOUR, sliding_window=5)),
    "glm": ("glm", dict(GROUPED, head_dim=12)),
    "glm4": ("glm4", dict(GROUPED, head_dim=8)),
    "glm4_moe": ("glm4_moe", dict(GROUPED, **SIGMOID, n_group=4, topk_group=2, use_qk_norm=True, attention_bias=True)),
    "ernie4_5": ("ernie4_5", dict(GROUPED, head_dim=8, use_bias=True)),
    "ernie4_5_moe": ("ernie4_5_moe", dict(GROUPED, moe_intermediate_size=12, moe_k=2, moe_num_experts=4, moe_num_shared_experts=2)),
    "nemotron": ("nemotron", dict(GROUPED)),
    "minicpm3": ("minicpm3", dict(LATENT, scale_emb=3, scale_depth=1.4, dim_model_base=16)),
    "llama4": ("llama4_text", dict(FOUR, head_dim=8, intermediate_size_mlp=24, num_local_experts=2, attention_chunk_size=6, floor_scale=4, interleave_moe_layer_step=2)),
    "modernbert": ("modernbert", dict(HEADS, num_hidden_layers=3, local_attention=6, cls_token_id=3, sep_token_id=4, _class="AutoModelForMaskedLM")),
    "qwen2_moe": ("qwen2_moe", dict(GROUPED, **MOE, shared_expert_intermediate_size=12)),
    "qwen3_next": ("qwen3_next", dict(GROUPED, head_dim=8, layer_types=["full_attention"] * 2, **MOE, shared_expert_intermediate_size=12)),
    "gpt_neo": ("gpt_neo", dict(BASE, hidden_size=32, num_layers=2, num_heads=4, intermediate_size=24, attention_types=[[["global", "local"], 1]], window_size=5, max_position_embeddings=32)),
    "gpt_bigcode": ("gpt_bigcode", dict(GPT2)),
    "codegen": ("codegen", dict(GPT2, rotary_dim=4)),
    "xglm": ("xglm", dict(BASE, d_model=32, num_layers=2, attention_heads=4, ffn_dim=24, max_position_embeddings=32)),
    "persimmon": ("persimmon", dict(HEADS)),
    "apertus": ("apertus", dict(GROUPED)),
    "bitnet": ("bitnet", dict(GROUPED)),
    "exaone4": ("exaone4", dict(FOUR, sliding_window=5)),
    "hunyuan_dense": ("hunyuan_v1_dense", dict(GROUPED, head_dim=8, **rope("dynamic", factor=1.0, alpha=1000.0))),
    "phimoe": ("phimoe", dict(GROUPED, **LOCAL, lm_head_bias=True)),
    "granitemoe": ("granitemoeshared", dict(GROUPED, **GRANITE, **LOCAL, shared_intermediate_size=12)),
    "granite_swa": ("granite_swa", dict(GROUPED, **GRANITE, sliding_window=5, layer_types=["sliding_attention", "full_attention"])),
    "jetmoe": ("jetmoe", dict(BASE, hidden_size=32, num_hidden_layers=2, num_key_value_heads=2, kv_channels=8, intermediate_size=12, max_position_embeddings=64, num_local_experts=4, num_experts_per_tok=2)),
    "diffllama": ("diffllama", dict(GROUPED)),
    "dbrx": ("dbrx", dict(BASE, d_model=32, n_heads=4, n_layers=2, max_seq_len=64, attn_config=dict(clip_qkv=0.8, kv_n_heads=2, rope_theta=10000.0), ffn_config=dict(ffn_hidden_size=12, moe_num_experts=4, moe_top_k=2))),
    "minimax_m2": ("minimax_m2", dict(GROUPED, head_dim=8, rotary_dim=4, num_local_experts=4, num_experts_per_tok=2)),
    "afmoe": ("afmoe", dict(GROUPED, head_dim=8, moe_intermediate_size=12, num_dense_layers=1, num_experts=4, num_experts_per_tok=2, num_shared_experts=1, sliding_window=5, global_attn_every_n_layers=2, mup_enabled=True, route_scale=1.5)),
    "laguna": ("laguna", dict(GROUPED, head_dim=8, **MOE, shared_expert_intermediate_size=12, sliding_window=5, layer_types=["full_attention", "sliding_attention"])),
    "mimo_v2_flash": ("mimo_v2_flash", dict(GROUPED, head_dim=12, v_head_dim=8, moe_intermediate_size=12, n_routed_experts=4, num_experts_per_tok=2, sliding_window=5, layer_types=["full_attention", "sliding_attention"])),
    "ministral3": ("ministral3", dict(GROUPED, head_dim=12, rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, **YARN, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1))),
    "nanochat": ("nanochat", dict(GROUPED)),
    "openai_gpt": ("openai-gpt", {k: v for k, v in GPT2.items() if k != "n_inner"}),
    "roberta": ("roberta", dict(HEADS, pad_token_id=1, bos_token_id=0, _class="AutoModelForMaskedLM")),
    "distilbert": ("distilbert", dict(vocab_size=48, dim=32, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=32, _class="AutoModel")),
    "electra": ("electra", dict(HEADS, embedding_size=20, _class="AutoModel")),
    "albert": ("albert", dict(HEADS, embedding_size=20, _class="AutoModel")),
    "mpnet": ("mpnet", dict(HEADS, pad_token_id=1, bos_token_id=0, _class="AutoModel")),
    "lfm2_moe": ("lfm2_moe", dict(FOUR, **MOE, num_dense_layers=1, block_multiple_of=8, layer_types=["conv", "full_attention", "conv", "conv"])),
    "lfm2": ("lfm2", dict(FOUR, block_ff_dim=36, block_multiple_of=8, layer_types=["conv", "full_attention", "conv", "full_attention"])),
    "seed_oss": ("seed_oss", dict(GROUPED, head_dim=8)),
    "dots1": ("dots1", dict(GROUPED, head_dim=8, **SIGMOID, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=2.5)),
    "exaone_moe": ("exaone_moe", dict(FOUR, head_dim=8, num_experts=4, num_experts_per_tok=2, num_shared_experts=1, moe_intermediate_size=12, n_group=1, topk_group=1, sliding_window=5, mlp_layer_types=["dense", "sparse", "sparse", "sparse"])),
    "hunyuan_moe": ("hunyuan_v1_moe", dict(GROUPED, head_dim=8, num_experts=4, moe_topk=2)),
    "jais2": ("jais2", dict(GROUPED)),
    "nomic_bert": ("nomic_bert", dict(HEADS, _class="AutoModel")),
    "eurobert": ("eurobert", dict(GROUPED, _class="AutoModel")),
    "modernbert_encoder": ("modernbert", dict(HEADS, num_hidden_layers=3, local_attention=6, cls_token_id=3, sep_token_id=4, _class="AutoModel")),
}
