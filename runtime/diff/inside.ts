/** Between the last output that agrees and the first that does not: every named value in the order of computation, and the operator that is wrong. */
import type { Graph, Node, NodeId } from '../../compiler/graph/types.ts';
import type { Diagnostic } from '../../compiler/diagnostics.ts';
import { difference, type Difference, type Limits } from './report.ts';
import type { Value, Values } from './values.ts';

/** Where to look: behind the output `after`, which agrees (or from the beginning), up to `stage`, which does not. */
export interface Stretch {
  readonly stage: string;
  readonly after?: string;
}

/** The first value that differs, although all that it is made of agrees. */
export interface FirstOperator {
  readonly name: string;
  /** The operators between its inputs and it, in the order of computation: `norm`, `linear`, `rope`. */
  readonly operators: readonly string[];
  /** The values that it is made of, the nearest that could be compared, and how well they agree. */
  readonly inputs: readonly { readonly name: string; readonly nmse: number }[];
  /** Weights that come in on the way. */
  readonly weights: readonly string[];
  readonly path?: string;
  readonly location?: NonNullable<Diagnostic['location']>;
}

export interface Inside extends Stretch {
  readonly values: readonly Difference[];
  readonly first?: FirstOperator;
  /** Whether the output agrees once inner values are kept: then something that was fused before, and is not now, is wrong. */
  readonly vanished: boolean;
}

/** The stretch before an output that differs, given those that were compared. */
export function stretchOf(outputs: readonly Difference[], stage: string): Stretch {
  const at = outputs.findIndex((d) => d.name === stage);
  const before = outputs.slice(0, at).filter((d) => d.close && d.name !== 'gen_logits').at(-1);
  return { stage, ...(before ? { after: before.name } : {}) };
}

/** Names of the values in a stretch, `stage` last. */
export function valuesWithin(graph: Graph, { stage, after }: Stretch): string[] {
  const names = graph.values.map(({ name }) => name);
  return names.slice(after === undefined ? 0 : names.indexOf(after) + 1, names.indexOf(stage) + 1);
}

/** `outputs`: what was compared already. */
export async function lookInside(graph: Graph, stretch: Stretch, found: Values, expected: Values, outputs: readonly Difference[], limits: Limits): Promise<Inside> {
  const wanted = await expected(valuesWithin(graph, stretch));
  const got = await found([...wanted.keys()]);
  const values = compareValues(graph, got, wanted, limits);
  const wrong = values.find((d) => !d.close);
  const first = wrong && describeOperator(graph, wrong.name, [...outputs, ...values]);
  return { ...stretch, values, vanished: values.some((d) => d.name === stretch.stage && d.close), ...(first ? { first } : {}) };
}

/** Values of both, in the order of computation. */
export function compareValues(graph: Graph, found: ReadonlyMap<string, Value>, expected: ReadonlyMap<string, Value>, limits: Limits): Difference[] {
  return graph.values.flatMap(({ name }) => {
    const a = found.get(name), b = expected.get(name);
    return a && b ? [difference(name, a.data, b.data, limits, a.shape ?? b.shape)] : [];
  });
}

const silent: ReadonlySet<string> = new Set(['weight', 'constant', 'reshape', 'input']);

/** What a value is made of: back from it to the nearest values that were compared. */
export function describeOperator(graph: Graph, name: string, compared: readonly Difference[]): FirstOperator | undefined {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const names = new Map<NodeId, string[]>();
  for (const value of graph.values) names.set(value.node, [...(names.get(value.node) ?? []), value.name]);
  const node = nodes.get(graph.values.find((value) => value.name === name)?.node ?? -1);
  if (!node) return undefined;
  const measured = new Map(compared.map((d) => [d.name, d]));
  const between = new Set<Node>();
  const inputs: string[] = [];
  const weights: string[] = [];
  const walk = (id: NodeId): void => {
    const here = nodes.get(id);
    if (!here || between.has(here)) return;
    const known = here === node ? undefined : names.get(id)?.find((n) => measured.has(n));
    if (known !== undefined) {
      inputs.push(known);
      return;
    }
    between.add(here);
    if (here.operator.op === 'weight') weights.push(here.operator.slot);
    for (const input of here.inputs) walk(input);
  };
  walk(node.id);
  const operators = graph.nodes.filter((n) => between.has(n) && !silent.has(n.operator.op)).map((n) => n.operator.op);
  return {
    name, operators, weights, ...(node.origin.path === undefined ? {} : { path: node.origin.path }),
    inputs: [...new Set(inputs)].map((input) => ({ name: input, nmse: measured.get(input)?.nmse ?? NaN })),
  };
}
