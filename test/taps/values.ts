/** Every named value of a checkpoint on a backend, against the reference interpreter's. */
import path from 'node:path';
import { buildPlan } from '../../compiler/build-plan.ts';
import { tapGraph } from '../../compiler/taps.ts';
import { referenceBackend } from '../../runtime/reference/executor.ts';
import { openModel } from '../support/model-folder.ts';
import type { Executor, PlanBackend, StepResult } from '../../runtime/backend.ts';

/** Sizes of steps, each series from an empty state: at once, in chunks, token by token. */
const series = [[9], [4, 3, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1]];
const ids = Int32Array.of(3, 14, 15, 9, 26, 5, 35, 8, 41);
const capacity = { maxTokens: 9, context: 24, maxLogitRows: 9 };

/** sum (found - expected)^2 / sum expected^2; infinite where lengths differ or something is not a number. */
function nmse(found: Float32Array | undefined, expected: Float32Array | undefined): number {
  if (!found || !expected || found.length !== expected.length || expected.length === 0) return Infinity;
  let [error, power] = [0, 0];
  for (let n = 0; n < expected.length; n++) {
    error += ((found[n] ?? NaN) - (expected[n] ?? NaN)) ** 2;
    power += (expected[n] ?? NaN) ** 2;
  }
  const result = error === 0 ? 0 : error / power;
  return Number.isNaN(result) ? Infinity : result;
}

/** The names of a checkpoint's values without the number of the layer: what a pattern is made of. */
export async function familiesOf(folder: string, name: string): Promise<string[]> {
  const { graph, dispose } = await openModel(path.join(folder, name));
  await dispose();
  return [...new Set(graph.values.map((v) => v.name.replace(/^(layers|hidden)\.\d+/, '$1.*')))];
}

export interface Compared {
  /** How many values there were. */
  readonly values: number;
  readonly kernels: number;
  /** Those beyond 1e-8, with where and how far. */
  readonly wrong: readonly string[];
}

/** Runs `patterns` of taps, all in one plan for each of them, and the logits. */
export async function compareValues(backend: PlanBackend, folder: string, name: string, lists: readonly (readonly string[])[]): Promise<Compared[]> {
  const { model, graph, weights, dispose } = await openModel(path.join(folder, name));
  const causal = model.output.linear !== undefined && model.layers.every((l) => l.steps.every((s) => s.branches.every(({ body }) => !('mask' in body) || body.mask === 'causal')));
  const all = tapGraph(graph, ['*']);
  const expected = await run(await referenceBackend.load(all.graph, weights, 'test'), all.names, causal);
  const results: Compared[] = [];
  for (const patterns of lists) {
    const tapped = tapGraph(graph, patterns);
    const names = [...new Set([...tapped.names, causal ? 'logits' : 'final'])];
    const plan = buildPlan(tapped.graph, backend.target, capacity, { outputs: names });
    const found = await run(await backend.load(plan, weights, 'test'), names, causal);
    const wrong = names.flatMap((tap) => [...expected.keys()].flatMap((step) => {
      const error = nmse(found.get(step)?.outputs.get(tap), expected.get(step)?.outputs.get(tap));
      return error <= 1e-8 ? [] : [`${tap} at ${step}: ${error}`];
    }));
    results.push({ values: names.length, kernels: plan.kernels.length, wrong });
  }
  await dispose();
  return results;
}

async function run(executor: Executor, names: readonly string[], causal: boolean): Promise<Map<string, StepResult>> {
  const results = new Map<string, StepResult>();
  for (const [which, steps] of series.entries()) {
    // What sees all tokens at once has no second step.
    if (!causal && steps.length > 1) continue;
    let past = 0;
    for (const count of steps) {
      const input = { ids: ids.subarray(past, past + count), past, logitRows: count, ropeLength: ids.length };
      results.set(`${['once', 'chunks', 'tokens'][which]} ${past}`, await executor.step(input, names));
      past += count;
    }
  }
  await executor.dispose();
  return results;
}
