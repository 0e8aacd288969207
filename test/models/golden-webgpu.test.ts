/** Every golden checkpoint on the WebGPU backend, against what transformers computed for it. One device serves all of them. */
import { describe } from 'vitest';
import { onPlans, testCheckpoints } from '../support/golden-suite.ts';
import { goldenFolder } from '../support/model-folder.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

describe('golden checkpoints on the webgpu backend', () => {
  testCheckpoints(goldenFolder, onPlans(openTestWebGpu));
});
