/** What the commands give when all is well. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { graphPasses, kernelPasses } from '../../compiler/passes/index.ts';
import { temporaryFolder } from '../runtime/weights/files.ts';
import { golden, peel, prepare } from './peel.ts';

const llama = golden('llama');
const folder = temporaryFolder();
beforeAll(prepare);
afterAll(() => folder.remove());

describe('peel', () => {
  it('has help with examples for every command', async () => {
    const commands = ['run', 'chat', 'check', 'plan', 'graph', 'diff', 'eval', 'bench', 'import', 'pull'];
    for (const ran of await Promise.all(commands.map((c) => peel(c, '--help')))) {
      expect(ran.code).toBe(0);
      expect(ran.out).toMatch(/Examples?:\n {2}\$ peel/);
    }
    expect((await peel('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('run gives the tokens of transformers, alone on stdout', async () => {
    const json = await peel('diff', llama, '--against', golden('llama', 'golden.safetensors'), '--device', 'reference', '--json');
    const report = JSON.parse(json.out) as { ok: boolean; passed: boolean; tokens: { expected: number[]; found: number[] }; outputs: { name: string; maxAbs: number }[] };
    expect([json.code, report.ok, report.passed]).toEqual([0, true, true]);
    expect(report.tokens.found).toEqual(report.tokens.expected);
    expect(report.outputs.map((o) => o.name)).toEqual(['embeddings', 'hidden.0', 'hidden.1', 'final', 'logits', 'gen_logits']);
    for (const { maxAbs } of report.outputs) expect(maxAbs).toBeLessThan(1e-4);
    const [first, second] = await Promise.all(['reference', 'cpu'].map((device) => peel('run', llama, '--ids', '3,1,4', '--max-tokens', '6', '--device', device)));
    expect(first?.out).toMatch(/^(\d+ ){5}\d+\n$/);
    expect(second?.out).toBe(first?.out);
    expect(second?.err).toMatch(/cpu: WebAssembly.*asked for/);
  });

  it('run samples the same text for the same seed', async () => {
    const draw = (seed: string): Promise<string> => peel('run', llama, '--ids', '3', '--max-tokens', '12', '--temperature', '1.5', '--seed', seed, '--quiet').then((r) => r.out);
    const [a, b, c] = await Promise.all([draw('1'), draw('1'), draw('2')]);
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });

  it('diff names the first layer that diverges, and exits with 1', async () => {
    const ran = await peel('diff', llama, '--against', golden('mistral', 'golden.safetensors'), '--device', 'cpu');
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/first divergence: embeddings\n\nlikely cause: none of \d+ that were tried makes the difference vanish\nFAILED/);
    expect(ran.out).toMatch(/greedy tokens: number 0 differs/);
    const strict = await peel('diff', llama, '--against', golden('llama', 'golden.safetensors'), '--device', 'cpu', '--tolerance', '1e-9');
    expect(strict.code).toBe(1);
  });

  it('diff names the likely cause, and what it changes first', async () => {
    const fault = ['--against', golden('llama', 'golden.safetensors'), '--device', 'cpu', '--set', 'rope_pairing=interleaved'];
    const [ran, json] = await Promise.all([peel('diff', llama, ...fault), peel('diff', llama, ...fault, '--json')]);
    expect([ran.code, json.code]).toEqual([1, 1]);
    expect(ran.out).toMatch(/first divergence: hidden\.0, the output of layer 0\n\nlikely cause: rotary pairing: with 'half' in place of 'interleaved', hidden\.0 agrees \(NMSE 0\.\d+ -> .*\), and so does all that is behind it\n {2}it first changes layers\.0\.attention\.q_rope at models\/llama\.yaml:\d+:\d+\n/);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, firstDivergence: 'hidden.0', causes: { agrees: false, likely: { changes: [{ cause: 'rotary pairing' }], alters: 'layers.0.attention.q_rope' } } });
  });

  it('diff says what 8-bit inputs and quantised weights cost', async () => {
    const [exact, weights, none] = await Promise.all([
      peel('diff', 'nano-llama', '--exact', '--quantize', 'q4_0', '--device', 'cpu', '--threads', '1', '--tokens', '1', '--json'),
      peel('diff', 'nano-llama', '--quantize', 'q4_0', '--nmse', '1e-6', '--device', 'cpu', '--threads', '1', '--tokens', '1'),
      peel('diff', 'nano-llama', '--exact', '--device', 'cpu', '--threads', '1', '--tokens', '1'),
    ]);
    expect([exact.code, weights.code, none.code]).toEqual([0, 1, 0]);
    const { sides, outputs } = JSON.parse(exact.out) as { sides: string[]; outputs: { name: string; nmse: number }[] };
    expect(sides).toEqual(['8-bit inputs', 'exact inputs']);
    const logits = outputs.find((d) => d.name === 'logits')?.nmse ?? 0;
    expect(logits).toBeGreaterThan(1e-7);
    expect(logits).toBeLessThan(0.02);
    expect(weights.out).toMatch(/q4_0 against as stored\n[\s\S]*first divergence: embeddings\n[\s\S]*the first beyond the limit: embeddings\.token\nFAILED: beyond an NMSE of 0\.000001/);
    expect(none.err).toMatch(/both are the same: no weights are quantised/);
  });

  it('diff finds the operator in a recording that holds inner values', async () => {
    const file = path.join(folder.path, 'recording.safetensors');
    expect((await peel('diff', llama, '--save', file, '--tap', 'layers.*', '--device', 'cpu')).code).toBe(0);
    const ran = await peel('diff', llama, '--against', file, '--device', 'cpu', '--set', 'rope_theta=5000', '--seconds', '0');
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/layers\.0\.attention\.q_rope .* DIFFERS/);
    expect(ran.out).toMatch(/first wrong operator: layers\.0\.attention\.q_rope \(map, rope\) at models\/llama\.yaml:\d+:\d+, of layers\.0\.attention\.q \(NMSE \S+\): what goes in agrees, what comes out does not\n/);
    expect(ran.out).not.toMatch(/likely cause/);
  });

  it('diff compares encoders by their last hidden state, and devices with each other', async () => {
    const [bert, devices] = await Promise.all([
      peel('diff', golden('bert'), '--against', golden('bert', 'golden.safetensors'), '--device', 'cpu', '--json'),
      peel('diff', golden('gpt_oss'), '--devices', 'cpu,reference', '--threads', '2', '--json'),
    ]);
    const outputs = (text: string): string[] => (JSON.parse(text) as { outputs: { name: string }[] }).outputs.map((o) => o.name);
    expect([bert.code, devices.code]).toEqual([0, 0]);
    expect(outputs(bert.out).at(-1)).toBe('final');
    expect(outputs(devices.out)).toContain('hidden.3');
  });

  it('check says that all is well, and how large it is', async () => {
    const ran = await peel('check', llama, '--json');
    expect(JSON.parse(ran.out)).toMatchObject({ ok: true, errors: 0, warnings: 0, summary: { name: 'llama', layers: 3, dim: 32, parameters: 35808, tensors: 30 } });
  });

  it('plan prints kernels, fusions and bytes; stages can be dumped; the JSON is a plan', async () => {
    const [text, json, graph, all] = await Promise.all([
      peel('plan', llama), peel('plan', llama, '--json', '--device', 'webgpu'), peel('plan', llama, '--dump', 'graph'), peel('plan', llama, '--dump', 'all'),
    ]);
    expect(text.out).toMatch(/fusions/);
    const plan = JSON.parse(json.out) as { kind: string; target: { device: string }; kernels: unknown[] };
    expect([plan.kind, plan.target.device, plan.kernels.length > 5]).toEqual(['plan', 'webgpu', true]);
    expect(graph.out).toBe((await peel('graph', llama)).out);
    expect(all.out.match(/(?<=^=== )\S+/gm)).toEqual(['model', 'graph', ...graphPasses.map((p) => p.name), 'schedule', ...kernelPasses.map((p) => p.name)]);
  });

  it('bench measures prefill and decode, and quantises', async () => {
    const args = ['bench', 'nano-llama', '--device', 'cpu', '--threads', '1', '--rounds', '2', '--prompt', '16', '--decode', '4', '--context', '24'];
    const [text, json] = await Promise.all([peel(...args), peel(...args, '--quantize', 'q8_0', '--keep', 'layers.0.*', '--json')]);
    expect(text.code).toBe(0);
    expect(text.out).toMatch(/^llama on cpu: .*\nprefill of 16: .* GFLOP\/s .*\ndecode after 24: .* GB\/s of .* a token .*\nreading alone: .* GB\/s on 1 thread; decode has \d+ % of it\ncold: .*\nmemory: .*\nkernels: .* linear/);
    const report = JSON.parse(json.out) as { decode: { past: number; tokensPerSecond: number; times: { count: number } }; prefill: { tokens: number }; quantisation: { weights: number; kept: string[] } };
    expect([report.prefill.tokens, report.decode.past, report.decode.times.count, report.quantisation.weights, report.quantisation.kept.length]).toEqual([16, 24, 8, 36, 7]);
    expect(report.decode.tokensPerSecond).toBeGreaterThan(0);
    const alone = await peel('bench', 'nano-llama', '--keep', 'output.*');
    expect(alone.code).toBe(2);
    expect(alone.err).toMatch(/E012 .*--keep goes with --quantize/);
  });
});
