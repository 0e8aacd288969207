import { afterAll, describe, expect, it } from 'vitest';
import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PeelError } from '../../compiler/diagnostics.ts';
import { checkModel } from '../../runtime/check.ts';
import { comparedOutputs, outputName } from '../../runtime/diff/outputs.ts';
import { record } from '../../runtime/diff/record.ts';
import { compareWithRecording } from '../../runtime/diff/recording.ts';
import { difference } from '../../runtime/diff/report.ts';
import { compareSessions } from '../../runtime/diff/sessions.ts';
import { bitsPerByte, surprise } from '../../runtime/evaluate.ts';
import { loadModel } from '../../runtime/model.ts';
import { openSafetensors } from '../../runtime/weights/safetensors.ts';
import { encodeSafetensors } from '../../runtime/weights/writer.ts';
import { byteLevel } from './tokenizer/small.ts';
import { temporaryFolder } from './weights/files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const golden = (name: string): string => path.join('test', 'golden', name);

const spec = folder.file('tiny.yaml', `
peel: 1
name: tiny
params: { vocab: 264, dim: 32, layers: 2, heads: 4, context: 64 }
embeddings: { token: { rows: vocab, dim: dim } }
normalization: { kind: rmsnorm, eps: 1e-5 }
layers:
  repeat: layers
  residual:
    - { norm: default, attention: { heads: heads, kv_heads: 2, head_dim: 8, position: { rope: { theta: 10000, pairing: half } } } }
    - { norm: default, ffn: { hidden: 48, activation: silu, gated: true } }
output: { norm: default, linear: { tied: true } }
`);
const codeOf = async (work: Promise<unknown>): Promise<string> => work.then(() => 'fine', (e: unknown) => (e instanceof PeelError ? `${e.exitCode} ${e.diagnostics[0]?.code ?? ''}` : String(e)));

describe('loadModel', () => {
  it('runs a spec with random weights, the same for a seed, on every device', async () => {
    const rows = await Promise.all((['reference', 'cpu'] as const).flatMap((device) => [1, 1, 2].map(async (random) => {
      const model = await loadModel({ path: spec, random, device });
      const session = await model.session({ logitRows: 3 });
      const logits = await session.logits([1, 2, 3]);
      await model.dispose();
      return logits;
    })));
    const [a, b, c, d] = rows;
    expect(a).toEqual(b);
    expect(difference('', c ?? a!, a!, { tolerance: 1e-4 }).close).toBe(false);
    expect(difference('', d!, a!, { tolerance: 1e-4 }).nmse).toBeLessThan(1e-8);
  });

  it('gives the softmax of the logits where the spec has one and it is asked for, on every device', async () => {
    const withSoftmax = folder.file('softmax.yaml', `peel: 1\nname: softmax\nextends: ./tiny.yaml\noutput: { softmax: true }\n`);
    for (const device of ['reference', 'cpu'] as const) {
      const model = await loadModel({ path: withSoftmax, random: 1, device });
      const session = await model.session({ logitRows: 2, outputs: ['logits', 'probabilities'] });
      const { outputs } = await session.feed([5, 6, 7], { outputs: ['logits', 'probabilities'], logitRows: 2 });
      const [logits, found] = [outputs.get('logits')!, outputs.get('probabilities')!];
      for (const row of [0, 1]) {
        const exps = [...logits.subarray(row * 264, (row + 1) * 264)].map(Math.exp);
        const sum = exps.reduce((a, b) => a + b, 0);
        exps.forEach((e, i) => expect(found[row * 264 + i]).toBeCloseTo(e / sum, 6));
      }
      await model.dispose();
    }
    expect(await codeOf(loadModel({ path: folder.file('headless.yaml', `peel: 1\nname: headless\nextends: ./tiny.yaml\noutput: { linear: null, softmax: true }\n`), random: 1 }))).toBe('10 E306');
  });

  it('says which device it took, and why', async () => {
    const model = await loadModel({ path: spec, random: 0, threads: 2 });
    const automatic = await model.session();
    expect(automatic.device.reason).toMatch(/^chosen because /);
    const asked = await model.session({ device: 'cpu' });
    expect(asked.device).toMatchObject({ device: 'cpu', reason: 'asked for', threads: 2 });
    await model.dispose();
    expect(await codeOf(asked.feed([1]))).toBe('2 E025');
  });

  it('refuses what it cannot run', async () => {
    expect(await codeOf(loadModel({ path: spec }).then((m) => m.session()))).toBe('2 E011');
    expect(await codeOf(loadModel({ path: spec, set: { nothing: 1 } }))).toBe('10 E503');
    expect(await codeOf(loadModel({ path: spec, weights: golden('llama') }))).toBe('10 E705');
    expect(await codeOf(loadModel({ path: 'nowhere' }))).toBe('14 E721');
    const gpt2 = await loadModel({ path: golden('gpt2'), device: 'reference' });
    expect(await codeOf(gpt2.session({ context: 4096 }))).toBe('2 E027');
    await gpt2.dispose();
  });

  it('goes by the context that the model was made for', async () => {
    const model = await loadModel({ path: spec, random: 0 });
    expect(model.capacity()).toEqual({ context: 64, maxTokens: 64, maxLogitRows: 1 });
    expect(model.capacity({ context: 1000, maxTokens: 16, logitRows: 99 })).toEqual({ context: 1000, maxTokens: 16, maxLogitRows: 16 });
    await model.dispose();
  });

  it('writes text with the tokenizer of its folder', async () => {
    const made = await loadModel({ path: spec, random: 3 });
    const weights = new Map(await Promise.all(made.graph.weights.map(async ({ slot, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [slot, { dtype: 'F32' as const, shape, data: Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.7 + slot.length)) }] as const;
    })));
    await made.dispose();
    writeFileSync(path.join(folder.path, 'model.safetensors'), encodeSafetensors(weights));
    writeFileSync(path.join(folder.path, 'tokenizer.json'), JSON.stringify(byteLevel()));
    writeFileSync(path.join(folder.path, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }));
    const mapped = folder.file('mapped.yaml', `peel: 1
extends: ./tiny.yaml
weights:
  huggingface:
    tensors:
      embeddings.token: embeddings.token
      layers.attention.norm: layers.{i}.attention.norm
      layers.attention.{q,k,v,o}: layers.{i}.attention.{}
      layers.ffn.norm: layers.{i}.ffn.norm
      layers.ffn.{up,gate,down}: layers.{i}.ffn.{}
      output.norm: output.norm
`);
    const model = await loadModel({ path: mapped, weights: folder.path, device: 'cpu' });
    const write = async (): Promise<string> => {
      let text = '';
      for await (const piece of model.write('hello', { maxTokens: 12 })) text += piece;
      return text;
    };
    expect((await write()).length).toBeGreaterThan(0);
    expect(await write()).toBe(await write());
    const tokenizer = await model.tokenizer();
    const session = await model.session({ logitRows: 64 });
    const measured = await bitsPerByte(session, tokenizer, 'hello hello', 4);
    const ids = tokenizer.encode('hello hello', { frame: false });
    let sum = 0;
    for (let at = 0; at < ids.length; at += 4) {
      const window = ids.slice(at, at + 4);
      const logits = await session.logits([0, ...window.slice(0, -1)]);
      window.forEach((id, i) => { sum += surprise(logits.subarray(i * 264, (i + 1) * 264), id); });
    }
    expect(measured.bitsPerByte).toBeCloseTo(sum / Math.LN2 / 11, 10);
    expect(measured).toMatchObject({ tokens: ids.length, bytes: 11, windows: Math.ceil(ids.length / 4) });
    await model.dispose();
  });
});

describe('comparisons', () => {
  it('give the names of transformers to outputs', () => {
    expect(['hidden.0', 'hidden.1', 'hidden.3', 'hidden.4', 'last_hidden', 'logits', 'generated'].map((n) => outputName(n, 3)))
      .toEqual(['embeddings', 'hidden.0', 'final', undefined, 'final', 'logits', undefined]);
    expect(surprise(Float32Array.from([0, 0, 0, 0]), 2)).toBeCloseTo(Math.log(4), 12);
  });
  it('count NaN and other lengths as differences', () => {
    const one = Float32Array.of(1, 2);
    expect(difference('x', Float32Array.of(1, NaN), one, { tolerance: 1 })).toMatchObject({ close: false });
    expect(difference('x', Float32Array.of(1), one, { tolerance: 1 })).toMatchObject({ close: false });
    expect(difference('x', Float32Array.of(1, 2.5), one, { tolerance: 1 })).toMatchObject({ maxAbs: 0.5, nmse: 0.05, close: true });
  });
  it('take a recording that was saved, on another device', async () => {
    for (const name of ['gemma2', 'bert']) {
      const model = await loadModel({ path: golden(name) });
      const options = { outputs: comparedOutputs(model.model.layers.length), logitRows: 64, context: 40 };
      const reference = await model.session({ ...options, device: 'reference' });
      const file = folder.file(`${name}.safetensors`, encodeSafetensors(await record(reference, [5, 6, 7, 8], 4)));
      const cpu = await model.session({ ...options, device: 'cpu' });
      const recording = await openSafetensors(file);
      const report = await compareWithRecording(cpu, recording, file, 1e-4);
      expect(report).toMatchObject({ passed: true });
      expect((await compareSessions(cpu, reference, [9, 10, 11], 3, 1e-4)).passed).toBe(true);
      expect((await compareSessions(cpu, reference, [9, 10, 11], 3, 0)).passed).toBe(false);
      await recording.dispose();
      await model.dispose();
    }
  });
});

describe('checkModel', () => {
  it('finds NaN among the weights when asked', async () => {
    const copy = temporaryFolder();
    copyFileSync(path.join(golden('llama'), 'config.json'), path.join(copy.path, 'config.json'));
    const source = await openSafetensors(path.join(golden('llama'), 'model.safetensors'));
    const info = source.tensors.get('model.norm.weight');
    const { readFileSync } = await import('node:fs');
    const bytes = readFileSync(path.join(golden('llama'), 'model.safetensors'));
    bytes.writeFloatLE(NaN, (info?.begin ?? 0) + 8);
    copy.file('model.safetensors', bytes);
    await source.dispose();
    expect((await checkModel({ path: copy.path })).exitCode).toBe(0);
    const found = await checkModel({ path: copy.path, values: true });
    expect(found.diagnostics.map((d) => `${d.code} ${d.message}`)).toEqual([`E736 slot 'output.norm.weight' holds NaN or infinity, first at element 2`]);
    expect(found.exitCode).toBe(11);
    copy.remove();
  });
});
