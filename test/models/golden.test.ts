/** Every golden checkpoint, on the reference backend, against what transformers computed for it. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { compareWithGolden, readGolden } from '../support/golden.ts';
import { goldenFolder, openModel } from '../support/model-folder.ts';

const limit = 1e-4;
const names = readdirSync(goldenFolder, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);

describe('golden checkpoints on the reference backend', () => {
  test('there are 32', () => {
    expect(names.length).toBe(32);
  });

  test.each(names)('%s', async (name) => {
    const folder = path.join(goldenFolder, name);
    const golden = await readGolden(folder);
    const opened = await openModel(folder);
    const executor = await referenceBackend.load(opened.graph, opened.weights, 'test');
    try {
      const errors = await compareWithGolden(executor, golden);
      for (const [output, error] of Object.entries(errors.hidden)) expect(error, output).toBeLessThanOrEqual(limit);
      expect(errors.logits).toBeLessThanOrEqual(limit);
      expect(errors.generated).toBeLessThanOrEqual(limit);
      expect(errors.tokens).toEqual(Array.from(golden.generated ?? []));
      expect(errors.decode).toBeLessThanOrEqual(1e-5);
      expect(opened.warnings, 'every key of config.json is accounted for').toEqual([]);
    } finally {
      await executor.dispose();
      await opened.dispose();
    }
  });
});
