/** The further checkpoints (test/golden-more) on the WebGPU backend, against transformers. One device serves all of them. */
import { describe } from 'vitest';
import { onPlans, testCheckpoints } from '../support/golden-suite.ts';
import { furtherFolder } from '../support/model-folder.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

describe('further checkpoints on the webgpu backend', () => {
  testCheckpoints(furtherFolder, onPlans(openTestWebGpu, 'logits'));
});
