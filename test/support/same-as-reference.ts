import { expect } from 'vitest';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { Interpreted, nmse, randomWeights } from './interpreted.ts';
import type { Schedule } from '../../compiler/kernels/types.ts';
import type { WeightProvider } from '../../runtime/backend.ts';
import type { Graph } from '../../compiler/graph/types.ts';

/** Prefill of five tokens, then two steps of one; outputs agree with the reference backend within `limit` (float64 against float64). */
export async function expectSameAsReference(graph: Graph, schedule: Pick<Schedule, 'buffers' | 'kernels' | 'outputs'>, limit = 1e-14, provider?: WeightProvider): Promise<void> {
  const weights = provider ? await readAll(graph, provider) : randomWeights(graph.weights, 7);
  const reference = await referenceBackend.load(graph, { read: async (slot) => weights.get(slot) ?? new Float32Array() }, 'test');
  const found = new Interpreted(schedule, weights, 16);
  const names = schedule.outputs.map((o) => o.name).filter((name) => graph.outputs.some((o) => o.name === name));
  const cached = graph.states.length > 0;
  const steps = [
    { ids: Int32Array.from([3, 1, 4, 1, 5]), past: 0, logitRows: 2, types: Int32Array.from([0, 0, 1, 1, 0]) },
    ...(cached ? [{ ids: Int32Array.from([9]), past: 5, logitRows: 1 }, { ids: Int32Array.from([2, 6]), past: 6, logitRows: 1 }] : []),
  ];
  for (const step of steps) {
    const expected = await reference.step(step, names);
    const outputs = found.step(step);
    for (const name of names) {
      // The reference hands its results over as float32.
      const rounded = Float32Array.from(outputs.get(name) ?? []);
      expect(nmse(rounded, expected.outputs.get(name) ?? []), `${name} at ${step.past}`).toBeLessThanOrEqual(limit);
    }
    const argmax = outputs.get('argmax');
    if (argmax) expect(argmax[0]).toBe(expected.argmax);
  }
  await reference.dispose();
}

async function readAll(graph: Graph, provider: WeightProvider): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const { slot } of graph.weights) weights.set(slot, await provider.read(slot));
  return weights;
}
