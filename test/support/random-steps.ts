/** Runs a random model step by step on an executor, and measures it against another. */
import { nmse } from './interpreted.ts';
import type { Executor } from '../../runtime/backend.ts';
import type { RandomModel } from './random-spec.ts';

/** The rows of each output over all steps, one after another. `steps` are token counts; those of the model unless given. */
export async function runRandom(
  executor: Executor, random: RandomModel, outputs: readonly string[], steps: readonly number[] = random.steps,
): Promise<Map<string, Float32Array>> {
  const rows = new Map<string, number[]>(outputs.map((name) => [name, []]));
  let past = 0;
  for (const count of steps) {
    const ids = random.ids.subarray(past, past + count);
    const types = Int32Array.from(ids, (id) => id % 2);
    const result = await executor.step({ ids, past, logitRows: count, ropeLength: random.ids.length, types }, outputs);
    for (const name of outputs) rows.get(name)?.push(...(result.outputs.get(name) ?? []));
    past += count;
  }
  return new Map([...rows].map(([name, values]) => [name, Float32Array.from(values)]));
}

/** The output furthest from what is expected, as normalised mean squared error; infinite where a value is not a number. */
export function furthest(found: ReadonlyMap<string, Float32Array>, expected: ReadonlyMap<string, Float32Array>): { readonly error: number; readonly where: string } {
  let worst = { error: 0, where: '' };
  for (const [name, values] of expected) {
    const other = found.get(name) ?? new Float32Array();
    const error = other.length === values.length && other.every((v) => Number.isFinite(v)) ? nmse(other, values) : Infinity;
    if (!(error <= worst.error)) worst = { error, where: name };
  }
  return worst;
}
