import { describe, expect, test } from 'vitest';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { maxDifference } from '../support/golden.ts';
import { randomModel, randomSpecText } from '../support/random-spec.ts';
import type { Executor } from '../../runtime/backend.ts';
import type { RandomModel } from '../support/random-spec.ts';

async function runSteps(executor: Executor, random: RandomModel, steps: readonly number[], outputs: readonly string[]): Promise<Map<string, Float32Array>> {
  const rows = new Map<string, number[]>(outputs.map((name) => [name, []]));
  let past = 0;
  for (const count of steps) {
    const ids = random.ids.subarray(past, past + count);
    const result = await executor.step({ ids, past, logitRows: count, ropeLength: random.ids.length }, outputs);
    for (const name of outputs) rows.get(name)?.push(...(result.outputs.get(name) ?? []));
    past += count;
  }
  return new Map([...rows].map(([name, values]) => [name, Float32Array.from(values)]));
}

describe('random specs', () => {
  test('the same seed gives the same spec', () => {
    expect(randomSpecText(7)).toBe(randomSpecText(7));
    expect(randomSpecText(7)).not.toBe(randomSpecText(8));
  });

  test('all are valid, finite, and agree between one step and several', async () => {
    for (let seed = 0; seed < 150; seed++) {
      const random = randomModel(seed);
      const outputs = random.graph.outputs.map((o) => o.name);
      const executor = await referenceBackend.load(random.graph, random.weights, 'test');
      const whole = await runSteps(executor, random, [random.ids.length], outputs);
      const parts = random.steps.length > 1 ? await runSteps(executor, random, random.steps, outputs) : whole;
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
