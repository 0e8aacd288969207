"""Train the small models that ship with Peel, from nothing but one text file.

    python train.py {nano-gpt,nano-llama,nano-deepseek} --data tinyshakespeare.txt [--minutes N | --measure]

The first nine tenths of the file's bytes train the tokenizer and the model; the last tenth is only ever
measured. The result is a Hugging Face folder beside this script (config.json, model.safetensors,
tokenizer.json, tokenizer_config.json), and what transformers computes for a short prompt with it goes to
--golden. One CPU thread and twenty minutes are enough. Needs: torch, transformers, tokenizers, safetensors.

Bits per byte, as measured here and wherever else these models are evaluated:
  1. Encode the last tenth of the text as one string, without special tokens.
  2. Cut the ids into non-overlapping windows of CONTEXT tokens; the last window may be shorter.
  3. Run each window alone: inputs are [BOS, w0, .. w(n-2)], targets are [w0, .. w(n-1)].
  4. Sum -ln p(target) over all targets of all windows; divide by ln 2 and by the UTF-8 bytes of the text.
Every byte of the text is counted exactly once, and the weights are the stored ones (16 bits), computed in float32.
"""
import argparse, json, math, time
import torch, transformers
from pathlib import Path
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

VOCAB, CONTEXT = 1024, 256
HERE = Path(__file__).resolve().parent
BYTES = [f"<0x{b:02X}>" for b in range(256)]


# ---- tokenizers: one of each kind a user will meet ----

def byte_level_bpe(text):
    """GPT-2's kind: BPE over bytes spelled as printable characters. One special token begins and ends a text."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    begin_with(tok, "<|endoftext|>")
    return tok, "<|endoftext|>", "<|endoftext|>"


def sentencepiece_bpe(text):
    """LLaMA 2's kind: ▁ for a space, one more in front of the text, and bytes for what no piece covers (newlines too)."""
    special = ["<unk>", "<s>", "</s>"]
    learn = Tokenizer(models.BPE())
    learn.normalizer = normalizers.Replace(" ", "▁")
    learn.pre_tokenizer = pre_tokenizers.Split(Regex(r"▁?[\p{L}']+|▁?[^\p{L}'▁]+|▁"), "isolated")  # pieces stay within a word
    learn.train_from_iterator(text.split("\n"), trainers.BpeTrainer(
        vocab_size=VOCAB - len(special) - len(BYTES), show_progress=False))
    learned = json.loads(learn.to_str())["model"]
    pieces = sorted(learned["vocab"], key=learned["vocab"].get)
    tok = Tokenizer(models.BPE(
        vocab={piece: i for i, piece in enumerate(special + BYTES + pieces)},
        merges=[tuple(m) for m in learned["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tok.add_special_tokens(special)
    begin_with(tok, "<s>")
    return tok, "<s>", "</s>"


def unigram(text):
    """A unigram language model over ▁-pieces that end at a line's end, with bytes for what no piece covers."""
    special = ["<unk>", "<s>", "</s>"]
    learn = Tokenizer(models.Unigram())
    learn.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("\n+"), "isolated"),
        pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never")])  # nothing added, so nothing to strip: lossless
    learn.train_from_iterator([text], trainers.UnigramTrainer(
        vocab_size=VOCAB - len(BYTES), special_tokens=special, unk_token="<unk>", show_progress=False))
    learned = [(piece, score) for piece, score in json.loads(learn.to_str())["model"]["vocab"]]
    least = min(score for _, score in learned) - 1
    n = len(special)
    tok = Tokenizer(models.Unigram(learned[:n] + [(b, least) for b in BYTES] + learned[n:], unk_id=0, byte_fallback=True))
    tok.pre_tokenizer = learn.pre_tokenizer
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tok.add_special_tokens(special)
    begin_with(tok, "<s>")
    return tok, "<s>", "</s>"


def begin_with(tok, bos):
    """Every training window began with BOS, so a prompt does too."""
    tok.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tok.token_to_id(bos))])


# ---- models: the three families, each with what makes it one ----

MODELS = {
    # learned positions, LayerNorm with bias, GELU, tied output
    "nano-gpt": (byte_level_bpe, torch.float16, "gpt2", dict(
        n_embd=128, n_layer=6, n_head=4, n_positions=CONTEXT,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)),
    # RoPE, RMSNorm, SwiGLU, two query heads to a key-value head, tied output
    "nano-llama": (sentencepiece_bpe, torch.bfloat16, "llama", dict(
        hidden_size=128, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2, intermediate_size=384,
        max_position_embeddings=CONTEXT, tie_word_embeddings=True)),
    # latent attention, one dense layer, then layers of eight routed experts (two chosen) and a shared one
    "nano-deepseek": (unigram, torch.float16, "deepseek_v3", dict(
        hidden_size=128, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, intermediate_size=384,
        q_lora_rank=64, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32,
        n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1, moe_intermediate_size=96,
        first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=1.0,
        num_nextn_predict_layers=0, max_position_embeddings=CONTEXT, tie_word_embeddings=True)),
}


# ---- optimiser: Muon for the matrices inside layers, AdamW for embeddings, norms, biases and routers ----

def orthogonalise(g):
    """Newton-Schulz iterations towards the nearest semi-orthogonal matrix; a leading dimension is a batch."""
    x = g / (g.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.size(-2) > x.size(-1)
    if tall: x = x.mT
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonalised. Fused matrices (query-key-value, gate-up) are taken apart first."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.05):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None: continue
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(m, group["momentum"])
                parts, dim = group["split"]
                step = torch.cat([orthogonalise(part) for part in g.chunk(parts, dim)], dim)
                rows, cols = (s // parts if d == dim % g.dim() else s for d, s in list(enumerate(g.shape))[-2:])
                scale = max(1, rows / cols) ** 0.5 if not group["transposed"] else max(1, cols / rows) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(step, alpha=-group["lr"] * scale)


def optimisers(model, muon_lr=0.02, adam_lr=4e-3):
    gpt = model.config.model_type == "gpt2"  # its linear weights are [in, out]
    hidden, rest = [], []
    for name, p in model.named_parameters():
        if p.dim() < 2 or any(word in name for word in ("wte", "wpe", "embed_tokens", "lm_head", "gate.weight")): rest.append(p)
        else:
            split = (3, 1) if "c_attn" in name else (2, 1) if "gate_up_proj" in name else (1, 0)
            hidden.append(dict(params=[p], split=split, transposed=gpt))
    matrices = [p for p in rest if p.dim() >= 2]
    vectors = [p for p in rest if p.dim() < 2]
    return [Muon(hidden, lr=muon_lr), torch.optim.AdamW(
        [dict(params=matrices, weight_decay=0.05), dict(params=vectors, weight_decay=0.0)], lr=adam_lr, betas=(0.9, 0.98))]


class Balance:
    """DeepSeek-V3 balances its experts without a loss: the bias used for choosing rises for the idle ones."""

    def __init__(self, model, rate=1e-3):
        self.rate = rate
        self.load = {}
        self.routers = [m for m in model.modules() if hasattr(m, "e_score_correction_bias")]
        for router in self.routers: router.register_forward_hook(self.count)

    def count(self, router, _, output):
        if router.training: self.load[router] = torch.bincount(output[2].flatten(), minlength=router.num_experts).float()

    @torch.no_grad()
    def step(self, remaining):
        for router, load in self.load.items():
            bias = router.e_score_correction_bias
            bias += self.rate * min(1.0, 2 * remaining) * (load.mean() - load).sign()
            bias -= bias.mean()


# ---- training and measuring ----

def windows(ids, bos, context):
    """[(inputs, targets)] over ids in order, without overlap."""
    for start in range(0, len(ids), context):
        w = ids[start:start + context]
        yield torch.cat([torch.tensor([bos]), w[:-1]]), w


@torch.no_grad()
def bits_per_byte(model, ids, bos, nbytes, context=CONTEXT, batch=16):
    training = model.training
    model.eval()
    nats = 0.0
    pairs = list(windows(ids, bos, context))
    full = [p for p in pairs if len(p[1]) == context]
    batches = [full[i:i + batch] for i in range(0, len(full), batch)] + [[p] for p in pairs[len(full):]]
    for group in batches:
        x, y = (torch.stack(t) for t in zip(*group))
        logits = model(input_ids=x, use_cache=False).logits.float()
        nats += F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").double().sum().item()
    model.train(training)
    return nats / math.log(2) / nbytes


def train(model, ids, bos, minutes, batch, seed, checkpoint, measure):
    """Random windows; the learning rate falls linearly with the time left. An interrupted run goes on from its checkpoint."""
    g = torch.Generator().manual_seed(seed)
    opts, balance = optimisers(model), Balance(model)
    rates = [[group["lr"] for group in o.param_groups] for o in opts]
    step, spent, smooth = 0, 0.0, None
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        for o, s in zip(opts, saved["opts"]): o.load_state_dict(s)
        g.set_state(saved["generator"]); step, spent = saved["step"], saved["spent"]
    forward = lambda x, y: F.cross_entropy(model(input_ids=x, use_cache=False).logits.flatten(0, 1), y.flatten())
    model.train()
    bos_column = torch.full((batch, 1), bos)
    tick, due = time.monotonic(), spent + 240
    while True:
        now = time.monotonic(); spent += min(now - tick, 30); tick = now
        remaining = 1 - spent / (60 * minutes)
        if remaining <= 0: break
        factor = min(1.0, (step + 1) / 60) * min(1.0, remaining / 0.8)
        for o, rs in zip(opts, rates):
            for group, r in zip(o.param_groups, rs): group["lr"] = r * factor
        at = torch.randint(len(ids) - CONTEXT + 1, (batch,), generator=g)
        y = torch.stack([ids[i:i + CONTEXT] for i in at.tolist()])                    # [B, T]
        loss = forward(torch.cat([bos_column, y[:, :-1]], 1), y)
        for o in opts: o.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts: o.step()
        balance.step(remaining)
        step += 1
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"step {step:5d}  {spent / 60:5.1f} min  {step * batch * CONTEXT / len(ids):5.1f} epochs  loss {smooth:.3f} nats a token", flush=True)
        if spent >= due:
            due = spent + 240
            print(f"step {step:5d}  {spent / 60:5.1f} min  validation {measure(model):.4f} bits per byte", flush=True)
            checkpoint.parent.mkdir(exist_ok=True)
            torch.save(dict(model=model.state_dict(), opts=[o.state_dict() for o in opts], generator=g.get_state(), step=step, spent=spent), checkpoint)
            tick = time.monotonic()


@torch.no_grad()
def golden(model, ids, path, n=16):
    """What transformers computes: a full pass over the prompt, then its greedy continuation with the cache."""
    x = torch.tensor([ids])
    out = model(input_ids=x, output_hidden_states=True, use_cache=False)
    gen = model.generate(input_ids=x, attention_mask=torch.ones_like(x), do_sample=False, max_new_tokens=n, min_new_tokens=n,
                         use_cache=True, output_logits=True, return_dict_in_generate=True, pad_token_id=0, eos_token_id=None)
    t = {"input_ids": x[0].to(torch.int32), "logits": out.logits[0].contiguous()}
    for i, h in enumerate(out.hidden_states): t[f"hidden.{i}"] = h[0].contiguous().clone()
    t["generated"] = gen.sequences[0, len(ids):].to(torch.int32).contiguous()
    t["gen_logits"] = torch.stack([x[0] for x in gen.logits]).contiguous()
    full = model(input_ids=gen.sequences[:, :-1], use_cache=False).logits[0, len(ids) - 1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(t, path, metadata={"transformers": transformers.__version__, "torch": torch.__version__, "model_type": model.config.model_type})
    print(f"golden: {len(ids)} prompt tokens, cached and full passes differ by {(full - t['gen_logits']).abs().max().item():.1e}")
    return gen.sequences[0].tolist()


def measure_stored(folder, text, golden_path, prompt):
    """What ships is what counts: reload the folder, measure it, and write down what transformers computes with it."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    tok = AutoTokenizer.from_pretrained(folder)
    ids = tok.backend_tokenizer.encode(text, add_special_tokens=False).ids
    nbytes = len(text.encode())
    bpb = bits_per_byte(model, torch.tensor(ids), tok.bos_token_id, nbytes)
    print(f"{folder.name}: {bpb:.4f} bits per byte as stored, over {len(ids)} tokens and {nbytes} bytes; "
          f"{sum(f.stat().st_size for f in folder.iterdir())} bytes on disk")
    print(repr(tok.decode(golden(model, tok(prompt)["input_ids"], golden_path))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", type=Path, default=HERE / "tinyshakespeare.txt")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--golden", type=Path, default=HERE / "../../test/golden-nano")
    parser.add_argument("--prompt", default="ROMEO:\nBut soft! what light")
    parser.add_argument("--measure", action="store_true", help="train nothing: measure the folder that is there")
    args = parser.parse_args()
    torch.set_num_threads(args.threads); torch.manual_seed(args.seed)

    data = args.data.read_bytes()
    cut = len(data) * 9 // 10
    train_text, val_text = data[:cut].decode(), data[cut:].decode()

    folder, golden_folder = args.out / args.model, args.golden / args.model
    if args.measure: return measure_stored(folder, val_text, golden_folder / "golden.safetensors", args.prompt)

    make_tokenizer, dtype, model_type, shape = MODELS[args.model]
    tok, bos, eos = make_tokenizer(train_text)
    train_ids, val_ids = (torch.tensor(tok.encode(t, add_special_tokens=False).ids) for t in (train_text, val_text))
    assert tok.decode(val_ids.tolist(), skip_special_tokens=False) == val_text, "the tokenizer must be lossless"
    nbytes = len(data) - cut
    print(f"{args.model}: {tok.get_vocab_size()} tokens, {nbytes / len(val_ids):.2f} bytes a token", flush=True)

    config = AutoConfig.for_model(model_type, vocab_size=tok.get_vocab_size(),
                                  bos_token_id=tok.token_to_id(bos), eos_token_id=tok.token_to_id(eos), pad_token_id=None, **shape)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").float()
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    measure = lambda m: bits_per_byte(m, val_ids, config.bos_token_id, nbytes)
    checkpoint = args.out / ".cache" / f"{args.model}.pt"
    train(model, train_ids, config.bos_token_id, args.minutes, args.batch, args.seed, checkpoint, measure)
    print(f"trained (float32): {measure(model):.4f} bits per byte", flush=True)

    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tok.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token=bos, eos_token=eos, **({"unk_token": "<unk>"} if "<unk>" in tok.get_vocab() else {}),
        model_max_length=CONTEXT, clean_up_tokenization_spaces=False), indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)

    measure_stored(folder, val_text, golden_folder / "golden.safetensors", args.prompt)


if __name__ == "__main__":
    main()
