/** Faults planted in specs of the goldens, one at a time: each is found in the right place, with the right cause, against what transformers computed. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ParamValue } from '../../../compiler/model.ts';
import { kernelPasses } from '../../../compiler/passes/index.ts';
import type { KernelPass } from '../../../compiler/passes/types.ts';
import { compareAgainst } from '../../../runtime/diff/against.ts';
import { findCauses, type CauseReport } from '../../../runtime/diff/causes/find.ts';
import { stretchOf } from '../../../runtime/diff/inside.ts';
import { comparedOutputs } from '../../../runtime/diff/outputs.ts';
import { record } from '../../../runtime/diff/record.ts';
import { compareWithRecording, readRecording } from '../../../runtime/diff/recording.ts';
import { loadModel } from '../../../runtime/model.ts';
import { openSafetensors } from '../../../runtime/weights/safetensors.ts';
import { writeSafetensors } from '../../../runtime/weights/writer.ts';
import { temporaryFolder } from '../weights/files.ts';
import { furtherFolder, goldenFolder } from '../../support/model-folder.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

interface Fault {
  /** Over the family's spec. */
  readonly spec?: string;
  readonly set?: Readonly<Record<string, ParamValue>>;
}

/** The first output that differs, and what is found to make it so. */
async function diagnose(name: string, fault: Fault, device: 'cpu' | 'reference' = 'cpu'): Promise<{ readonly first: string | undefined; readonly report: CauseReport | undefined }> {
  const [file, where] = name.split('@');
  const checkpoint = path.join(where === 'more' ? furtherFolder : goldenFolder, file ?? '');
  const golden = path.join(checkpoint, 'golden.safetensors');
  const spec = path.join(folder.path, `${file}-${Math.abs(hash(fault.spec ?? ''))}.yaml`);
  if (fault.spec !== undefined) writeFileSync(spec, `peel: 1\nname: faulty\n${fault.spec}`);
  const model = await loadModel({ path: checkpoint, ...(fault.spec === undefined ? {} : { spec }), ...(fault.set ? { set: fault.set } : {}) });
  const source = await openSafetensors(golden);
  try {
    const outputs = comparedOutputs(model.model.layers.length);
    const session = await model.session({ device, threads: 1, outputs, logitRows: 64, context: 64 });
    const compared = await compareWithRecording(session, source, golden, 1e-4, model.graph);
    if (compared.firstDivergence === undefined) return { first: undefined, report: undefined };
    const recording = await readRecording(source, golden, model.model.layers.length, model.graph);
    const report = await findCauses(model, stretchOf(compared.outputs, compared.firstDivergence), {
      tolerance: 1e-4, ids: recording.ids, outputs: outputs.filter((o) => recording.names.has(o)), expected: async (n) => (recording.names.has(n) ? recording.read(n) : undefined),
    });
    return { first: compared.firstDivergence, report };
  } finally {
    await source.dispose();
    await model.dispose();
  }
}

function hash(text: string): number {
  let h = 7;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

const attention = (text: string): string => `layers:\n  residual:\n    - id: attention\n      attention: ${text}\n`;
const faults: readonly (readonly [what: string, checkpoint: string, fault: Fault, first: string, cause: string])[] = [
  ['a rotary pairing swapped', 'llama', { set: { rope_pairing: 'interleaved' } }, 'hidden.0', 'rotary pairing: \'half\' in place of \'interleaved\''],
  ['a rotary theta', 'llama', { set: { rope_theta: 500000 } }, 'hidden.0', 'rotary theta: 10000 in place of 500000'],
  ['the +1 of norms missing', 'gemma2', { set: { norm_offset: 0 } }, 'hidden.0', 'offset of norm weights: 1 in place of 0'],
  ['a +1 too much', 'llama', { spec: 'extends: llama\nnormalization: { offset: 1 }' }, 'hidden.0', 'offset of norm weights: 0 in place of 1'],
  ['queries not scaled', 'qwen3', { spec: `extends: qwen3\n${attention('{ scale: 1 }')}` }, 'hidden.0', 'attention scale: 1 / sqrt(head_dim)'],
  ['a scale of another width', 'qwen3', { spec: `extends: qwen3\n${attention('{ scale: "(dim / heads) ** -0.5" }')}` }, 'hidden.0', 'attention scale: 1 / sqrt(head_dim)'],
  ['a softcap dropped', 'gemma2', { set: { score_cap: null } }, 'hidden.0', 'softcap of the scores: 50 in place of none'],
  ['a window one token short', 'mistral', { set: { window: 8 } }, 'hidden.0', 'attention window: one more token'],
  ['a window one token too long', 'gemma2', { set: { window: 10 } }, 'hidden.0', 'attention window: one token less'],
  ['biases dropped', 'qwen2', { spec: `extends: qwen2\n${attention('{ bias: { q: false, k: false, v: false } }')}` }, 'hidden.0', 'bias: a bias of queries, keys and values'],
  ['the scale of embeddings missing', 'gemma2', { spec: 'extends: gemma2\nembeddings: { token: { scale: 1 } }' }, 'embeddings', 'embedding scale: sqrt(dim)'],
  ['another activation', 'llama', { set: { activation: 'gelu' } }, 'hidden.0', 'activation: \'silu\' in place of \'gelu\''],
  ['the exact gelu for its tanh form', 'gpt2', { set: { activation: 'gelu' } }, 'hidden.0', 'activation: \'gelu_tanh\''],
  ['gate and up exchanged', 'llama', { spec: 'extends: llama\nweights: { huggingface: { tensors: { "layers.ffn.{up,gate,down}": null, layers.ffn.up: "layers.{i}.mlp.gate_proj", layers.ffn.gate: "layers.{i}.mlp.up_proj", layers.ffn.down: "layers.{i}.mlp.down_proj" } } }' },
    'hidden.0', 'weights exchanged: `gate` and `up`'],
  ['a square matrix transposed', 'llama', { spec: 'extends: llama\nweights: { huggingface: { tensors: { "layers.attention.{q,k,v,o}": null, "layers.attention.{q,k,v}": "layers.{i}.self_attn.{}_proj", layers.attention.o: { name: "layers.{i}.self_attn.o_proj", transpose: true } } } }' },
    'hidden.0', 'matrix: `o` transposed'],
  ['query and key norms behind the rotation', 'qwen3', { spec: `extends: qwen3\n${attention('{ qk_norm: { when: after_rope } }')}` }, 'hidden.0', 'query and key norm: before the rotation in place of after it'],
  ['an epsilon', 'llama', { spec: 'extends: llama\nnormalization: { eps: 1e-3 }' }, 'hidden.0', 'epsilon of norms: 1e-6 in place of 1e-3'],
  ['layernorm for rmsnorm', 'llama', { spec: 'extends: llama\nnormalization: { kind: layernorm, bias: false }' }, 'hidden.0', 'kind of norm: \'rmsnorm\''],
  ['a bidirectional mask', 'llama', { spec: `extends: llama\n${attention('{ mask: bidirectional }')}` }, 'hidden.0', 'attention mask: \'causal\''],
  ['the multiplier of branches missing', 'granite', { set: { residual_multiplier: 1 } }, 'hidden.0', 'residual multiplier: '],
  ['the scale of logits missing', 'granite', { set: { logits_divisor: 1 } }, 'logits', 'output: logits times '],
  ['a softcap of the logits missing', 'gemma2', { set: { logit_cap: null } }, 'logits', 'output: logits with a softcap of '],
  ['weights of experts that do not sum to 1', 'mixtral', { spec: 'extends: mixtral\nlayers: { residual: [{ id: ffn, moe: { router: { normalize: false } } }] }' }, 'hidden.0', 'router of the experts: weights that sum to 1'],
  ['a fused tensor cut otherwise', 'gpt2', { spec: 'extends: gpt2\nweights: { huggingface: { tensors: { "layers.attention.{q,k,v}": { name: "h.{i}.attn.c_attn", transpose: true, unpack: { outer: heads, parts: { q: head_dim, k: head_dim, v: head_dim } } } } } }' },
    'hidden.0', 'fused tensor: its parts one after the other'],
  ['a pairing in latent attention', 'deepseek_v3', { set: { interleave: false } }, 'hidden.0', 'rotary pairing: \'interleaved\' in place of \'half\''],
  ['a param used in two places', 'deepseek_v3_yarn', { set: { rope_factor: 3 } }, 'hidden.0', 'param `rope_factor`: 4 in place of 3'],
  ['two faults at once', 'llama', { set: { rope_pairing: 'interleaved', activation: 'gelu' } }, 'hidden.0', 'rotary pairing: \'half\' in place of \'interleaved\' & activation: \'silu\' in place of \'gelu\''],
  ['one expert too few', 'mixtral', { set: { top_k: 1 } }, 'hidden.0', 'experts: one more'],
];

describe('a fault', () => {
  it.each(faults)('%s (%s)', async (_what, checkpoint, fault, first, cause) => {
    const { first: found, report } = await diagnose(checkpoint, fault);
    const likely = report?.likely;
    expect(found ?? '').toBe(first);
    expect(likely?.changes.map((c) => `${c.cause}: ${c.text}`).join(' & ') ?? '').toContain(cause);
    expect(likely?.next).toBeNull();
  });

  it('is found on the reference too', async () => {
    const { first, report } = await diagnose('qwen3', { set: { rope_pairing: 'interleaved' } }, 'reference');
    expect(first).toBe('hidden.0');
    expect(report?.likely).toMatchObject({ changes: [{ cause: 'rotary pairing' }] });
  });

  it('in a block of the spec\'s own is found, with random weights', async () => {
    const spec = (name: string, doubled: boolean): string => {
      const file = path.join(folder.path, `${name}.yaml`);
      writeFileSync(file, `peel: 1
name: ${name}
embeddings: { token: { rows: 40, dim: 8 } }
normalization: { kind: rmsnorm, eps: 1e-5 }
layers:
  repeat: 2
  residual: [{ id: mixer, norm: default, block: { use: mixer, with: { doubled: ${doubled} } } }]
output: { norm: default, linear: { tied: true } }
blocks:
  mixer:
    params: { doubled: false }
    weights: { up: [8, 8] }
    body: [{ h: "linear(x, up)" }, { out: "h * (doubled ? 2 : 1)" }]
`);
      return file;
    };
    const right = await loadModel({ path: spec('right', true), random: 3 }), wrong = await loadModel({ path: spec('wrong', false), random: 3 });
    const session = { device: 'reference', context: 16, maxTokens: 8, logitRows: 8 } as const;
    const file = path.join(folder.path, 'mixer.safetensors');
    await writeSafetensors(file, await record(await right.session({ ...session, outputs: comparedOutputs(2) }), [1, 2, 3, 4], 0));
    const source = await openSafetensors(file);
    const report = await compareAgainst(wrong, source, file, session, { tolerance: 1e-4 });
    expect(report).toMatchObject({ firstDivergence: 'hidden.0', causes: { likely: { changes: [{ cause: 'param of a block', text: '`doubled` true in place of false' }], next: null, alters: 'layers.0.mixer.out', location: { line: 13 } } } });
    await source.dispose();
    await Promise.all([right.dispose(), wrong.dispose()]);
  });

  it('of one layer leaves the next one to be found', async () => {
    const { first, report } = await diagnose('gemma2', { spec: `extends: gemma2\n${attention('{ window: { when: "i % 2 == 1" } }')}` });
    expect(first).toBe('hidden.0');
    expect(report?.likely).toMatchObject({ changes: [{ cause: 'attention window', text: 'sliding, 9 tokens, as in other layers' }], next: 'hidden.1', alters: 'layers.0.attention.probs' });
  });

  it('that nothing explains is said to be none of those tried', async () => {
    const { first, report } = await diagnose('llama', { set: { rope_theta: 5000, eps: 0.5, activation: 'relu', rope_pairing: 'interleaved' } });
    expect(first).toBe('hidden.0');
    expect(report?.likely).toBeUndefined();
    expect(report?.tried).toBeGreaterThan(100);
  });

  it('of the device, not of the spec, is told from the others', async () => {
    const checkpoint = path.join(goldenFolder, 'llama');
    const model = await loadModel({ path: checkpoint });
    const source = await openSafetensors(path.join(checkpoint, 'golden.safetensors'));
    const passes = kernelPasses.map((pass): KernelPass => (pass.name !== 'attention' ? pass : { ...pass, run: (before, context) => {
      const after = pass.run(before, context);
      return { ...after, kernels: after.kernels.map((kernel) => (kernel.kind === 'attention' ? { ...kernel, mask: { causal: false } } : kernel)) };
    } }));
    const report = await compareAgainst(model, source, 'golden.safetensors', { device: 'cpu', threads: 1, context: 64, logitRows: 64, plan: { passes } }, { tolerance: 1e-4 });
    expect(report).toMatchObject({ passed: false, firstDivergence: 'hidden.0', causes: { agrees: true } });
    await source.dispose();
    await model.dispose();
  });
});
