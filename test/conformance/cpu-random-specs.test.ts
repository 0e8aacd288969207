import { expect, test } from 'vitest';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { expectSpecAgrees } from './random-specs.ts';

const first = Number(process.env['PEEL_SEED'] ?? 1);
const count = Number(process.env['PEEL_CASES'] ?? 30);

test(`${count} random specs give what the reference gives on the CPU, fused and unfused`, async () => {
  expect.hasAssertions();
  for (let seed = first; seed < first + count; seed++) {
    const backend = await createCpuBackend({ threads: seed % 20 === 0 ? 2 : 1 });
    await expectSpecAgrees(backend, seed);
    await backend.dispose();
  }
}, 1_800_000);
