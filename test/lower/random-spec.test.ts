import { describe, expect, test } from 'vitest';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { maxDifference } from '../support/golden.ts';
import { randomModel, randomSpecText } from '../support/random-spec.ts';
import { runRandom } from '../support/random-steps.ts';

describe('random specs', () => {
  test('the same seed gives the same spec', () => {
    expect(randomSpecText(7)).toBe(randomSpecText(7));
    expect(randomSpecText(7)).not.toBe(randomSpecText(8));
  });

  test('all are valid, finite, and agree between one step and several', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = randomModel(seed);
      const outputs = random.graph.outputs.map((o) => o.name);
      const executor = await referenceBackend.load(random.graph, random.weights, 'test');
      const whole = await runRandom(executor, random, outputs, [random.ids.length]);
      const parts = random.steps.length > 1 ? await runRandom(executor, random, outputs) : whole;
      await executor.dispose();
      for (const [name, values] of whole) {
        const where = `seed ${seed}, ${name}\n${random.text}`;
        expect(values.length, where).toBeGreaterThan(0);
        expect(values.every((v) => Number.isFinite(v)), where).toBe(true);
        expect(maxDifference(parts.get(name), values), where).toBeLessThan(1e-5);
      }
    }
  });
});
