/** Checkpoints with config.json switches that the golden ones leave alone (test/variants/make.py). */
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';
import { testCheckpoints } from '../support/golden-suite.ts';

describe('variant checkpoints on the reference backend', () => {
  testCheckpoints(fileURLToPath(new URL('../variants', import.meta.url)));
});
