/** Specs with an activation or a block of their own, against plain PyTorch (test/specs/make.py). */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { compareWithGolden, readGolden } from '../support/golden.ts';
import { openModel } from '../support/model-folder.ts';

const specs = fileURLToPath(new URL('../specs', import.meta.url));

describe('custom blocks', () => {
  test.each([
    ['xIELU with learned parameters', 'apertus', undefined],
    ['a gated attention output', 'gated', `${specs}/gated.yaml`],
  ])('%s', async (_, name, specFile) => {
    const golden = await readGolden(`${specs}/${name}`);
    const opened = await openModel(`${specs}/${name}`, specFile);
    const executor = await referenceBackend.load(opened.graph, opened.weights, 'test');
    try {
      const errors = await compareWithGolden(executor, golden);
      for (const [output, error] of Object.entries(errors.hidden)) expect(error, output).toBeLessThanOrEqual(1e-4);
      expect(errors.logits).toBeLessThanOrEqual(1e-4);
      expect(errors.generated).toBeLessThanOrEqual(1e-4);
      expect(errors.tokens).toEqual(Array.from(golden.generated ?? []));
      expect(errors.decode).toBeLessThanOrEqual(1e-5);
    } finally {
      await executor.dispose();
      await opened.dispose();
    }
  });
});
