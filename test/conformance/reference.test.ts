import { expect, test } from 'vitest';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { conformanceCases } from './cases.ts';
import { weightsOf, worstError } from './harness.ts';

test('every case runs on the reference, gives finite numbers, and has a name of its own', async () => {
  const cases = conformanceCases();
  expect(new Set(cases.map((c) => c.name)).size).toBe(cases.length);
  for (const c of cases) {
    const executor = await referenceBackend.load(c.graph, weightsOf(c), 'conformance');
    expect(await worstError(c, executor), c.name).toEqual({ error: 0, where: 'nowhere' });
    await executor.dispose();
  }
});
