/** Specs with an activation or a block of their own, against plain PyTorch (test/specs/make.py), on every backend. */
import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { expectGolden, onPlans, onReference, withLoader } from '../support/golden-suite.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

const specs = fileURLToPath(new URL('../specs', import.meta.url));

describe.each([
  ['reference', onReference],
  ['cpu', onPlans(() => createCpuBackend({ threads: 2 }))],
  ['webgpu', onPlans(openTestWebGpu)],
])('custom blocks on %s', (_, create) => {
  withLoader(create, (loader) => {
    test('xIELU with learned parameters', () => expectGolden(loader(), `${specs}/apertus`));
    test('a gated attention output', () => expectGolden(loader(), `${specs}/gated`, `${specs}/gated.yaml`));
  });
});
