/** The checkpoints of further families and options (test/golden-more/models.py) on the reference and CPU backends, against transformers. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { compareWithGolden, readGolden } from '../support/golden.ts';
import { openModel } from '../support/model-folder.ts';
import type { GoldenErrors } from '../support/golden.ts';
import type { PlanBackend } from '../../runtime/backend.ts';

const root = fileURLToPath(new URL('../golden-more', import.meta.url));
const names = readdirSync(root, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);
const limit = 1e-4;

function expectSame(errors: GoldenErrors, tokens: Int32Array | undefined, decode: number): void {
  expect(errors.logits).toBeLessThanOrEqual(limit);
  expect(errors.generated).toBeLessThanOrEqual(limit);
  expect(errors.tokens).toEqual(Array.from(tokens ?? []));
  expect(errors.decode).toBeLessThanOrEqual(decode);
}

describe('further checkpoints', () => {
  let cpu: PlanBackend;
  beforeAll(async () => { cpu = await createCpuBackend({ threads: 1 }); });
  afterAll(() => cpu.dispose());

  test('there are 79', () => {
    expect(names.length).toBe(79);
  });

  test.each(names)('%s', async (name) => {
    const folder = path.join(root, name);
    const golden = await readGolden(folder);
    const { graph, weights, warnings, dispose } = await openModel(folder);
    try {
      expect(warnings, 'every key of config.json is accounted for').toEqual([]);
      const reference = await referenceBackend.load(graph, weights, 'test');
      expectSame(await compareWithGolden(reference, golden), golden.generated, 1e-5);
      await reference.dispose();

      const context = golden.ids.length + (golden.generated?.length ?? 0);
      const capacity = { maxTokens: golden.ids.length, context, maxLogitRows: golden.ids.length };
      const executor = await cpu.load(buildPlan(graph, cpu.target, capacity, { outputs: graph.outputs.map((o) => o.name) }), weights, 'test');
      expectSame(await compareWithGolden(executor, golden), golden.generated, 2e-5);
      await executor.dispose();
    } finally {
      await dispose();
    }
  });
});
