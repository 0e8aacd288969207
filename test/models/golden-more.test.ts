/** The checkpoints of further families and options (test/golden-more/models.py) on the reference backend, against transformers. */
import { describe, expect, test } from 'vitest';
import { onReference, testCheckpoints } from '../support/golden-suite.ts';
import { checkpointNames, furtherFolder } from '../support/model-folder.ts';

describe('further checkpoints on the reference backend', () => {
  test('there are 89', () => {
    expect(checkpointNames(furtherFolder).length).toBe(89);
  });
  testCheckpoints(furtherFolder, onReference);
});
