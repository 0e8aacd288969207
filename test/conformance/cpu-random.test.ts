import { expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { capacityOf, weightsOf, worstError } from './harness.ts';
import { randomCase } from './random-graphs.ts';

const first = Number(process.env['PEEL_SEED'] ?? 1);
const count = Number(process.env['PEEL_CASES'] ?? 150);

test(`${count} random graphs give what the reference gives, fused and unfused`, async () => {
  for (let seed = first; seed < first + count; seed++) {
    const c = randomCase(seed);
    for (const fuse of [true, false]) {
      const backend = await createCpuBackend({ threads: seed % 25 === 0 ? 2 : 1, relaxedSimd: fuse });
      const executor = await backend.load(buildPlan(c.graph, backend.target, capacityOf(c), { fuse }), weightsOf(c), 'conformance');
      const { error, where } = await worstError(c, executor);
      await executor.dispose();
      expect(error, `${c.name}, ${fuse ? 'fused' : 'unfused'}, ${where}`).toBeLessThanOrEqual(c.limit);
    }
  }
});
