/** Two ways to compute one model, and where they part. */
import type { SessionOptions } from '../../../model.ts';
import type { Finding } from '../../case.ts';
import { failed } from '../expectation.ts';
import { whereOf, type Where } from '../where.ts';
import { apart } from './apart.ts';
import { resultOf, type Results, type Trial } from './trial.ts';

/** One way: `name` for messages, and the options of its sessions. */
export interface Way { readonly name: string; readonly options: SessionOptions }

export async function between(trial: Trial, one: Way, other: Way, tolerance: number, at: string): Promise<readonly Finding[]> {
  const run = async ({ options }: Way): Promise<Results> => trial.run(await trial.session(options), trial.ids, trial.results);
  const wrong = firstApart(trial.results, await run(one), await run(other), tolerance);
  if (!wrong) return [];
  const { text, finding } = await firstDivergence(trial, one, other, tolerance);
  return [{ ...failed(`${one.name} and ${other.name}: ${wrong.says}\n${text}`, at), ...finding }];
}

function firstApart(names: readonly string[], found: Results, expected: Results, tolerance: number): { readonly name: string; readonly says: string } | undefined {
  for (const name of names) {
    const want = resultOf(expected, name);
    const says = apart(name, resultOf(found, name).data, want.data, want.shape, tolerance);
    if (says !== undefined) return { name, says };
  }
  return undefined;
}

/** Runs both again with every value inside the model kept: the first that differs, and where the spec says it. */
async function firstDivergence(trial: Trial, one: Way, other: Way, tolerance: number): Promise<Where> {
  const run = async ({ options }: Way): Promise<{ readonly names: readonly string[]; readonly results: Results }> => {
    const session = await trial.session({ ...options, taps: ['*'] });
    return { names: session.taps, results: await trial.run(session, trial.ids, session.taps) };
  };
  const found = await run(one);
  const first = firstApart(found.names, found.results, (await run(other)).results, tolerance);
  if (!first) return { text: 'they agree where every value inside the model is kept, which keeps some fusions from being made', finding: {} };
  const { graph } = await trial.context.model();
  const id = graph.values.find(({ name }) => name === first.name)?.node;
  const node = graph.nodes.find((n) => n.id === id);
  const where = node && await whereOf(trial.context, node.origin);
  return { text: `the first values apart: ${first.says}${where ? `; operator \`${node.operator.op}\` of ${where.text}` : ''}`, finding: where?.finding ?? {} };
}
