"""The weights of a LLaMA GGUF file (f32, q8_0, q4_0) as an ONNX graph: python onnx-model.py MODEL.gguf OUT.onnx

The graph is of the kind that onnxruntime-genai's builder writes: packed QKV, GroupQueryAttention with the rotation inside and keys and values as
inputs and outputs, MatMulNBits (blocks of 32, symmetric, accuracy_level 4: inputs rounded to 8 bits) with the very numbers of the file: q4_0 is
d (q - 8), q8_0 is d q, and both are what MatMulNBits computes. The token table is f32, the head sees the last position only.
"""
import os, sys
import numpy as np, onnx
from gguf import GGUFReader, quants
from onnx import helper as h, numpy_helper as nh, TensorProto as T

source, target = sys.argv[1:3]
reader = GGUFReader(source)
field = lambda key: reader.fields['llama.' + key].contents()
tensors = {t.name: t for t in reader.tensors}
L, D, H, G, F = (int(field(k)) for k in ('block_count', 'embedding_length', 'attention.head_count', 'attention.head_count_kv', 'feed_forward_length'))
d, theta, eps = D // H, float(field('rope.freq_base')), float(field('attention.layer_norm_rms_epsilon'))
MS, CONTEXT = 'com.microsoft', 2048
nodes, constants = [], []

def constant(name, array):
    constants.append(nh.from_array(np.ascontiguousarray(array), name))
    return name

def op(kind, inputs, outputs, domain='', **attributes):
    outputs = outputs if isinstance(outputs, list) else [outputs]
    nodes.append(h.make_node(kind, inputs, outputs, name=outputs[0] + '/' + kind, domain=domain, **attributes))
    return outputs[0]

def values(name):
    t = tensors[name]
    return quants.dequantize(t.data, t.tensor_type).astype(np.float32)

def blocks(name):
    """Rows of codes, low nibble first, and their scales."""
    t = tensors[name]
    kind = t.tensor_type.name
    size = {'Q4_0': 18, 'Q8_0': 34}[kind]
    raw = t.data.reshape(t.data.shape[0], -1, size)
    scales = raw[..., :2].copy().view(np.float16)[..., 0].astype(np.float32)
    codes = raw[..., 2:]
    if kind == 'Q8_0':
        return (codes.view(np.int8).astype(np.int16) + 128).astype(np.uint8), scales, 8
    both = np.concatenate([codes & 15, codes >> 4], axis=-1)
    return both[..., 0::2] | (both[..., 1::2] << 4), scales, 4

def linear(x, out, *names):
    if tensors[names[0]].tensor_type.name == 'F32':
        return op('MatMul', [x, constant(out + '.w', np.concatenate([values(n) for n in names]).T)], out)
    parts = [blocks(n) for n in names]
    codes, scales = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    rows, k = codes.shape[0], scales.shape[1] * 32
    return op('MatMulNBits', [x, constant(out + '.q', codes), constant(out + '.s', scales.reshape(-1))], out, MS, K=k, N=rows, bits=parts[0][2], block_size=32, accuracy_level=4)

i64 = lambda name, value: constant(name, np.array(value, np.int64))
op('Cast', ['attention_mask'], 'mask', to=T.INT32)
op('ReduceSum', ['mask', i64('axis', [1])], 'length', keepdims=0)
op('Sub', ['length', constant('one', np.array(1, np.int32))], 'last_position')
op('Shape', ['attention_mask'], 'mask_shape')
op('Gather', ['mask_shape', i64('second', 1)], 'total64', axis=0)
op('Cast', ['total64'], 'total', to=T.INT32)
angle = np.outer(np.arange(CONTEXT), theta ** (-np.arange(0, d, 2) / d))
cos, sin = constant('cos', np.cos(angle).astype(np.float32)), constant('sin', np.sin(angle).astype(np.float32))
x = op('Gather', [constant('table', values('token_embd.weight')), 'input_ids'], 'x0')
n = op('SimplifiedLayerNormalization', [x, constant('norm0', values('blk.0.attn_norm.weight'))], 'n0', axis=-1, epsilon=eps, stash_type=1)
for i in range(L):
    p = f'blk.{i}.'
    qkv = linear(n, p + 'qkv', p + 'attn_q.weight', p + 'attn_k.weight', p + 'attn_v.weight')
    a = op('GroupQueryAttention', [qkv, '', '', f'past_key_values.{i}.key', f'past_key_values.{i}.value', 'last_position', 'total', cos, sin],
           [p + 'attention', f'present.{i}.key', f'present.{i}.value'], MS, num_heads=H, kv_num_heads=G, scale=float(d ** -0.5), do_rotary=1, rotary_interleaved=1, local_window_size=-1)
    o = linear(a, p + 'o', p + 'attn_output.weight')
    op('SkipSimplifiedLayerNormalization', [x, o, constant(p + 'norm2', values(p + 'ffn_norm.weight'))], [p + 'n2', '', '', p + 'x2'], MS, epsilon=eps)
    gate, up = linear(p + 'n2', p + 'gate', p + 'ffn_gate.weight'), linear(p + 'n2', p + 'up', p + 'ffn_up.weight')
    act = op('Mul', [op('Mul', [gate, op('Sigmoid', [gate], p + 'sigmoid')], p + 'silu'), up], p + 'act')
    down = linear(act, p + 'down', p + 'ffn_down.weight')
    last = i == L - 1
    weight = constant(p + 'norm1', values('output_norm.weight' if last else f'blk.{i + 1}.attn_norm.weight'))
    op('SkipSimplifiedLayerNormalization', [p + 'x2', down, weight], [p + 'n1'] if last else [p + 'n1', '', '', p + 'x1'], MS, epsilon=eps)
    n, x = p + 'n1', p + 'x1'
op('Identity', [linear(op('Gather', [n, i64('end', [-1])], 'hidden', axis=1), 'head', 'output.weight' if 'output.weight' in tensors else 'token_embd.weight')], 'logits')

V = int(tensors['token_embd.weight'].shape[-1])
info = lambda name, kind, shape: h.make_tensor_value_info(name, kind, shape)
cache = lambda prefix, length: [info(f'{prefix}.{i}.{c}', T.FLOAT, [1, G, length, d]) for i in range(L) for c in ('key', 'value')]
graph = h.make_graph(nodes, 'llama',
    [info('input_ids', T.INT64, [1, 'tokens']), info('attention_mask', T.INT64, [1, 'total_tokens'])] + cache('past_key_values', 'past'),
    [info('logits', T.FLOAT, [1, 1, V])] + cache('present', 'present'), constants)
model = h.make_model(graph, opset_imports=[h.make_opsetid('', 21), h.make_opsetid(MS, 1)], ir_version=10)
data = os.path.basename(target) + '.data'
onnx.save_model(model, target, save_as_external_data=True, location=data)
