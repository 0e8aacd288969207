/** Every golden checkpoint on the CPU backend, against what transformers computed for it, on one to three threads. */
import { describe } from 'vitest';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { onPlans, testCheckpoints } from '../support/golden-suite.ts';
import { goldenFolder } from '../support/model-folder.ts';

describe.each([[1, 'layers'], [2, 'logits'], [3, 'layers']] as const)('golden checkpoints on the cpu backend, %d threads, keeping %s', (threads, keep) => {
  testCheckpoints(goldenFolder, onPlans(() => createCpuBackend({ threads }), keep));
});
