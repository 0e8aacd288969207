/** Two ways to compute one model, and where they part. */
import type { CaseContext, Finding } from '../../case.ts';
import type { SessionOptions } from '../../../model.ts';
import { failed } from '../expectation.ts';
import { whereOf } from '../where.ts';
import { apart, describeApart, within } from './apart.ts';
import type { Results, Trial } from './trial.ts';

/** One way: `name` for messages, and the options of its sessions. */
export interface Way { readonly name: string; readonly options: SessionOptions }

export async function between(trial: Trial, one: Way, other: Way, tolerance: number, at: string): Promise<readonly Finding[]> {
  const found = await trial.run(await trial.session(one.options));
  const expected = await trial.run(await trial.session(other.options));
  const worst = firstApart(found, expected, trial.results, tolerance);
  if (!worst) return [];
  const where = await firstDivergence(trial, one, other, tolerance);
  return [failed(`${one.name} and ${other.name}: ${describeApart(worst.name, worst.apart, trial.ids.length, worst.elements)}\n${where}`, at)];
}

function firstApart(found: Results, expected: Results, names: Iterable<string>, tolerance: number): { readonly name: string; readonly apart: ReturnType<typeof apart>; readonly elements: number } | undefined {
  for (const name of names) {
    const want = expected.get(name) ?? new Float32Array(0);
    const difference = apart(found.get(name) ?? new Float32Array(0), want, tolerance);
    if (!within(difference)) return { name, apart: difference, elements: want.length };
  }
  return undefined;
}

/** Looks at the outputs of all layers, on both ways: the first that differ, and where in the spec they are made. */
async function firstDivergence(trial: Trial, one: Way, other: Way, tolerance: number): Promise<string> {
  const { graph } = await trial.context.model();
  const names = graph.outputs.map(({ name }) => name);
  const run = async ({ options }: Way): Promise<Results> => trial.run(await trial.session({ ...options, outputs: names }), trial.ids, { outputs: names });
  const first = firstApart(await run(one), await run(other), names, tolerance);
  if (!first) return 'they agree where every layer\'s output is kept, which undoes some fusions';
  return `first apart: ${first.name}, ${await madeAt(trial.context, first.name)}`;
}

async function madeAt(context: CaseContext, output: string): Promise<string> {
  const { graph } = await context.model();
  const id = graph.outputs.find(({ name }) => name === output)?.node;
  const node = graph.nodes.find((n) => n.id === id);
  return node ? whereOf(context, node.origin) : output;
}
