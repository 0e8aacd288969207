/** Golden checkpoints as GGUF files, against what transformers computed for them. */
import { describe, expect, test } from 'vitest';
import { readGolden } from '../support/golden.ts';
import { expectRecorded, onReference, withLoader } from '../support/golden-suite.ts';
import { checkpointNames, goldenFolder } from '../support/model-folder.ts';
import { ggufNames, openRecorded } from './files.ts';

describe('golden checkpoints as GGUF files on the reference backend', () => {
  test('are all there', () => {
    expect(checkpointNames(goldenFolder).filter((name) => !ggufNames.includes(name))).toEqual([]);
  });

  withLoader(onReference, (loader) => {
    test.each(ggufNames)('%s', async (name) => {
      const { folder, opened } = await openRecorded(name);
      await expectRecorded(loader(), await readGolden(folder), opened);
    });
  });
});
