/** Plans of random specs, interpreted kernel by kernel: fused = unfused = reference, in the same chunks of tokens. */
import { describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { Interpreted, nmse } from '../support/interpreted.ts';
import { randomModel } from '../support/random-spec.ts';

async function compare(seed: number): Promise<void> {
  const random = randomModel(seed);
  const { graph } = random;
  const outputs = graph.outputs.map((o) => o.name);
  const count = random.ids.length;
  const capacity = { maxTokens: count, context: count, maxLogitRows: count };
  const weights = new Map<string, Float32Array>();
  for (const { slot } of graph.weights) weights.set(slot, await random.weights.read(slot));
  const reference = await referenceBackend.load(graph, random.weights, 'test');
  const target = seed % 2 === 0 ? targets.cpu : targets.webgpuSoftware;
  const runs = [false, true].map((fuse) => {
    const plan = buildPlan(graph, target, capacity, { outputs, fuse });
    return { fuse, found: new Interpreted(plan, weights, count), kernels: plan.kernels.length };
  });
  expect(runs[1]?.kernels).toBeLessThan(runs[0]?.kernels ?? 0);
  let past = 0;
  for (const tokens of random.steps) {
    const input = { ids: random.ids.subarray(past, past + tokens), past, logitRows: tokens, ropeLength: count };
    const expected = await reference.step(input, outputs);
    for (const { fuse, found } of runs) {
      const results = found.step(input);
      for (const name of outputs) {
        const error = nmse(Float32Array.from(results.get(name) ?? []), expected.outputs.get(name) ?? []);
        expect(error, `seed ${seed}, ${name}, ${fuse ? 'fused' : 'unfused'}\n${random.text}`).toBeLessThanOrEqual(1e-12);
      }
    }
    past += tokens;
  }
  await reference.dispose();
}

describe('random plans', () => {
  test.each(Array.from({ length: 6 }, (_, n) => 1000 + 10 * n))('ten from seed %d', async (first) => {
    for (let n = 0; n < 10; n++) await compare(first + n);
  });
});
