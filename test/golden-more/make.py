"""Makes the checkpoints of models.py and what transformers computes for them: python make.py [NAME...]. Needs torch, transformers, safetensors.

Every parameter is random, norms around 1 and biases around 0. Each folder gets config.json, the weights as transformers saves them, and
golden.safetensors: input_ids, and logits, generated (greedy), gen_logits of a language model, or last_hidden of an encoder; float32.
"""
import json, runpy, sys, zlib
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
PROMPT = 13


def randomize(model, generator, times):
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or "inv_freq" in name:
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() <= 1:
            noise = tensor + 0.2 * noise
        elif name.endswith("weight") and any(part in name for part in ("embed", "wte", "wpe")):
            noise = 0.6 * noise
        else:
            noise = noise * 1.2 / tensor.shape[-1] ** 0.5
        factor = next((value for part, value in times.items() if part in name), 1.0)
        tensor.copy_(noise * factor)


def as_before_version_5(config):
    rotary = config.pop("rope_parameters", None)
    config["torch_dtype"] = config.pop("dtype", None)
    if rotary:
        config["rope_theta"] = rotary.pop("rope_theta")
        kind = rotary.pop("rope_type")
        config["rope_scaling"] = None if kind == "default" else {"type": kind, **rotary}


def edit(folder, options):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    if options.get("old"):
        as_before_version_5(config)
    for key in options.get("drop", []):
        config.pop(key, None)
    config.update(options.get("set", {}))
    file.write_text(json.dumps(config, indent=1) + "\n")
    if "rename" in options or "add" in options:
        tensors = load_file(folder / "model.safetensors")
        for old, new in options.get("rename", []):
            tensors = {name.replace(old, new): tensor for name, tensor in tensors.items()}
        tensors.update({name: torch.ones(shape) for name, shape in options.get("add", {}).items()})
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def make(name, kind, arguments):
    options = {key[1:]: value for key, value in arguments.items() if key.startswith("_")}
    config = transformers.AutoConfig.for_model(kind, **{k: v for k, v in arguments.items() if not k.startswith("_")})
    implementation = options.get("attention", "eager")
    family = getattr(transformers, options.get("class", "AutoModelForCausalLM"))
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    model = family.from_config(config, attn_implementation=implementation).float().eval()
    randomize(model, generator, options.get("times", {}))
    model.tie_weights()
    folder = HERE / name
    model.to(getattr(torch, options.get("dtype", "bfloat16"))).save_pretrained(folder, max_shard_size=options.get("shards", "1GB"))
    # From the disk, so that the results are what the checkpoint says.
    model = family.from_pretrained(folder, attn_implementation=implementation, dtype=torch.float32).float().eval()
    ids = torch.randint(3, 48, (1, PROMPT), generator=generator)
    golden = {"input_ids": ids[0].to(torch.int32)}
    result = model(input_ids=ids)
    if hasattr(result, "logits"):
        golden["logits"] = result.logits[0].contiguous()
    else:
        golden["last_hidden"] = result.last_hidden_state[0].contiguous()
    if model.can_generate():
        new = options.get("new", 6)
        made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new, min_new_tokens=new,
                              output_logits=True, return_dict_in_generate=True, eos_token_id=None, pad_token_id=0)
        golden["generated"] = made.sequences[0, PROMPT:].to(torch.int32).contiguous()
        golden["gen_logits"] = torch.cat(made.logits).contiguous()
    save_file(golden, folder / "golden.safetensors", metadata={"transformers": transformers.__version__, "torch": torch.__version__})
    edit(folder, options)
    for extra in folder.iterdir():
        if extra.name != "config.json" and extra.suffix != ".safetensors" and not extra.name.endswith(".index.json"):
            extra.unlink()
    print(name, sum(part.stat().st_size for part in folder.iterdir()) // 1024, "KiB")


if __name__ == "__main__":
    for name, (kind, arguments) in runpy.run_path(HERE / "models.py")["MODELS"].items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, kind, arguments)
