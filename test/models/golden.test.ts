/** Every golden checkpoint, on the reference backend, against what transformers computed for it. */
import { describe, expect, test } from 'vitest';
import { checkpointNames, testCheckpoints } from '../support/golden-suite.ts';
import { goldenFolder } from '../support/model-folder.ts';

describe('golden checkpoints on the reference backend', () => {
  test('there are 32', () => {
    expect(checkpointNames(goldenFolder).length).toBe(32);
  });
  testCheckpoints(goldenFolder);
});
