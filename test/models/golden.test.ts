/** Every golden checkpoint, on the reference backend, against what transformers computed for it. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { onReference, testCheckpoints } from '../support/golden-suite.ts';
import { readGolden } from '../support/golden.ts';
import { checkpointNames, goldenFolder } from '../support/model-folder.ts';

describe('golden checkpoints on the reference backend', () => {
  const names = checkpointNames(goldenFolder);
  test('there are 32, each with its hidden states', async () => {
    const goldens = await Promise.all(names.map((name) => readGolden(path.join(goldenFolder, name))));
    expect(goldens.filter((golden) => golden.hidden.length > 2).length).toBe(32);
  });
  testCheckpoints(goldenFolder, onReference);
});
