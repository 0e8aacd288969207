/** Every named value of a few checkpoints on WebGPU: those of the reference, at once, in chunks and token by token. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestWebGpu } from '../support/webgpu.ts';
import { furtherFolder, goldenFolder } from '../support/model-folder.ts';
import { compareValues } from './values.ts';
import type { PlanBackend } from '../../runtime/backend.ts';

let backend: PlanBackend;
beforeAll(async () => { backend = await openTestWebGpu(); });
afterAll(() => backend.dispose());

test.each([
  ['llama', goldenFolder, ['*']],
  ['mixtral', goldenFolder, ['layers.0.*.{gate,up,weights,choice,router,probs,q}', 'layers.0.*.experts.*']],
  ['lfm2', furtherFolder, ['layers.{0,1}.*', 'hidden.*']],
] as const)('%s', async (name, folder, patterns) => {
  const [result] = await compareValues(backend, folder, name, [patterns]);
  expect(result?.wrong).toEqual([]);
  expect(result?.values).toBeGreaterThan(8);
});
