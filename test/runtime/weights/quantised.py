"""Records what ggml makes of some rows, for quantise.test.ts and dequantise.test.ts: python quantised.py [libggml-base.so] > quantised.json

The blocks of q8_0, q4_0 and q4_1 and all dequantised values are those of the Python package gguf 0.19. That package cannot
quantise to K formats: with the shared library of llama.cpp given, q4_K is quantised by its quantize_q4_K.
"""
import base64, ctypes, json, sys
import numpy as np
from gguf import quants, GGMLQuantizationType as Q, GGML_QUANT_SIZES

rng = np.random.default_rng(3)
columns = 512
rows = rng.standard_normal((12, columns), dtype=np.float32)
rows[1] *= 0.02
rows[2] = rng.standard_t(2, columns).astype(np.float32)          # outliers
rows[3] += 3                                                      # all of one sign, nearly
rows[4] = np.abs(rows[4])
rows[5] = 0
rows[6, :64] = 0.25                                               # constant blocks
rows[7] = np.round(rows[7] * 4) / 4                               # ties
rows[8] *= np.float32(1e-6)                                       # scales below the least normal f16
rows[9] *= np.repeat(np.float32(10) ** rng.integers(-3, 3, columns // 32), 32).astype(np.float32)
rows[10] = -np.abs(rows[10])
rows[11] *= np.float32(1000)

b64 = lambda a: base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()
out = dict(columns=columns, rows=b64(rows), blocks={}, random={})
for name in ('Q8_0', 'Q4_0', 'Q4_1'):
    out['blocks'][name.lower()] = b64(quants.quantize(rows, Q[name]))
if len(sys.argv) > 1:
    lib = ctypes.CDLL(sys.argv[1])
    lib.quantize_q4_K.restype = ctypes.c_size_t
    lib.quantize_q4_K.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    blocks = np.zeros((len(rows), columns // 256 * 144), np.uint8)
    src = np.ascontiguousarray(rows)
    lib.quantize_q4_K(src.ctypes.data, blocks.ctypes.data, len(rows), columns, None)
    out['blocks']['q4_K'] = b64(blocks)
# Random bytes as blocks, scales kept finite: what every bit of a block means.
for name in ('Q8_0', 'Q4_0', 'Q4_1', 'Q4_K', 'Q5_K', 'Q6_K'):
    size, width = GGML_QUANT_SIZES[Q[name]]
    blocks = rng.integers(0, 256, (8, width), dtype=np.uint8)
    halves = {'Q8_0': [0], 'Q4_0': [0], 'Q4_1': [0, 2], 'Q4_K': [0, 2], 'Q5_K': [0, 2], 'Q6_K': [208]}[name]
    for at in halves:
        blocks[:, at:at + 2] = rng.standard_normal((8, 1)).astype(np.float16).view(np.uint8)
    values = quants.dequantize(blocks, Q[name]).astype(np.float32)
    out['random'][name.lower().replace('_k', '_K')] = dict(blocks=b64(blocks), values=b64(values))
json.dump(out, sys.stdout, indent=0)
print()
