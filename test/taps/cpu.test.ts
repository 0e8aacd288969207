/** Every named value of checkpoints of varied kinds on the CPU: those of the reference, at once, in chunks and token by token. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { furtherFolder, goldenFolder } from '../support/model-folder.ts';
import { compareValues, familiesOf } from './values.ts';
import type { PlanBackend } from '../../runtime/backend.ts';

let backend: PlanBackend;
beforeAll(async () => { backend = await createCpuBackend({ threads: 1 }); });
afterAll(() => backend.dispose());

describe('all values at once', () => {
  test.each([
    ['llama', goldenFolder], ['gemma2', goldenFolder], ['deepseek_v3', goldenFolder], ['gpt2', goldenFolder], ['mixtral', goldenFolder], ['bert', goldenFolder], ['qwen3_next', furtherFolder], ['lfm2', furtherFolder],
  ])('%s', async (name, folder) => {
    const [result] = await compareValues(backend, folder, name, [['*']]);
    expect(result?.wrong).toEqual([]);
    expect(result?.values).toBeGreaterThan(20);
  });
});

describe('every fifth kind of value, so that most of what is around it is fused', () => {
  test.each([['llama', goldenFolder], ['deepseek_v3', goldenFolder]])('%s', async (name, folder) => {
    const families = await familiesOf(folder, name);
    expect(families.length).toBeGreaterThan(15);
    const results = await compareValues(backend, folder, name, [0, 1, 2, 3, 4].map((first) => families.filter((_, n) => n % 5 === first)));
    expect(results.flatMap(({ wrong }) => wrong)).toEqual([]);
  });
});
