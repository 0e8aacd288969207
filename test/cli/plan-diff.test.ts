/** peel plan diff as users run it; `peel plan` beside it goes on as it was. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../runtime/weights/files.ts';
import { peel, prepare } from './peel.ts';

beforeAll(prepare);

it('ends with 0, with --exit-code with 1 where plans differ', async () => {
  const { path: folder, remove } = temporaryFolder();
  onTestFinished(remove);
  const saved = path.join(folder, 'plan.json');
  writeFileSync(saved, (await peel('plan', 'nano-llama', '--device', 'webgpu', '--json')).out);
  expect(await peel('plan', 'diff', saved, 'nano-llama', '--exit-code')).toEqual({ code: 0, out: `no change: the plans of ${saved} and nano-llama are equal\n`, err: '' });
  const small = ['--config', 'models/nano/nano-llama/config.json', '--markdown'];
  const [same, other] = [await peel('plan', 'diff', 'llama', 'models/llama.yaml', ...small, '--exit-code'), await peel('plan', 'diff', saved, 'llama', ...small, '--exit-code')];
  expect([same.code, same.out]).toEqual([0, '### Plan of `llama` for WebAssembly, context 256\n\n`llama` → `models/llama.yaml`: no change.\n']);
  // Without weights beside it the spec is planned in f32.
  expect([other.code, other.out]).toEqual([1, expect.stringMatching(/^### Plan of `llama` for WebGPU hardware.*\| weights \| 2.5 MiB \| 5.0 MiB \| .*<details>\n<summary>weights: /s)]);
  const data = JSON.parse((await peel('plan', 'diff', saved, 'nano-gpt', '--json')).out) as { equal: boolean; names: object; totals: { name: string }[] };
  expect([data.equal, data.names, data.totals[0]?.name]).toEqual([false, { before: saved, after: 'nano-gpt' }, 'parameters']);
});

it('says what is wrong with its options', async () => {
  const said = async (...args: string[]): Promise<string> => { const { code, err } = await peel('plan', ...args); return `${code} ${err.split('\n')[0] ?? ''}`; };
  expect(await said('diff', 'nano-llama')).toBe("2 error: missing required argument 'b'");
  expect(await said('--device', 'webgpu', 'diff', 'nano-llama', 'nano-gpt')).toBe('2 E012 / --device before `diff` would be lost; options come after it: peel plan diff A B --device webgpu');
  expect(await said('diff', 'nano-llama', 'nano-gpt', '--json', '--markdown')).toBe('2 E012 / --json and --markdown exclude each other; give one of them');
  expect(await said('diff', 'nano-llama', 'nano-lama')).toMatch(/^14 E721 .*did you mean 'nano-llama'/);
  expect(await said('diff', 'nano-llama', 'nano-gpt', '--device', 'gpu')).toMatch(/^2 .*Allowed choices are cpu, webgpu, webgpu-software/);
});
