/** What a conformance case is, and the helpers that build one. */
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import * as e from '../../compiler/graph/expressions.ts';
import type { WeightFormat } from '../../compiler/formats.ts';
import type { Graph, Node, Shape } from '../../compiler/graph/types.ts';

export interface ConformanceCase {
  readonly name: string;
  /** Output names are `out`, or several. */
  readonly graph: Graph;
  /** Tokens in each step; a step continues the sequence of those before it. */
  readonly steps: readonly number[];
  /** Each step is a sequence of its own: what encoders do. */
  readonly fresh?: boolean;
  /** Logit rows of each step: 1 unless given, at most the step's tokens. */
  readonly logitRows?: number;
  /** Largest normalised mean squared error: sum of squared differences over sum of squares. */
  readonly limit: number;
  /** Ids are below this. */
  readonly vocab: number;
  /** How slots are stored that are not in f32. */
  readonly formats?: Readonly<Record<string, WeightFormat>>;
  /** Values of a slot, where evenly distributed ones in -1..1 will not do. */
  readonly values?: (slot: string, element: number, random: () => number) => number;
}

export const operatorLimit = 1e-9;
export const vocabulary = 23;

/** A graph with one output, built from activations `x(name, shape of a token)`. */
export function operatorCase(
  name: string,
  build: (b: GraphBuilder, x: (name: string, ...row: number[]) => Node) => Node,
  options: Partial<Omit<ConformanceCase, 'name' | 'graph'>> = {},
): ConformanceCase {
  const builder = new GraphBuilder(name);
  builder.output('out', build(builder, (label, ...row) => activation(builder, label, row)));
  return { name, graph: builder.finish(), steps: [5, 1, 2], limit: operatorLimit, vocab: vocabulary, ...options };
}

/** Values [T, ...row] that depend on the token. */
export function activation(builder: GraphBuilder, label: string, row: readonly number[]): Node {
  const width = row.reduce((product, d) => product * d, 1);
  const table = builder.weight(`table.${label}`, [vocabulary, width]);
  const rows = builder.gather(table, builder.input('ids'));
  const shape: Shape = ['T', ...row];
  return builder.reshape(rows, shape);
}

/** The token's position as a float, [T]. */
export function positions(builder: GraphBuilder): Node {
  return builder.map([], e.tokenPosition(0), ['T']);
}
