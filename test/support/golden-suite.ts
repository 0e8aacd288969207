/** Declares a test for each recorded checkpoint of a folder, on the reference backend. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { compareWithGolden, readGolden } from './golden.ts';
import { openModel } from './model-folder.ts';

/** Most that logits, hidden states and generated logits may differ from transformers' float32. */
const limit = 1e-4;
/** Most that token-by-token logits may differ from those of one step; both are float64 inside. */
const decodeLimit = 1e-5;

export function checkpointNames(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);
}

export function testCheckpoints(base: string): void {
  test.each(checkpointNames(base))('%s', async (name) => {
    const folder = path.join(base, name);
    const golden = await readGolden(folder);
    const opened = await openModel(folder);
    const executor = await referenceBackend.load(opened.graph, opened.weights, 'test');
    try {
      const errors = await compareWithGolden(executor, golden);
      for (const [output, error] of Object.entries(errors.hidden)) expect(error, output).toBeLessThanOrEqual(limit);
      expect(errors.logits).toBeLessThanOrEqual(limit);
      expect(errors.generated).toBeLessThanOrEqual(limit);
      expect(errors.tokens).toEqual(Array.from(golden.generated ?? []));
      expect(errors.decode).toBeLessThanOrEqual(decodeLimit);
      expect(opened.warnings, 'every key of config.json is accounted for').toEqual([]);
    } finally {
      await executor.dispose();
      await opened.dispose();
    }
  });
}
