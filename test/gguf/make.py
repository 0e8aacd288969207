"""Write Hugging Face folders as GGUF files, by the rules that llama.cpp's converter follows.

Usage: make.py FOLDER... --out DIR [--type f32|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|mxfp4|tq1_0|tq2_0] [--pre NAME] [--model-type TYPE] [--name NAME]

Each FOLDER (config.json, *.safetensors, and tokenizer.json if there is one) becomes DIR/<name>.gguf. Needs the Python packages gguf,
numpy, safetensors and torch. Tensors that a type's blocks do not fit are kept as f16, norms and vectors as f32, as the converter does.
Where one family's rule differs from the general one, the function of that family says how; names come from the package's own map.
"""
import argparse
import json
import math
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors import safe_open

from tokenizer import add_tokenizer

A = gguf.MODEL_ARCH
T = gguf.MODEL_TENSOR


class Checkpoint:
    def __init__(self, folder):
        self.folder = Path(folder)
        config = json.loads((self.folder / 'config.json').read_text())
        self.config = {**config, **config.get('text_config', {})} if isinstance(config.get('text_config'), dict) else config
        self.model_type = self.config['model_type']
        self.layers = self.get('num_hidden_layers', 'n_layer', 'n_layers')
        self.rope = self.rope_parameters()

    def get(self, *keys, default=None):
        for key in keys:
            if self.config.get(key) is not None:
                return self.config[key]
        return default

    def need(self, *keys):
        value = self.get(*keys)
        if value is None:
            raise KeyError(f'{self.folder}: config.json has none of {", ".join(keys)}')
        return value

    @property
    def heads(self):
        return self.need('num_attention_heads', 'n_head', 'n_heads')

    @property
    def kv_heads(self):
        return self.get('num_key_value_heads', 'n_kv_heads', default=self.heads)

    @property
    def dim(self):
        return self.need('hidden_size', 'n_embd', 'd_model', 'n_embed', 'dim')

    @property
    def head_dim(self):
        return self.get('head_dim', default=self.dim // self.heads)

    def rope_parameters(self):
        """One form for what new files say under rope_parameters and old ones under rope_scaling and rope_theta."""
        rope = dict(self.get('rope_parameters', 'rope_scaling', default={}))
        if 'full_attention' in rope or 'sliding_attention' in rope:
            return rope
        theta = self.get('rope_theta', 'rotary_emb_base')
        if theta is not None:
            rope.setdefault('rope_theta', theta)
        if 'type' in rope:
            rope.setdefault('rope_type', rope['type'])
        for key in ('partial_rotary_factor', 'original_max_position_embeddings'):
            if self.get(key) is not None:
                rope.setdefault(key, self.get(key))
        local = self.get('rope_local_base_freq')
        if local is not None:
            rope['sliding_attention'] = {'rope_theta': local}
        return rope

    @property
    def full_rope(self):
        return self.rope.get('full_attention', self.rope)

    def tensors(self):
        for file in sorted(self.folder.glob('*.safetensors')):
            if file.name == 'golden.safetensors':
                continue
            with safe_open(file, 'pt') as source:
                for name in source.keys():
                    yield name, source.get_tensor(name)


# ---- metadata ----

def general_metadata(w, c):
    """What the converter writes for every text model, from whichever of the usual keys config.json has."""
    w.add_block_count(c.layers)
    if (context := c.get('max_position_embeddings', 'n_ctx', 'n_positions', 'max_length', 'max_seq_len')) is not None:
        w.add_context_length(context)
    w.add_embedding_length(c.dim)
    if (hidden := c.get('intermediate_size', 'n_inner', 'hidden_dim')) is not None:
        w.add_feed_forward_length(hidden)
    w.add_head_count(c.heads)
    if (kv := c.get('num_key_value_heads', 'n_kv_heads')) is not None:
        w.add_head_count_kv(kv)
    if c.get('is_causal') is False:
        w.add_causal_attention(False)
    rope_metadata(w, c.full_rope)
    if (local := c.rope.get('sliding_attention', {}).get('rope_theta')) is not None:
        w.add_key_value(f'{w.arch}.rope.freq_base_swa', local, gguf.GGUFValueType.FLOAT32)
    if (eps := c.get('rms_norm_eps', 'norm_eps')) is not None:
        w.add_layer_norm_rms_eps(eps)
    if (eps := c.get('layer_norm_eps', 'layer_norm_epsilon', 'norm_epsilon')) is not None:
        w.add_layer_norm_eps(eps)
    if (experts := c.get('num_local_experts', 'num_experts')) is not None:
        w.add_expert_count(experts)
    if (used := c.get('num_experts_per_tok')) is not None:
        w.add_expert_used_count(used)
    if (groups := c.get('n_group')) is not None:
        w.add_expert_group_count(groups)
    if (used := c.get('topk_group')) is not None:
        w.add_expert_group_used_count(used)
    if (score := c.get('scoring_func')) is not None:
        w.add_expert_gating_func({'sigmoid': gguf.ExpertGatingFuncType.SIGMOID, 'softmax': gguf.ExpertGatingFuncType.SOFTMAX}[score])
    if (head := c.get('head_dim')) is not None:
        w.add_key_length(head)
        w.add_value_length(head)


def rope_metadata(w, rope):
    kind = rope.get('rope_type')
    factor = rope.get('factor')
    if kind == 'linear' and factor is not None:
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(factor)
    elif kind == 'yarn' and factor is not None:
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(factor)
        w.add_rope_scaling_orig_ctx_len(rope['original_max_position_embeddings'])
        for key, name in (('attention_factor', 'yarn_attn_factor'), ('beta_fast', 'yarn_beta_fast'), ('beta_slow', 'yarn_beta_slow')):
            if rope.get(key) is not None:
                w.add_float32(f'{w.arch}.rope.scaling.{name}', rope[key])
    elif kind in ('su', 'longrope'):
        w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
    if rope.get('rope_theta') is not None:
        w.add_rope_freq_base(rope['rope_theta'])


def rotary_share(c, default=1.0):
    return c.rope.get('partial_rotary_factor', c.get('rotary_pct', 'rope_pct', default=default))


# ---- tensors ----

def permute(data, heads):
    """Rows of each head in the order that pairs neighbours: (half, element) becomes (element, half)."""
    return data.reshape(heads, 2, data.shape[0] // heads // 2, *data.shape[1:]).swapaxes(1, 2).reshape(data.shape)


def apart(data, groups, parts, width):
    """Rows of `groups` x `parts` x `width`, part by part: of BLOOM's, NeoX's and Falcon's interleaved queries, keys and values."""
    grouped = data.reshape(groups, sum(parts), width, *data.shape[1:])
    cut, at = [], 0
    for part in parts:
        cut.append(grouped[:, at:at + part].reshape(groups * part * width, *data.shape[1:]))
        at += part
    return torch.cat(cut)


def llama_like(c, name, data):
    if name.endswith(('q_proj.weight', 'q_proj.bias')):
        data = permute(data, c.heads)
    elif name.endswith(('k_proj.weight', 'k_proj.bias')):
        data = permute(data, c.kv_heads)
    yield name, data


def plain(c, name, data):
    yield name, data


def one_plus(c, name, data):
    yield name, data + 1 if name.endswith('norm.weight') else data


def llama3_factors(c):
    """What LLaMA 3's scaling divides each frequency by."""
    rope = c.full_rope
    if rope.get('rope_type') != 'llama3':
        return
    frequencies = 1.0 / rope.get('rope_theta', 10000.0) ** (torch.arange(0, c.head_dim, 2, dtype=torch.float32) / c.head_dim)
    factor, low, high = rope.get('factor', 8.0), rope.get('low_freq_factor', 1.0), rope.get('high_freq_factor', 4.0)
    original = rope.get('original_max_position_embeddings', 8192)
    factors = []
    for frequency in frequencies.tolist():
        wavelength = 2 * math.pi / frequency
        if wavelength < original / high:
            factors.append(1.0)
        elif wavelength > original / low:
            factors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    yield 'rope_freqs.weight', torch.tensor(factors)


# ---- families: an architecture, its metadata, its tensors ----

class Family:
    """`named` is an architecture that the package does not know; `arch` has its tensors' names then."""

    def __init__(self, arch, metadata=lambda w, c: None, tensors=plain, general=True, extra=lambda c: (), named=None):
        self.arch, self.metadata, self.tensors, self.general, self.extra = arch, metadata, tensors, general, extra
        self.name = named or gguf.MODEL_ARCH_NAMES[arch]


def llama_metadata(w, c):
    w.add_vocab_size(c.need('vocab_size'))
    w.add_rope_dimension_count(c.head_dim)


def granite_metadata(w, c):
    llama_metadata(w, c)
    for key, add in (('attention_multiplier', w.add_attention_scale), ('embedding_multiplier', w.add_embedding_scale),
                     ('residual_multiplier', w.add_residual_scale), ('logits_scaling', w.add_logit_scale)):
        if c.get(key):
            add(c.get(key))
    if c.get('shared_intermediate_size'):
        w.add_expert_shared_feed_forward_length(c.get('shared_intermediate_size'))


def granite_tensors(c, name, data):
    """Gate and up, which lie in one tensor, apart."""
    if name.endswith('block_sparse_moe.input_linear.weight'):
        layer = name.split('.')[2]
        gate, up = data.split(c.need('intermediate_size'), dim=-2)
        yield f'blk.{layer}.ffn_gate_exps.weight', gate
        yield f'blk.{layer}.ffn_up_exps.weight', up
    elif name.endswith('shared_mlp.input_linear.weight'):
        layer = name.split('.')[2]
        gate, up = data.split(c.need('shared_intermediate_size'), dim=-2)
        yield f'blk.{layer}.ffn_gate_shexp.weight', gate
        yield f'blk.{layer}.ffn_up_shexp.weight', up
    else:
        yield from llama_like(c, name, data)


def gpt2_metadata(w, c):
    w.add_block_count(c.layers)
    w.add_context_length(c.need('n_ctx', 'n_positions'))
    w.add_embedding_length(c.dim)
    w.add_feed_forward_length(c.get('n_inner', default=4 * c.dim))
    w.add_head_count(c.heads)
    w.add_layer_norm_eps(c.need('layer_norm_epsilon'))


def gpt2_tensors(c, name, data):
    if name.endswith(('.attn.bias', '.attn.masked_bias')):
        return
    yield name, data.T if name.endswith(('c_attn.weight', 'c_proj.weight', 'c_fc.weight')) else data


def starcoder_metadata(w, c):
    gpt2_metadata(w, c)
    w.add_head_count_kv(1)


def neox_metadata(w, c):
    w.add_context_length(c.need('max_position_embeddings'))
    w.add_embedding_length(c.dim)
    w.add_block_count(c.layers)
    w.add_feed_forward_length(c.need('intermediate_size'))
    w.add_rope_dimension_count(int(rotary_share(c, 0.25) * (c.dim // c.heads)))
    w.add_head_count(c.heads)
    w.add_parallel_residual(c.get('use_parallel_residual', default=True))
    w.add_layer_norm_eps(c.need('layer_norm_eps'))


def interleaved_qkv(c, name, data):
    if 'query_key_value' in name:
        data = apart(data, c.heads, (1, 1, 1), c.dim // c.heads)
    yield name, data


def bloom_metadata(w, c):
    w.add_context_length(c.get('seq_length', default=c.dim))
    w.add_embedding_length(c.dim)
    w.add_feed_forward_length(4 * c.dim)
    w.add_block_count(c.layers)
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.heads)
    w.add_layer_norm_eps(c.need('layer_norm_epsilon'))


def falcon_kv_heads(c):
    if not c.get('new_decoder_architecture'):
        return 1 if c.get('multi_query', default=True) else c.heads
    return c.get('num_kv_heads', 'n_head_kv', default=1)


def falcon_metadata(w, c):
    w.add_context_length(2048)
    w.add_tensor_data_layout('jploski')
    w.add_embedding_length(c.dim)
    # The converter writes 4 * width, which is what every real file has.
    w.add_feed_forward_length(c.get('ffn_hidden_size', default=4 * c.dim))
    w.add_block_count(c.layers)
    w.add_head_count(c.heads)
    w.add_head_count_kv(falcon_kv_heads(c))
    w.add_layer_norm_eps(c.need('layer_norm_epsilon'))


def falcon_tensors(c, name, data):
    if 'query_key_value' in name:
        kv = falcon_kv_heads(c)
        data = apart(data, kv, (c.heads // kv, 1, 1), c.dim // c.heads)
    yield name, data


def mpt_metadata(w, c):
    attention = c.get('attn_config', default={})
    w.add_context_length(c.need('max_seq_len'))
    w.add_embedding_length(c.dim)
    w.add_block_count(c.layers)
    w.add_feed_forward_length(4 * c.dim)
    w.add_head_count(c.heads)
    w.add_layer_norm_eps(1e-5)
    if attention.get('clip_qkv') is not None:
        w.add_clamp_kqv(attention['clip_qkv'])
    w.add_max_alibi_bias(attention.get('alibi_bias_max', 8))


def gptj_metadata(w, c):
    w.add_block_count(c.layers)
    w.add_context_length(c.need('n_positions'))
    w.add_embedding_length(c.dim)
    w.add_feed_forward_length(c.get('n_inner', default=4 * c.dim))
    w.add_head_count(c.heads)
    w.add_layer_norm_eps(c.need('layer_norm_epsilon'))
    w.add_rope_dimension_count(c.need('rotary_dim'))


def phi_metadata(w, c):
    w.add_context_length(c.need('n_positions', 'max_position_embeddings'))
    w.add_embedding_length(c.dim)
    # The converter writes 4 * width, which is what every file has; the width in config.json is what the tensors have.
    w.add_feed_forward_length(c.get('intermediate_size', default=4 * c.dim))
    w.add_block_count(c.layers)
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.kv_heads)
    w.add_layer_norm_eps(c.need('layer_norm_epsilon', 'layer_norm_eps'))
    w.add_rope_dimension_count(int(rotary_share(c, 0.5) * c.dim) // c.heads)
    w.add_add_bos_token(False)


def phi3_metadata(w, c):
    w.add_context_length(c.need('max_position_embeddings'))
    w.add_rope_scaling_orig_ctx_len(c.rope['original_max_position_embeddings'])
    w.add_embedding_length(c.dim)
    w.add_feed_forward_length(c.need('intermediate_size'))
    w.add_block_count(c.layers)
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.kv_heads)
    w.add_layer_norm_rms_eps(c.need('rms_norm_eps'))
    w.add_rope_dimension_count(int(rotary_share(c) * c.dim) // c.heads)
    w.add_rope_freq_base(c.full_rope['rope_theta'])
    # 0 tells Phi-4, which has no window, from the others.
    w.add_sliding_window(c.get('sliding_window', default=0))
    if c.rope.get('long_factor'):
        original = c.rope['original_max_position_embeddings']
        scale = c.need('max_position_embeddings') / original
        if c.rope['rope_type'] == 'yarn':
            factor = 0.1 * math.log(scale) + 1 if scale > 1 else 1.0
        else:
            factor = math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0
        w.add_rope_scaling_attn_factors(factor)


def longrope_factors(c):
    for kind in ('long', 'short'):
        if c.rope.get(f'{kind}_factor'):
            yield f'rope_factors_{kind}.weight', torch.tensor(c.rope[f'{kind}_factor'])


def gemma_metadata(w, c):
    w.add_context_length(c.need('max_position_embeddings'))
    w.add_embedding_length(c.dim)
    w.add_block_count(c.layers)
    w.add_feed_forward_length(c.need('intermediate_size'))
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.kv_heads)
    w.add_layer_norm_rms_eps(c.need('rms_norm_eps'))
    w.add_key_length(c.need('head_dim'))
    w.add_value_length(c.need('head_dim'))


def gemma2_metadata(w, c):
    gemma_metadata(w, c)
    w.add_attn_logit_softcapping(c.need('attn_logit_softcapping'))
    w.add_final_logit_softcapping(c.need('final_logit_softcapping'))
    w.add_sliding_window(c.need('sliding_window'))


def gemma3_metadata(w, c):
    if c.get('head_dim') is None:
        w.add_key_length(256)
        w.add_value_length(256)
    if c.get('final_logit_softcapping'):
        w.add_final_logit_softcapping(c.get('final_logit_softcapping'))
    if c.get('sliding_window_pattern') != 1:
        w.add_sliding_window(c.need('sliding_window'))


def qwen_moe_metadata(w, c):
    w.add_expert_feed_forward_length(c.need('moe_intermediate_size'))
    if c.get('shared_expert_intermediate_size') is not None:
        w.add_expert_shared_feed_forward_length(c.get('shared_expert_intermediate_size'))


def olmo_metadata(w, c):
    w.add_layer_norm_eps(1e-5)
    if c.get('clip_qkv') is not None:
        w.add_clamp_kqv(c.get('clip_qkv'))


def olmo2_metadata(w, c):
    if 'sliding_window' in c.config:
        w.add_sliding_window(c.need('sliding_window'))
        kinds = c.get('layer_types')
        pattern = [kind == 'sliding_attention' for kind in kinds] if kinds else [(i + 1) % 4 != 0 for i in range(c.layers)]
        w.add_array(f'{w.arch}.attention.sliding_window_pattern', pattern)


def cohere_metadata(w, c):
    w.add_logit_scale(c.need('logit_scale'))
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def cohere2_metadata(w, c):
    cohere_metadata(w, c)
    w.add_sliding_window(c.need('sliding_window'))
    w.add_vocab_size(c.need('vocab_size'))
    w.add_rope_dimension_count(int(c.get('rotary_pct', default=1) * (c.dim // c.heads)))


def stablelm_metadata(w, c):
    w.add_rope_dimension_count(int(rotary_share(c, 0.25) * (c.dim // c.heads)))
    w.add_parallel_residual(c.get('use_parallel_residual', default=False))


def nemotron_metadata(w, c):
    w.add_vocab_size(c.need('vocab_size'))
    w.add_layer_norm_eps(c.need('layer_norm_eps', 'norm_eps'))
    w.add_rope_dimension_count(int(rotary_share(c, 0.5) * c.dim) // c.heads)
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def glm_metadata(w, c):
    w.add_rope_dimension_count(int(c.head_dim * rotary_share(c, 0.5)))


def gpt_oss_metadata(w, c):
    w.add_sliding_window(c.need('sliding_window'))
    w.add_expert_feed_forward_length(c.need('intermediate_size'))


def gpt_oss_tensors(c, name, data):
    """Experts come as [experts, in, out] with gate and up interleaved, or as MXFP4 blocks of which both nibble orders differ."""
    if name.endswith('.sinks'):
        yield f'{name}.weight', data
    elif name.endswith('experts.down_proj_bias'):
        yield name.replace('down_proj_bias', 'down_proj.bias'), data
    elif name.endswith('experts.gate_up_proj_bias'):
        yield name.replace('gate_up_proj_bias', 'gate_proj.bias'), data[..., ::2]
        yield name.replace('gate_up_proj_bias', 'up_proj.bias'), data[..., 1::2]
    elif name.endswith('experts.down_proj'):
        yield f'{name}.weight', data.transpose(-1, -2)
    elif name.endswith('experts.gate_up_proj'):
        turned = data.transpose(-1, -2)
        yield name.replace('gate_up_proj', 'gate_proj.weight'), turned[:, ::2]
        yield name.replace('gate_up_proj', 'up_proj.weight'), turned[:, 1::2]
    else:
        yield name, data


def deepseek_metadata(w, c):
    w.add_leading_dense_block_count(c.get('first_k_dense_replace', default=0))
    w.add_vocab_size(c.need('vocab_size'))
    if c.get('q_lora_rank') is not None:
        w.add_q_lora_rank(c.get('q_lora_rank'))
    rank = c.need('kv_lora_rank')
    w.add_kv_lora_rank(rank)
    w.add_key_length(rank + c.need('qk_rope_head_dim'))
    w.add_value_length(rank)
    w.add_key_length_mla(c.need('qk_nope_head_dim') + c.need('qk_rope_head_dim'))
    w.add_value_length_mla(c.need('v_head_dim'))
    w.add_expert_feed_forward_length(c.need('moe_intermediate_size'))
    w.add_expert_count(c.need('n_routed_experts'))
    w.add_expert_shared_count(c.need('n_shared_experts'))
    w.add_expert_weights_scale(c.need('routed_scaling_factor'))
    if c.get('norm_topk_prob'):
        w.add_expert_weights_norm(True)
    # config.json of the real checkpoints names it; what transformers saves does not.
    if c.get('scoring_func') is None and c.model_type == 'deepseek_v3':
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_rope_dimension_count(c.need('qk_rope_head_dim'))
    if c.rope.get('mscale_all_dim') is not None:
        w.add_rope_scaling_yarn_log_mul(0.1 * c.rope['mscale_all_dim'])


def deepseek_tensors(c, name, data):
    """Keys and values out of the latent space apart, keys transposed: queries are mapped into the latent space."""
    if name.endswith('kv_b_proj.weight'):
        nope, value = c.need('qk_nope_head_dim'), c.need('v_head_dim')
        k, v = data.reshape(c.heads, nope + value, data.shape[-1]).split([nope, value], dim=1)
        yield name.replace('kv_b_proj', 'k_b_proj'), k.transpose(1, 2)
        yield name.replace('kv_b_proj', 'v_b_proj'), v
    elif name.endswith('e_score_correction_bias'):
        yield name.replace('e_score_correction_bias', 'e_score_correction.bias'), data
    else:
        yield name, data


def bert_metadata(w, c):
    w.add_causal_attention(False)
    w.add_token_type_count(c.get('type_vocab_size', default=1))


def bert_tensors(c, name, data):
    name = name.removeprefix('bert.')
    name = name.replace('.gamma', '.weight').replace('.beta', '.bias')
    if not name.startswith(('pooler.', 'cls.', 'embeddings.position_ids')):
        yield name, data


def split_experts(c, name, data):
    """Experts that come as [experts, in, out], gate and up side by side, apart and as [experts, out, in]."""
    if name.endswith('experts.down_proj'):
        yield f'{name}.weight', data.transpose(-1, -2)
    elif name.endswith('experts.gate_up_proj'):
        gate, up = data.transpose(-1, -2).chunk(2, dim=-2)
        yield name.replace('gate_up_proj', 'gate_proj.weight'), gate
        yield name.replace('gate_up_proj', 'up_proj.weight'), up
    else:
        yield from selection_bias(c, name, data)


def selection_bias(c, name, data):
    """What experts are chosen by besides their scores, as a bias by its name."""
    if name.endswith('e_score_correction_bias'):
        name = name.replace('e_score_correction_bias', 'e_score_correction.bias')
    elif name.endswith('.expert_bias'):
        name = f'{name}.bias'
    yield name, data


def moe_metadata(w, c):
    """Keys of families with shared experts and dense layers first, under their names in config.json."""
    for keys, add in ((('moe_intermediate_size',), w.add_expert_feed_forward_length), (('n_routed_experts', 'num_experts'), w.add_expert_count),
                      (('n_shared_experts', 'num_shared_experts', 'moe_num_shared_experts'), w.add_expert_shared_count),
                      (('first_k_dense_replace', 'num_dense_layers', 'moe_layer_start_index'), w.add_leading_dense_block_count),
                      (('routed_scaling_factor', 'route_scale'), w.add_expert_weights_scale), (('norm_topk_prob', 'route_norm'), w.add_expert_weights_norm)):
        if (value := c.get(*keys)) is not None:
            add(value)


def further_layers(w, c):
    """Layers that predict further tokens are counted with the others."""
    further = c.get('num_nextn_predict_layers', default=0)
    w.add_block_count(c.layers + further)
    w.add_nextn_predict_layers(further)


def further_tensors(c):
    for further in range(c.get('num_nextn_predict_layers', default=0)):
        yield f'blk.{c.layers + further}.nextn.enorm.weight', torch.ones(c.dim)


def glm4_moe_metadata(w, c):
    moe_metadata(w, c)
    further_layers(w, c)
    w.add_rope_dimension_count(int(c.head_dim * rotary_share(c, 0.5)))
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def afmoe_metadata(w, c):
    llama_metadata(w, c)
    moe_metadata(w, c)
    w.add_sliding_window(c.need('sliding_window'))


def apertus_tensors(c, name, data):
    if '.act_fn.' not in name:
        yield name, data


def apertus_metadata(w, c):
    """The activation's parameters are lists, a value a layer."""
    llama_metadata(w, c)
    found = {name: data for name, data in c.tensors() if '.act_fn.' in name}
    for key in ('alpha_p', 'alpha_n', 'beta', 'eps'):
        values = [found[f'model.layers.{i}.mlp.act_fn.{key}'].float().item() for i in range(c.layers)]
        w.add_array(f'xielu.{key}', values)


def bitnet_metadata(w, c):
    w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    w.add_rope_scaling_factor(1.0)


def bitnet_tensors(c, name, data):
    """Under the names of the first models."""
    yield name.replace('attn_sub_norm', 'inner_attn_ln').replace('ffn_sub_norm', 'ffn_layernorm'), data


def dbrx_metadata(w, c):
    attention, ffn = c.need('attn_config'), c.need('ffn_config')
    w.add_block_count(c.layers)
    w.add_context_length(c.need('max_seq_len'))
    w.add_embedding_length(c.dim)
    w.add_feed_forward_length(ffn['ffn_hidden_size'])
    w.add_head_count(c.heads)
    w.add_head_count_kv(attention['kv_n_heads'])
    w.add_rope_freq_base(attention['rope_theta'])
    w.add_clamp_kqv(attention['clip_qkv'])
    w.add_expert_count(ffn['moe_num_experts'])
    w.add_expert_used_count(ffn['moe_top_k'])
    w.add_layer_norm_eps(1e-5)


def dbrx_tensors(c, name, data):
    if '.ffn.experts.mlp.' in name:
        ffn = c.need('ffn_config')
        data = data.reshape(ffn['moe_num_experts'], ffn['ffn_hidden_size'], c.dim)
        yield f'{name}.weight', data.transpose(1, 2) if name.endswith('w2') else data
    else:
        yield name, data


def ernie_moe_metadata(w, c):
    moe_metadata(w, c)
    w.add_expert_count(c.need('moe_num_experts'))
    w.add_expert_used_count(c.need('moe_k'))
    w.add_interleave_moe_layer_step(c.need('moe_layer_interval'))
    if c.get('moe_num_shared_experts'):
        w.add_expert_shared_feed_forward_length(c.need('intermediate_size') // c.kv_heads)


def hunyuan_metadata(w, c):
    if c.rope.get('rope_type') == 'dynamic':
        width = c.need('head_dim')
        w.add_rope_freq_base(c.rope.get('rope_theta', 10000.0) * c.rope.get('alpha', 50) ** (width / (width - 2)))
        w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        w.add_rope_scaling_factor(1)
        w.add_rope_scaling_orig_ctx_len(256 * 1024)
        w.add_context_length(256 * 1024)


def hunyuan_moe_metadata(w, c):
    w.add_expert_shared_feed_forward_length(c.need('intermediate_size'))
    w.add_expert_feed_forward_length(c.need('intermediate_size'))
    top = c.need('moe_topk')
    w.add_expert_used_count(top[0] if isinstance(top, list) else top)
    w.add_expert_shared_count(1)
    hunyuan_metadata(w, c)


def exaone_moe_metadata(w, c):
    olmo2_metadata(w, c)
    w.add_vocab_size(c.need('vocab_size'))
    moe_metadata(w, c)
    w.add_expert_shared_feed_forward_length(c.need('moe_intermediate_size') * c.need('num_shared_experts'))
    w.add_leading_dense_block_count(c.need('mlp_layer_types').count('dense'))
    further_layers(w, c)
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def eurobert_metadata(w, c):
    w.add_causal_attention(False)
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def eurobert_tensors(c, name, data):
    yield name.removeprefix('model.'), data


def deci_metadata(w, c):
    """The last layer has one more group of heads and a wider feed-forward, which add nothing; an empty layer follows it."""
    group, more = c.heads // c.kv_heads, 8
    w.add_block_count(c.layers + 1)
    w.add_head_count([c.heads] * (c.layers - 1) + [c.heads + group, 0])
    w.add_head_count_kv([c.kv_heads] * (c.layers - 1) + [c.kv_heads + 1, 0])
    w.add_feed_forward_length([c.need('intermediate_size')] * (c.layers - 1) + [c.need('intermediate_size') + more, 0])
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    llama_metadata(w, c)


def deci_tensors(c, name, data):
    for name, data in llama_like(c, name, data):
        part = name.split('.')[-2] if f'layers.{c.layers - 1}.' in name else ''
        rows = {'q_proj': c.head_dim * (c.heads // c.kv_heads), 'k_proj': c.head_dim, 'v_proj': c.head_dim, 'gate_proj': 8, 'up_proj': 8}.get(part, 0)
        columns = {'o_proj': c.head_dim * (c.heads // c.kv_heads), 'down_proj': 8}.get(part, 0)
        if rows:
            data = torch.cat([data, torch.full((rows, *data.shape[1:]), 0.5)])
        if columns and data.ndim == 2:
            data = torch.cat([data, torch.zeros(data.shape[0], columns)], dim=1)
        yield name, data


def laguna_metadata(w, c):
    w.add_vocab_size(c.need('vocab_size'))
    w.add_head_count(c.need('num_attention_heads_per_layer'))
    w.add_sliding_window(c.need('sliding_window'))
    moe_metadata(w, c)
    w.add_expert_shared_feed_forward_length(c.need('shared_expert_intermediate_size'))
    w.add_expert_weights_norm(True)
    w.add_expert_weights_scale(float(c.need('moe_routed_scaling_factor')))
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_leading_dense_block_count(c.need('mlp_layer_types').count('dense'))
    for kind, add in (('full_attention', w.add_rope_dimension_count), ('sliding_attention', w.add_rope_dimension_count_swa)):
        add(int(c.need('head_dim') * c.rope[kind]['partial_rotary_factor']))


def laguna_tensors(c, name, data):
    yield from selection_bias(c, name.replace('mlp.experts.e_score', 'mlp.gate.e_score').replace('post_attention_layernorm', 'pre_mlp_layernorm'), data)


def lfm2_metadata(w, c):
    w.add_head_count_kv([0 if kind == 'conv' else c.kv_heads for kind in c.need('layer_types')])
    w.add_vocab_size(c.need('vocab_size'))
    w.add_shortconv_l_cache(c.need('conv_L_cache'))
    if c.model_type == 'lfm2':
        hidden = c.need('block_ff_dim', 'intermediate_size')
        if c.get('block_auto_adjust_ff_dim', default=True):
            hidden = int(2 * hidden / 3)
            if c.get('block_ffn_dim_multiplier') is not None:
                hidden = int(c.get('block_ffn_dim_multiplier') * hidden)
            step = c.need('block_multiple_of')
            hidden = step * ((hidden + step - 1) // step)
        w.add_feed_forward_length(hidden)
    else:
        moe_metadata(w, c)
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def lfm2_tensors(c, name, data):
    if '.conv.conv.' in name:
        data = data.squeeze(1)
    yield from selection_bias(c, name, data)


def llama4_metadata(w, c):
    llama_metadata(w, c)
    w.add_feed_forward_length(c.need('intermediate_size_mlp'))
    w.add_expert_feed_forward_length(c.need('intermediate_size'))
    w.add_interleave_moe_layer_step(c.need('interleave_moe_layer_step'))


def mimo_metadata(w, c):
    moe_metadata(w, c)
    local = [kind == 'sliding_attention' for kind in c.need('layer_types')]
    w.add_head_count_kv([2 * c.kv_heads if one else c.kv_heads for one in local])
    w.add_sliding_window(c.need('sliding_window'))
    w.add_sliding_window_pattern([int(one) for one in local])
    w.add_value_length(c.need('v_head_dim'))
    w.add_rope_dimension_count(int(c.head_dim * c.full_rope['partial_rotary_factor']))
    w.add_float32(f'{w.arch}.attention.value_scale', c.need('attention_value_scale'))


def mimo_tensors(c, name, data):
    yield from selection_bias(c, f'{name}.weight' if name.endswith('attention_sink_bias') else name, data)


def minicpm3_metadata(w, c):
    w.add_context_length(c.need('max_position_embeddings'))
    w.add_embedding_length(c.dim)
    w.add_block_count(c.layers)
    w.add_feed_forward_length(c.need('intermediate_size'))
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.kv_heads)
    w.add_layer_norm_rms_eps(c.need('rms_norm_eps'))
    w.add_vocab_size(c.need('vocab_size'))
    if c.get('q_lora_rank') is not None:
        w.add_q_lora_rank(c.get('q_lora_rank'))
    w.add_kv_lora_rank(c.need('kv_lora_rank'))
    w.add_key_length(c.need('qk_nope_head_dim') + c.need('qk_rope_head_dim'))
    w.add_rope_dimension_count(c.need('qk_rope_head_dim'))


def minimax_metadata(w, c):
    w.add_expert_feed_forward_length(c.need('intermediate_size'))
    w.add_rope_dimension_count(c.need('rotary_dim'))


def mistral3_metadata(w, c):
    llama_metadata(w, c)
    w.add_rope_scaling_yarn_log_mul(c.rope['mscale_all_dim'])
    w.add_attn_temperature_scale(c.rope['llama_4_scaling_beta'])


def modernbert_metadata(w, c):
    w.add_causal_attention(False)
    w.add_sliding_window(c.need('local_attention'))
    w.add_sliding_window_pattern(c.get('global_attn_every_n_layers', default=3))
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    w.add_vocab_size(c.need('vocab_size'))


def modernbert_tensors(c, name, data):
    name = name.removeprefix('model.')
    if not name.startswith('decoder.'):
        yield name, data


def roberta_metadata(w, c):
    bert_metadata(w, c)
    w.add_context_length(c.need('max_position_embeddings') - 1 - c.need('pad_token_id'))


def roberta_tensors(c, name, data):
    """Positions start behind the padding token's; the head is left out."""
    name = name.removeprefix('roberta.')
    if name.endswith('position_embeddings.weight'):
        data = data[1 + c.need('pad_token_id'):]
    if not name.startswith(('lm_head.', 'pooler.')):
        yield name, data


def distilbert_metadata(w, c):
    w.add_layer_norm_eps(1e-12)
    w.add_causal_attention(False)


def distilbert_tensors(c, name, data):
    name = name.removeprefix('distilbert.')
    if not name.startswith('vocab_'):
        yield name, data


def nomic_bert_metadata(w, c):
    w.add_causal_attention(False)
    w.add_token_type_count(c.get('type_vocab_size', default=2))


def phimoe_metadata(w, c):
    w.add_context_length(c.need('max_position_embeddings'))
    w.add_rope_scaling_orig_ctx_len(c.rope.get('original_max_position_embeddings', c.need('max_position_embeddings')))
    w.add_embedding_length(c.dim)
    w.add_feed_forward_length(c.need('intermediate_size'))
    w.add_block_count(c.layers)
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.kv_heads)
    w.add_layer_norm_rms_eps(c.need('rms_norm_eps'))
    w.add_rope_dimension_count(c.head_dim)
    w.add_rope_freq_base(c.full_rope['rope_theta'])
    w.add_sliding_window(c.get('sliding_window', default=0))
    w.add_expert_count(c.need('num_local_experts'))
    w.add_expert_used_count(c.need('num_experts_per_tok'))


def qwen3_next_metadata(w, c):
    qwen_moe_metadata(w, c)
    w.add_ssm_conv_kernel(c.need('linear_conv_kernel_dim'))
    w.add_ssm_state_size(c.need('linear_key_head_dim'))
    w.add_ssm_group_count(c.need('linear_num_key_heads'))
    w.add_ssm_time_step_rank(c.need('linear_num_value_heads'))
    w.add_ssm_inner_size(c.need('linear_value_head_dim') * c.need('linear_num_value_heads'))
    w.add_full_attention_interval(c.get('full_attention_interval', default=4))
    w.add_rope_dimension_count(int(c.head_dim * rotary_share(c, 0.25)))


def unsplit_metadata(w, c):
    """What files from before keys and values out of the latent space were apart say."""
    deepseek_metadata(w, c)
    for key in ('key_length_mla', 'value_length_mla'):
        del w.kv_data[0][f'{w.arch}.attention.{key}']
    w.add_head_count_kv(c.heads)
    w.add_key_length(c.need('qk_nope_head_dim') + c.need('qk_rope_head_dim'))
    w.add_value_length(c.need('v_head_dim'))


FAMILIES = {
    'llama': Family(A.LLAMA, llama_metadata, llama_like, extra=llama3_factors),
    'mistral': Family(A.LLAMA, llama_metadata, llama_like, extra=llama3_factors),
    'mixtral': Family(A.LLAMA, llama_metadata, llama_like, extra=llama3_factors),
    'smollm3': Family(A.SMOLLM3, llama_metadata, llama_like, extra=llama3_factors),
    'granite': Family(A.GRANITE, granite_metadata, llama_like),
    'granitemoe': Family(A.GRANITE_MOE, granite_metadata, granite_tensors),
    'arcee': Family(A.ARCEE, llama_metadata, llama_like),
    'ernie4_5': Family(A.ERNIE4_5),
    'exaone4': Family(A.EXAONE4, olmo2_metadata, extra=llama3_factors),
    'gpt2': Family(A.GPT2, gpt2_metadata, gpt2_tensors, general=False),
    'gpt_bigcode': Family(A.STARCODER, starcoder_metadata, general=False),
    'gpt_neox': Family(A.GPTNEOX, neox_metadata, interleaved_qkv, general=False),
    'gptj': Family(A.GPTJ, gptj_metadata, general=False),
    'bloom': Family(A.BLOOM, bloom_metadata, interleaved_qkv, general=False),
    'falcon': Family(A.FALCON, falcon_metadata, falcon_tensors, general=False),
    'mpt': Family(A.MPT, mpt_metadata, general=False),
    'phi': Family(A.PHI2, phi_metadata, general=False),
    'phi3': Family(A.PHI3, phi3_metadata, general=False, extra=longrope_factors),
    'gemma': Family(A.GEMMA, gemma_metadata, one_plus, general=False),
    'gemma2': Family(A.GEMMA2, gemma2_metadata, one_plus, general=False),
    'gemma3_text': Family(A.GEMMA3, gemma3_metadata, one_plus),
    'qwen2': Family(A.QWEN2),
    'qwen3': Family(A.QWEN3),
    'qwen2_moe': Family(A.QWEN2MOE, qwen_moe_metadata),
    'qwen3_moe': Family(A.QWEN3MOE, qwen_moe_metadata),
    'olmo': Family(A.OLMO, olmo_metadata, llama_like),
    'olmo2': Family(A.OLMO2, olmo2_metadata),
    'olmo3': Family(A.OLMO2, olmo2_metadata),
    'olmoe': Family(A.OLMOE),
    'cohere': Family(A.COMMAND_R, cohere_metadata),
    'cohere2': Family(A.COHERE2, cohere2_metadata),
    'stablelm': Family(A.STABLELM, stablelm_metadata),
    'nemotron': Family(A.NEMOTRON, nemotron_metadata, one_plus),
    'glm': Family(A.CHATGLM, glm_metadata),
    'glm4': Family(A.GLM4, glm_metadata),
    'starcoder2': Family(A.STARCODER2),
    'gpt_oss': Family(A.GPT_OSS, gpt_oss_metadata, gpt_oss_tensors),
    'deepseek_v2': Family(A.DEEPSEEK2, deepseek_metadata, deepseek_tensors),
    'deepseek_v3': Family(A.DEEPSEEK2, deepseek_metadata, deepseek_tensors),
    'deepseek_v2_unsplit': Family(A.DEEPSEEK2, unsplit_metadata, selection_bias),
    'bert': Family(A.BERT, bert_metadata, bert_tensors),
    'roberta': Family(A.BERT, roberta_metadata, roberta_tensors),
    'distilbert': Family(A.BERT, distilbert_metadata, distilbert_tensors),
    'modernbert': Family(A.MODERN_BERT, modernbert_metadata, modernbert_tensors),
    'nomic_bert': Family(A.NOMIC_BERT, nomic_bert_metadata),
    'gemma3_encoder': Family(A.GEMMA_EMBEDDING, gemma3_metadata, one_plus),
    'afmoe': Family(A.AFMOE, afmoe_metadata, selection_bias),
    'apertus': Family(A.APERTUS, apertus_metadata, apertus_tensors, extra=llama3_factors),
    'bitnet': Family(A.BITNET, bitnet_metadata, bitnet_tensors),
    'dbrx': Family(A.DBRX, dbrx_metadata, dbrx_tensors, general=False),
    'dots1': Family(A.DOTS1, moe_metadata, selection_bias),
    'ernie4_5_moe': Family(A.ERNIE4_5_MOE, ernie_moe_metadata, selection_bias),
    'glm4_moe': Family(A.GLM4_MOE, glm4_moe_metadata, selection_bias, extra=further_tensors),
    'hunyuan_v1_dense': Family(A.HUNYUAN_DENSE, hunyuan_metadata),
    'hunyuan_v1_moe': Family(A.HUNYUAN_MOE, hunyuan_moe_metadata),
    'exaone_moe': Family(A.EXAONE_MOE, exaone_moe_metadata, selection_bias, extra=further_tensors),
    'eurobert': Family(A.EUROBERT, eurobert_metadata, eurobert_tensors),
    'deci': Family(A.DECI, deci_metadata, deci_tensors, extra=llama3_factors),
    'internlm2': Family(A.INTERNLM2, tensors=llama_like),
    'laguna': Family(A.AFMOE, laguna_metadata, laguna_tensors, named='laguna'),
    'jais2': Family(A.JAIS2, lambda w, c: w.add_rope_dimension_count(c.head_dim)),
    'lfm2': Family(A.LFM2, lfm2_metadata, lfm2_tensors),
    'lfm2_moe': Family(A.LFM2MOE, lfm2_metadata, lfm2_tensors),
    'llama4_text': Family(A.LLAMA4, llama4_metadata, split_experts, extra=llama3_factors),
    'mimo_v2_flash': Family(A.MIMO2, mimo_metadata, mimo_tensors),
    'minicpm3': Family(A.MINICPM3, minicpm3_metadata, general=False, extra=longrope_factors),
    'minimax_m2': Family(A.MINIMAXM2, minimax_metadata, selection_bias),
    'ministral3': Family(A.MISTRAL3, mistral3_metadata, llama_like),
    'phimoe': Family(A.PHIMOE, phimoe_metadata, general=False, extra=longrope_factors),
    'qwen3_next': Family(A.QWEN3NEXT, qwen3_next_metadata, one_plus),
    'seed_oss': Family(A.SEED_OSS),
}


# ---- writing ----

ALWAYS_F32 = ('ffn_gate_inp', 'position_embd', 'token_types')


def expert_stacks(tensors):
    """Tensors of single experts (...experts.3.down_proj.weight) as one with an axis of experts in front (...experts.down_proj.weight)."""
    stacks = {}
    for name, data in tensors:
        head, found, tail = name.partition('.experts.')
        number, _, rest = tail.partition('.')
        if found and number.isdigit():
            stacks.setdefault((head, rest), {})[int(number)] = data
        else:
            yield name, data
    for (head, rest), parts in stacks.items():
        if head.endswith('block_sparse_moe') or rest.startswith('w'):
            head = head.replace('model.', '').replace('block_sparse_moe', 'feed_forward')
        yield f'{head}.experts.{rest}', torch.stack([parts[i] for i in range(len(parts))])


def head_stacks(tensors):
    """StableLM's norms of single heads (q_layernorm.norms.0.weight) as one [heads, width]."""
    stacks = {}
    for name, data in tensors:
        head, found, tail = name.partition('_layernorm.norms.')
        if found:
            stacks.setdefault(head, {})[int(tail.split('.')[0])] = data
        else:
            yield name, data
    for head, parts in stacks.items():
        yield f'{head}_layernorm.weight', torch.stack([parts[i] for i in range(len(parts))])


def store(data, name, kind):
    if data.ndim <= 1 or name.endswith('_norm.weight') or not name.endswith('.weight') or any(part in name for part in ALWAYS_F32):
        kind = gguf.GGMLQuantizationType.F32
    try:
        return gguf.quants.quantize(data, kind), kind
    except gguf.QuantError:
        return gguf.quants.quantize(data, gguf.GGMLQuantizationType.F16), gguf.GGMLQuantizationType.F16


def convert(folder, out, kind='f32', pre='default', model_type=None):
    c = Checkpoint(folder)
    family = FAMILIES[model_type or c.model_type]
    if family.arch == A.DEEPSEEK2:
        # Attention runs over one shared latent key.
        c.config['num_key_value_heads'] = 1
        c.config['head_dim'] = None
    w = gguf.GGUFWriter(out, family.name)
    w.add_type(gguf.GGUFType.MODEL)
    w.add_name(c.folder.name)
    w.add_file_type(gguf.LlamaFileType.ALL_F32 if kind == 'f32' else getattr(gguf.LlamaFileType, 'MOSTLY_MXFP4_MOE' if kind == 'mxfp4' else f'MOSTLY_{kind.upper()}'))
    if family.general:
        general_metadata(w, c)
    family.metadata(w, c)
    add_tokenizer(w, c.folder, pre)
    names = gguf.get_tensor_name_map(family.arch, c.layers)
    common = gguf.get_tensor_name_map(A.LLAMA, c.layers)
    wanted = gguf.GGMLQuantizationType[kind.upper()]

    def changed():
        for name, data in c.tensors():
            if name.endswith(('.inv_freq', '.attention.bias', '.masked_bias')) or name == 'lm_head.weight' and family.arch in (A.GEMMA, A.GEMMA2):
                continue
            yield from family.tensors(c, name, data.to(torch.float32))
        yield from family.extra(c)

    for name, data in head_stacks(expert_stacks(changed())):
        # A dense layer among experts has names that the architecture's own map leaves out.
        known = name if name.startswith(('blk.', 'rope_')) else next((found for found in (
            table.get_name(spelled, try_suffixes=('.weight', '.bias')) for table in (names, common) for spelled in (name, name.removeprefix('transformer.'))) if found), None)
        if known is None:
            raise ValueError(f'{folder}: {name} has no name in {family.name}')
        stored, used = store(np.ascontiguousarray(data.numpy()), known, wanted)
        w.add_tensor(known, stored, raw_dtype=used)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--out', default='.')
    parser.add_argument('--type', default='f32', choices=['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'mxfp4', 'tq1_0', 'tq2_0'])
    parser.add_argument('--pre', default='default', help='name of the pre-tokenizer, which tokenizer.json does not hold')
    parser.add_argument('--model-type', help='treat the checkpoints as of this model_type')
    parser.add_argument('--name', help='name of the file, if not that of the folder')
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for path in options.folders:
        target = Path(options.out) / f'{options.name or Path(path).resolve().name}.gguf'
        convert(path, target, options.type, options.pre, options.model_type)
        print(f'{target} {target.stat().st_size // 1024} KiB')
