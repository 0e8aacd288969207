/** Checkpoints with config.json switches that the golden ones leave alone (test/variants/make.py). */
import { describe } from 'vitest';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { onPlans, onReference, testCheckpoints } from '../support/golden-suite.ts';
import { variantsFolder } from '../support/model-folder.ts';

describe('variant checkpoints on the reference backend', () => {
  testCheckpoints(variantsFolder, onReference);
});
describe('variant checkpoints on the cpu backend', () => {
  testCheckpoints(variantsFolder, onPlans(() => createCpuBackend({ threads: 2 })));
});
