/** Values inside a model at the command line: run --tap and --save, plan --tap, graph --values. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSafetensors, readTensor } from '../../runtime/weights/safetensors.ts';
import { temporaryFolder } from '../runtime/weights/files.ts';
import { golden, peel, prepare } from './peel.ts';

const folder = temporaryFolder();
const llama = golden('llama');
beforeAll(prepare);
afterAll(() => folder.remove());

describe('run --tap', () => {
  it('prints a table of what the patterns fit, saves it, and gives the numbers as JSON', async () => {
    const file = path.join(folder.path, 'taps.safetensors');
    const flags = ['run', golden('mixtral'), '--ids', '3,1,4', '--tap', 'layers.1.*.{choice,probs}', '--tap', 'logits', '--device', 'cpu'];
    const [text, json] = await Promise.all([peel(...flags, '--save', file), peel(...flags, '--json')]);
    expect([text.code, text.err]).toEqual([0, expect.stringMatching(/^\nmixtral on cpu: .*\n$/)]);
    expect(text.out).toMatch(/^value +shape +norm +least +largest\nlayers\.1\.attention\.probs +\[3, 4, 3\] +[\d.]+ +0 +1\.00\nlayers\.1\.ffn\.choice +\[3, 2\] +[\d.]+ +\d +\d\nlogits +\[3, \d+\] .*\n$/);
    const { taps } = JSON.parse(json.out) as { taps: Record<string, { dtype: string; shape: number[]; values: number[]; norm: number }> };
    expect(Object.keys(taps)).toEqual(['layers.1.attention.probs', 'layers.1.ffn.choice', 'logits']);
    const saved = await openSafetensors(file);
    expect([...saved.tensors.keys()]).toEqual(['input_ids', ...Object.keys(taps)]);
    for (const [name, { shape, values }] of Object.entries(taps)) {
      expect(saved.tensors.get(name)?.shape).toEqual(shape);
      expect(Array.from(await readTensor(saved, name))).toEqual(values);
    }
    expect(saved.tensors.get('layers.1.ffn.choice')?.dtype).toBe('I32');
    await saved.dispose();
  });

  it('saves what diff takes as a recording: its hidden.0 is behind layer 0', async () => {
    const file = path.join(folder.path, 'hidden.safetensors');
    await peel('run', llama, '--ids', '3,1,4', '--tap', 'hidden.*', '--tap', 'logits', '--device', 'reference', '--save', file);
    const ran = await peel('diff', llama, '--against', file, '--device', 'cpu', '--json');
    const report = JSON.parse(ran.out) as { passed: boolean; outputs: { name: string }[] };
    expect([ran.code, report.passed, report.outputs.map((o) => o.name)]).toEqual([0, true, ['hidden.0', 'hidden.1', 'hidden.2', 'logits']]);
  });

  it('goes before text that is asked for, and works for models that write none', async () => {
    const [plain, tapped, encoder] = await Promise.all([
      peel('run', llama, '--ids', '3,1,4', '--max-tokens', '4', '--device', 'cpu', '--quiet'),
      peel('run', llama, '--ids', '3,1,4', '--max-tokens', '4', '--device', 'cpu', '--quiet', '--tap', 'layers.*.attention.scores'),
      peel('run', golden('bert'), '--ids', '1,2', '--device', 'reference', '--quiet', '--tap', 'pooled'),
    ]);
    expect(tapped.out.split('\n').slice(0, 4).map((row) => row.split(' ')[0])).toEqual(['value', 'layers.0.attention.scores', 'layers.1.attention.scores', 'layers.2.attention.scores']);
    expect(tapped.out.endsWith(`\n${plain.out}`)).toBe(true);
    expect([encoder.code, encoder.out]).toEqual([0, expect.stringMatching(/\npooled +\[1, 32\] /)]);
  });
});

it('plan --tap says what it does to fusions', async () => {
  const { out } = await peel('plan', llama, '--tap', 'layers.*.attention.probs');
  expect(out).toContain('- attention        layers.{i}.attention.core: layers.{i}.attention.probs is tapped: it must be stored, so that scores, softmax and mix stay apart (layers 0..2)');
});

it('graph --values lists the names, layers folded', async () => {
  const { out } = await peel('graph', golden('deepseek_v3'), '--values');
  expect(out).toMatch(/^layers\.\*\.ffn\.choice +i32\[T, 2\] +[\d., ]+$/m);
  expect(out).toMatch(/^logits +f32\[R, 160\]$/m);
});

describe.concurrent('what can be wrong', () => {
  it.each([
    ['a name of another library', ['--tap', 'layers.0.self_attn.q_proj'], 2, /^E030 \/taps no value of the model fits `layers.0.self_attn.q_proj`; did you mean `layers.0.attention.q`\?\n$/],
    ['no pattern', ['--tap'], 2, /--tap.*A pattern of names was expected, found --device/],
    ['--save without --tap', ['--save', 'x.safetensors'], 2, /^E012 .*no value is tapped; give --tap PATTERN/],
    ['--save to another kind of file', ['--tap', 'final', '--save', 'x.npz'], 2, /^E012 .*x.npz does not end so/],
    ['--save where nothing can be written', ['--tap', 'final', '--save', '/nope/x.safetensors'], 14, /E721 .*cannot be written/],
  ] as const)('%s', async (_what, flags, code, says) => {
    const ran = await peel('run', llama, '--ids', '1,2', ...flags, '--device', 'cpu');
    expect([ran.code, ran.out]).toEqual([code, '']);
    expect(ran.err).toMatch(says);
  });
});
