/** What a user reads after a mistake: one line a problem with what to do, no stack, the right exit code, nothing on stdout. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { root } from '../../scripts/build.mjs';
import { temporaryFolder } from '../runtime/weights/files.ts';
import { golden, peel, prepare } from './peel.ts';

const folder = temporaryFolder();
const llama = golden('llama');
const blocks = 'test/runtime/weights/gguf/blocks.gguf';

/** A copy of the llama folder with one file changed. */
function broken(name: string, file: string, change: (bytes: Buffer) => Buffer | string): string {
  const copy = path.join(folder.path, name);
  mkdirSync(copy);
  for (const f of ['config.json', 'model.safetensors']) cpSync(path.join(root, llama, f), path.join(copy, f));
  writeFileSync(path.join(copy, file), change(readFileSync(path.join(copy, file))));
  return copy;
}
const inConfig = (name: string, from: string, to: string): string => broken(name, 'config.json', (b) => b.toString().replace(from, to));

beforeAll(async () => {
  await prepare();
  execFileSync('mkfifo', [path.join(folder.path, 'pipe')]);
});
afterAll(() => folder.remove());

const device = ['--device', 'reference'];
const cases: [what: string, args: () => string[], code: number, says: RegExp][] = [
  ['no command', () => [], 2, /Usage: peel/],
  ['a command that is not there', () => ['rum', llama], 2, /unknown command 'rum'[\s\S]*run/],
  ['an option that is not there', () => ['run', llama, '--max-token', '3'], 2, /Did you mean --max-tokens/],
  ['a model that is not there', () => ['run', 'lama', '--ids', '1'], 14, /no folder, file, spec or shipped model called 'lama'; did you mean 'llama'/],
  ['a path that is not there', () => ['run', './nothing/here', '--ids', '1'], 14, /E721.*no such file/],
  ['a named pipe', () => ['run', path.join(folder.path, 'pipe'), '--ids', '1'], 14, /neither a folder nor a file/],
  ['weights in place of a model', () => ['run', golden('llama', 'model.safetensors')], 2, /give its folder, or a spec with --weights/],
  ['a folder without config.json', () => ['check', 'test'], 14, /config.json.*is missing/],
  ['a spec without weights', () => ['run', llama.replace('golden/llama', 'specs/gated.yaml'), '--ids', '1'], 10, /E501.*(--set|--weights)/],
  ['ids that are no numbers', () => ['run', llama, '--ids', '1,x'], 2, /found 'x'/],
  ['an id beyond the vocabulary', () => ['run', llama, '--ids', '1,160', ...device], 2, /E023 \/ids\/1 token id 160 is not from 0 to 159/],
  ['text without a tokenizer', () => ['run', llama, '--prompt', 'hi', ...device], 12, /E802.*tokenizer.json is missing; give token ids with --ids/],
  ['both text and ids', () => ['run', llama, '--prompt', 'hi', '--ids', '1'], 2, /exclude each other/],
  ['a prompt beyond the context', () => ['run', llama, '--ids', '1,2,3,4,5', '--context', '4', ...device], 2, /the prompt has 5 tokens, the context holds 4/],
  ['numbers out of range', () => ['run', llama, '--ids', '1', '--top-p', '0', ...device], 2, /top-p must be above 0/],
  ['a device that is not there', () => ['run', llama, '--ids', '1', '--device', 'gpu'], 2, /One of auto, cpu, webgpu, reference/],
  ['no threads', () => ['run', llama, '--ids', '1', '--threads', '0'], 2, /from 1 to 8/],
  ['a param that is not there', () => ['check', 'llama', '--weights', llama, '--set', 'laers=2'], 10, /E503.*did you mean `layers`/],
  ['a model type without a spec', () => ['check', inConfig('type', '"model_type": "llama"', '"model_type": "lama"')], 10, /E505.*nearest one is 'llama'/],
  ['a config key that is missing', () => ['check', inConfig('missing', '"vocab_size"', '"vocab_sise"')], 10, /E501.*vocab_size/],
  ['a config key that nothing knows', () => ['check', '--strict', inConfig('extra', '"vocab_size"', '"frobnicate": 3, "vocab_size"')], 1, /warning:.*W506.*frobnicate/],
  ['a config that is no JSON', () => ['check', inConfig('json', '"vocab_size": 160', '"vocab_size": oops')], 11, /config.json:\d+:\d+ E735 .*found 'oops'/],
  ['weights of other sizes', () => ['check', inConfig('sizes', '"hidden_size": 32', '"hidden_size": 40')], 11, /E601.*heads \* head_dim x dim = 32x40, the file has 32x32/],
  ['truncated weights', () => ['check', broken('short', 'model.safetensors', (b) => b.subarray(0, 500))], 11, /E723.*the file is truncated/],
  ['a path through a file', () => ['check', 'package.json/x.gguf'], 14, /x.gguf:1:1 E721 .*part of the path is a file/],
  ['a GGUF file that is none', () => ['run', folder.file('none.gguf', 'hello'), '--ids', '1'], 11, /none.gguf:1:1 E724 \/ it begins with "hell" where a GGUF file has "GGUF"/],
  ['a GGUF file cut short', () => ['check', folder.file('short.gguf', readFileSync(path.join(root, blocks)).subarray(0, 40_000))], 11, /short.gguf:1:\d+ E729 \/ tensor 'Q\w+': .* but the file has 40000; the file is truncated/],
  ['a GGUF file of an architecture that nothing serves', () => ['check', blocks], 10, /blocks.gguf:1:1 E505 .*no spec in models\/ serves general.architecture 'none'/],
  ['a GGUF file for a spec without names for its tensors', () => ['check', 'test/specs/gated.yaml', '--weights', blocks], 10, /E705 .*the spec has no weight names for GGUF files/],
  ['a stage that is not there', () => ['plan', llama, '--dump', 'foo'], 2, /E012 .*there is no stage 'foo'; one of model, graph/],
  ['a diff with nothing to compare', () => ['diff', llama], 2, /say what to compare with: --against FILE, --devices A,B, --fused/],
  ['two comparisons at once', () => ['diff', llama, '--fused', '--devices', 'cpu,reference'], 2, /--devices and --fused each ask for something else: give one of them/],
  ['fusion of a device that has none', () => ['diff', llama, '--fused', ...device], 2, /the reference runs every operator by itself.*--device cpu/],
  ['a recording of another size', () => ['diff', 'nano-llama', '--against', golden('llama', 'golden.safetensors'), '--device', 'cpu'], 11, /E601.*'hidden.0': holds 672 numbers for 21 tokens, the model gives/],
  ['a value to record that is not there', () => ['diff', llama, '--save', path.join(folder.path, 'r.safetensors'), '--tap', 'layers.0.attn.q', ...device], 2, /E030.*layers\.0\.attention\.q/],
  ['ids for a recording that has its own', () => ['diff', llama, '--against', golden('llama', 'golden.safetensors'), '--ids', '1,2'], 2, /--ids does not go with --against/],
  ['a value to look at while comparing', () => ['diff', llama, '--fused', '--tap', 'layers.0.*'], 2, /--tap goes with --save/],
  ['a recording that is not there', () => ['diff', llama, '--against', 'nothing.safetensors', ...device], 14, /E721/],
  ['a recording that is none', () => ['diff', llama, '--against', golden('llama', 'model.safetensors'), ...device], 11, /'input_ids': is missing/],
  ['one device for two', () => ['diff', llama, '--devices', 'cpu'], 2, /Two devices/],
  ['no text to evaluate', () => ['eval', llama], 2, /--text/],
];

describe('mistakes', () => {
  it.concurrent.each(cases)('%s', async (_what, args, code, says) => {
    const ran = await peel(...args());
    expect(`${ran.code} ${ran.err}`).toMatch(new RegExp(`^${code} [\\s\\S]*${says.source}`));
    expect(ran.err).not.toMatch(/\n\s+at .*:\d+:\d+/);
    if (code !== 10 && code !== 11 && code !== 1) expect(ran.out).toBe('');
  });

  it('as JSON carry the code and every diagnostic', async () => {
    const ran = await peel('run', llama, '--ids', '1,160', '--json', ...device);
    const result = JSON.parse(ran.out) as { ok: boolean; exitCode: number; diagnostics: { code: string }[] };
    expect([ran.code, result.ok, result.exitCode, result.diagnostics.map((d) => d.code)]).toEqual([2, false, 2, ['E023']]);
  });
});
