/** The further checkpoints (test/golden-more/models.py) on the WebGPU backend, against transformers. One device serves all of them. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import type { WebGpuBackend } from '../../runtime/webgpu/index.ts';
import { compareWithGolden, readGolden } from '../support/golden.ts';
import { openModel } from '../support/model-folder.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

const root = fileURLToPath(new URL('../golden-more', import.meta.url));
const limit = 1e-4;
const names = readdirSync(root, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);

describe('further checkpoints on the webgpu backend', () => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openTestWebGpu(); });
  afterAll(() => backend.dispose());

  test.each(names)('%s', async (name) => {
    const folder = path.join(root, name);
    const golden = await readGolden(folder);
    const { graph, weights, dispose } = await openModel(folder);
    const context = golden.ids.length + (golden.generated?.length ?? 0);
    const capacity = { maxTokens: golden.ids.length, context, maxLogitRows: golden.ids.length };
    const executor = await backend.load(buildPlan(graph, backend.target, capacity), weights, 'test');
    try {
      const errors = await compareWithGolden(executor, golden);
      expect(errors.logits).toBeLessThanOrEqual(limit);
      expect(errors.generated).toBeLessThanOrEqual(limit);
      expect(errors.tokens).toEqual(Array.from(golden.generated ?? []));
      expect(errors.decode).toBeLessThanOrEqual(2e-5);
    } finally {
      await executor.dispose();
      await dispose();
    }
  });
});
