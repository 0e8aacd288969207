"""Write two tiny checkpoints whose blocks no built-in covers, and what plain PyTorch computes for them.

Folders beside this file, each with config.json, model.safetensors and golden.safetensors (as in test/golden):
  apertus: the feed-forward's activation is xIELU with learned parameters (models/apertus.yaml)
  gated:   attention with a gate on its output, written as a custom block (gated.yaml)
Needs torch and safetensors. Usage: python make.py
"""
import json, os
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
V, D, L, H, G, HD, FF = 61, 24, 3, 4, 2, 6, 40


def rms(x, w, eps=1e-5):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def rope(x, theta):  # x [T, heads, d]: element j turns with j + d/2
    T, _, d = x.shape
    angle = torch.arange(T)[:, None] * theta ** (-torch.arange(0, d, 2) / d)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b = x[..., : d // 2], x[..., d // 2 :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attend(q, k, v, scale, window=None):  # [T, heads, d]
    T, group = q.shape[0], q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) * scale
    far = torch.arange(T)[:, None] - torch.arange(T)[None]
    hidden = (far < 0) if window is None else (far < 0) | (far >= window)
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(hidden, -torch.inf).softmax(-1), v)


def heads(x, w, n):
    return F.linear(x, w).view(len(x), n, HD)


def apertus(w, ids):
    x = w["model.embed_tokens.weight"][ids]
    hidden = [x]
    for i in range(L):
        p = lambda name: w[f"model.layers.{i}.{name}"]
        h = rms(x, p("attention_layernorm.weight"))
        q = rms(heads(h, p("self_attn.q_proj.weight"), H), p("self_attn.q_norm.weight"))
        k = rms(heads(h, p("self_attn.k_proj.weight"), G), p("self_attn.k_norm.weight"))
        y = attend(rope(q, 10000.0), rope(k, 10000.0), heads(h, p("self_attn.v_proj.weight"), G), HD ** -0.5)
        x = x + F.linear(y.flatten(1), p("self_attn.o_proj.weight"))
        u = F.linear(rms(x, p("feedforward_layernorm.weight")), p("mlp.up_proj.weight"))
        beta, below = p("mlp.act_fn.beta"), p("mlp.act_fn.eps")
        rising = F.softplus(p("mlp.act_fn.alpha_p")) * u * u + beta * u
        falling = (torch.expm1(torch.minimum(u, below)) - u) * (beta + F.softplus(p("mlp.act_fn.alpha_n"))) + beta * u
        x = x + F.linear(torch.where(u > 0, rising, falling), p("mlp.down_proj.weight"))
        hidden.append(x)
    hidden[-1] = rms(x, w["model.norm.weight"])
    return hidden, F.linear(hidden[-1], w["lm_head.weight"])


def gated(w, ids):
    x = w["embed.weight"][ids]
    hidden = [x]
    for i in range(L):
        p = lambda name: w[f"layers.{i}.{name}"]
        h = rms(x, p("norm_1.weight"))
        q = F.normalize(heads(h, p("attention.wq.weight"), H), dim=-1) * p("attention.temperature").exp()
        k = F.normalize(heads(h, p("attention.wk.weight"), G), dim=-1)
        y = attend(rope(q, 500.0), rope(k, 500.0), heads(h, p("attention.wv.weight"), G), 4.0, 5 if i % 2 == 0 else None)
        gate = torch.sigmoid(F.linear(h, p("attention.wg.weight"), p("attention.wg.bias")))
        x = x + F.linear(y.flatten(1) * gate, p("attention.wo.weight"))
        x = x + F.linear(F.relu(F.linear(rms(x, p("norm_2.weight")), p("ffn.up.weight"))) ** 2, p("ffn.down.weight"))
        hidden.append(x)
    hidden[-1] = rms(x, w["norm.weight"])
    return hidden, F.linear(hidden[-1], w["embed.weight"])


def apertus_shapes():
    yield "model.embed_tokens.weight", [V, D]
    for i in range(L):
        yield f"model.layers.{i}.attention_layernorm.weight", [D]
        for n, rows in (("q", H), ("k", G), ("v", G)):
            yield f"model.layers.{i}.self_attn.{n}_proj.weight", [rows * HD, D]
        yield f"model.layers.{i}.self_attn.o_proj.weight", [D, H * HD]
        yield f"model.layers.{i}.self_attn.q_norm.weight", [HD]
        yield f"model.layers.{i}.self_attn.k_norm.weight", [HD]
        yield f"model.layers.{i}.feedforward_layernorm.weight", [D]
        yield f"model.layers.{i}.mlp.up_proj.weight", [FF, D]
        yield f"model.layers.{i}.mlp.down_proj.weight", [D, FF]
        for n in ("alpha_p", "alpha_n"):
            yield f"model.layers.{i}.mlp.act_fn.{n}", [1]
        for n in ("beta", "eps"):
            yield f"model.layers.{i}.mlp.act_fn.{n}", []
    yield "model.norm.weight", [D]
    yield "lm_head.weight", [V, D]


def gated_shapes():
    yield "embed.weight", [V, D]
    for i in range(L):
        for n in ("norm_1", "norm_2"):
            yield f"layers.{i}.{n}.weight", [D]
        for n, rows in (("wq", H), ("wk", G), ("wv", G), ("wg", H)):
            yield f"layers.{i}.attention.{n}.weight", [rows * HD, D]
        yield f"layers.{i}.attention.wg.bias", [H * HD]
        yield f"layers.{i}.attention.temperature", [H, 1]
        yield f"layers.{i}.attention.wo.weight", [D, H * HD]
        yield f"layers.{i}.ffn.up.weight", [FF, D]
        yield f"layers.{i}.ffn.down.weight", [D, FF]
    yield "norm.weight", [D]


def fill(name, shape, g):
    noise = torch.randn(shape, generator=g)
    if name.endswith("eps"): return torch.tensor(-1e-6)
    if name.endswith("beta"): return 0.5 + 0.1 * noise
    if "norm" in name: return 1 + 0.2 * noise
    if "embed" in name: return 0.6 * noise
    return noise * (1.2 / shape[-1] ** 0.5) if len(shape) == 2 and shape[1] > 1 else 0.4 * noise


def write(name, config, shapes, model, seed, T=17, N=10):
    g = torch.Generator().manual_seed(seed)
    w = {key: fill(key, shape, g) for key, shape in shapes}
    ids = torch.randint(0, V, (T,), generator=g)
    hidden, logits = model(w, ids)
    t = {"input_ids": ids.int(), "logits": logits, **{f"hidden.{i}": h for i, h in enumerate(hidden)}}
    sequence, rows = ids, []
    for _ in range(N):
        rows.append(model(w, sequence)[1][-1])
        sequence = torch.cat([sequence, rows[-1].argmax()[None]])
    t["generated"], t["gen_logits"] = sequence[T:].int(), torch.stack(rows)
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f: json.dump(config, f, indent=1, sort_keys=True)
    save_file({k: v.contiguous() for k, v in w.items()}, os.path.join(folder, "model.safetensors"))
    save_file({k: v.contiguous().clone() for k, v in t.items()}, os.path.join(folder, "golden.safetensors"))


if __name__ == "__main__":
    write("apertus", dict(
        model_type="apertus", vocab_size=V, hidden_size=D, num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=G, head_dim=HD,
        intermediate_size=FF, hidden_act="xielu", rms_norm_eps=1e-5, max_position_embeddings=64, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="default", rope_theta=10000.0)), apertus_shapes(), apertus, 1)
    write("gated", dict(model_type="gated_example", vocab_size=V, width=D, depth=L, heads=H, kv_heads=G, head_dim=HD, hidden=FF, window=5),
          gated_shapes(), gated, 2)
