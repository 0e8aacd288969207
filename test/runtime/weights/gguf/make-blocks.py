"""Writes blocks.gguf: for each tensor type a tensor of random and of extreme blocks, and beside it (NAME.f32) what the Python package `gguf`
decodes them to. Run it in this folder: python make-blocks.py (gguf 0.19)."""
import numpy as np
from gguf import GGMLQuantizationType as T, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

rng = np.random.default_rng(7)
# Where a block's f16 scales are.
scales = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0], "MXFP4": [],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64],
}
# 0, -0, least and largest subnormal, least and largest normal, one, infinity, not a number.
halves = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00, 0x7C00, 0x7E00]


def blocks(name):
    size = GGML_QUANT_SIZES[T[name]][1]
    rows = [rng.integers(0, 256, size, dtype=np.uint8) for _ in range(6)]
    for half in halves:
        row = rng.integers(0, 256, size, dtype=np.uint8)
        for at in scales[name]:
            row[at:at + 2] = np.frombuffer(np.uint16(half).tobytes(), dtype=np.uint8)
        rows.append(row)
    for fill in (0x00, 0xFF):
        row = np.full(size, fill, dtype=np.uint8)
        for at in scales[name]:
            row[at:at + 2] = np.frombuffer(np.float16(0.0123).tobytes(), dtype=np.uint8)
        rows.append(row)
    if name == "MXFP4":
        for exponent in (0, 1, 2, 103, 104, 127, 143, 144, 146, 147, 254, 255):
            row = rng.integers(0, 256, size, dtype=np.uint8)
            row[0] = exponent
            rows.append(row)
    return np.stack(rows)


out = GGUFWriter("blocks.gguf", "none")
with np.errstate(all="ignore"):
    for name in scales:
        raw = blocks(name)
        out.add_tensor(name, raw, raw_dtype=T[name])
        out.add_tensor(name + ".f32", dequantize(raw, T[name]).astype(np.float32))
    values = np.array([0, -0.0, 1, -1.5, 65504, 6e-8, 1e-5, np.inf, -np.inf, np.nan, 3.14159, 1e-3], dtype=np.float32)
    f16 = values.astype(np.float16)
    out.add_tensor("F16", f16)
    out.add_tensor("F16.f32", f16.astype(np.float32))
    bf16 = (values.view(np.uint32) >> 16).astype(np.uint16)
    out.add_tensor("BF16", bf16.view(np.uint8).reshape(1, -1), raw_dtype=T.BF16)
    out.add_tensor("BF16.f32", dequantize(bf16.view(np.uint8).reshape(1, -1), T.BF16).astype(np.float32))
    for kind in (np.float64, np.int8, np.int16, np.int32, np.int64):
        plain = np.array([0, 1, -1, 127, -128, 5] if kind == np.int8 else [0, 1, -1, 32767, -32768, 77], dtype=kind)
        if kind in (np.int32, np.int64, np.float64):
            plain = plain * 65537
        name = {np.float64: "F64", np.int8: "I8", np.int16: "I16", np.int32: "I32", np.int64: "I64"}[kind]
        out.add_tensor(name, plain)
        out.add_tensor(name + ".f32", plain.astype(np.float32))
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
