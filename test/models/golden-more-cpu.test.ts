/** The further checkpoints (test/golden-more) on the CPU backend: the plans that users run, and those that keep each layer's output. */
import { describe } from 'vitest';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { onPlans, testCheckpoints } from '../support/golden-suite.ts';
import { furtherFolder } from '../support/model-folder.ts';

describe.each(['logits', 'layers'] as const)('further checkpoints on the cpu backend, keeping %s', (keep) => {
  testCheckpoints(furtherFolder, onPlans(() => createCpuBackend({ threads: 1 }), keep));
});
