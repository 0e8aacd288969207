import { expect, test } from 'vitest';
import { openTestWebGpu } from '../support/webgpu.ts';
import { expectSpecAgrees } from './random-specs.ts';

const first = Number(process.env['PEEL_SEED'] ?? 1);
// A software driver takes a second or more to compile a spec's twenty-odd shaders: a few by default, more in CI.
const count = Number(process.env['PEEL_CASES'] ?? 8);

test(`${count} random specs give what the reference gives on WebGPU`, async () => {
  expect.hasAssertions();
  const backend = await openTestWebGpu();
  for (let seed = first; seed < first + count; seed++) await expectSpecAgrees(backend, seed, seed % 4 !== 0);
  await backend.dispose();
}, 3_600_000);
