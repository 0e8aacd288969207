/** Every golden checkpoint on the WebGPU backend, against what transformers computed for it. One device serves all of them. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import type { WebGpuBackend } from '../../runtime/webgpu/index.ts';
import { compareWithGolden, readGolden } from '../support/golden.ts';
import { goldenFolder, openModel } from '../support/model-folder.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

const limit = 1e-4;
const names = readdirSync(goldenFolder, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);

describe('golden checkpoints on the webgpu backend', () => {
  let backend: WebGpuBackend;
  beforeAll(async () => { backend = await openTestWebGpu(); });
  afterAll(() => backend.dispose());

  test.each(names)('%s', async (name) => {
    const folder = path.join(goldenFolder, name);
    const golden = await readGolden(folder);
    const opened = await openModel(folder);
    const context = golden.ids.length + (golden.generated?.length ?? 0);
    const capacity = { maxTokens: golden.ids.length, context, maxLogitRows: golden.ids.length };
    const plan = buildPlan(opened.graph, backend.target, capacity, { outputs: opened.graph.outputs.map((o) => o.name) });
    const executor = await backend.load(plan, opened.weights, 'test');
    try {
      const errors = await compareWithGolden(executor, golden);
      for (const [output, error] of Object.entries(errors.hidden)) expect(error, output).toBeLessThanOrEqual(limit);
      expect(errors.logits).toBeLessThanOrEqual(limit);
      expect(errors.generated).toBeLessThanOrEqual(limit);
      expect(errors.tokens).toEqual(Array.from(golden.generated ?? []));
      expect(errors.decode).toBeLessThanOrEqual(2e-5);
    } finally {
      await executor.dispose();
      await opened.dispose();
    }
  });
});
