/** Random specs on a backend: fused = unfused = reference. */
import { expect } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { tapGraph } from '../../compiler/taps.ts';
import { RandomSource } from '../support/random-source.ts';
import { randomModel } from '../support/random-spec.ts';
import { furthest, runRandom } from '../support/random-steps.ts';
import type { PlanBackend } from '../../runtime/backend.ts';

/** Normalised mean squared error of whole models in float32 against float64. */
const limit = 1e-8;
const capacity = { maxTokens: 16, context: 16, maxLogitRows: 16 };

/**
 * The spec of `seed` in several steps: one kernel an operator and fused, each with every intermediate that may be looked at, and fused
 * with the last stage alone, as users run it; and fused around some values inside, drawn by the seed. `quick` leaves out all but the last stage alone.
 */
export async function expectSpecAgrees(backend: PlanBackend, seed: number, quick = false): Promise<void> {
  const random = randomModel(seed);
  const all = random.graph.outputs.map((o) => o.name);
  const chance = new RandomSource(seed);
  const inside = quick ? [] : random.graph.values.map(({ name }) => name).filter(() => chance.chance(0.25));
  const { graph } = tapGraph(random.graph, inside);
  const last = all.filter((name) => name !== 'embeddings' && !name.startsWith('hidden.'));
  const reference = await referenceBackend.load(graph, random.weights, 'test');
  const expected = await runRandom(reference, random, [...new Set([...all, ...inside])]);
  await reference.dispose();
  const ways = quick ? [[true, last]] as const : [[false, all], [true, all], [true, last], [true, [...new Set([...last, ...inside])]]] as const;
  for (const [fuse, outputs] of ways) {
    const executor = await backend.load(buildPlan(graph, backend.target, capacity, { fuse, outputs }), random.weights, 'test');
    try {
      const { error, where } = furthest(await runRandom(executor, random, outputs), new Map([...expected].filter(([name]) => outputs.includes(name))));
      expect(error, `seed ${seed}, ${fuse ? 'fused' : 'one kernel an operator'}, ${outputs.length} outputs, ${where}\n${random.text}`).toBeLessThanOrEqual(limit);
    } finally {
      await executor.dispose();
    }
  }
}
