/** Named values of a model for some ids, from a device or from the reference. */
import type { Graph } from '../../compiler/graph/types.ts';
import { deadCodePass } from '../../compiler/passes/graph/dead-code.ts';
import { tapGraph } from '../../compiler/taps.ts';
import type { WeightProvider } from '../backend.ts';
import type { LoadedModel, SessionOptions } from '../model.ts';
import { loadReference } from '../reference/executor.ts';

export interface Value {
  readonly data: Float32Array;
  readonly shape?: readonly number[];
}

/** Gives the values of those names that it has. */
export type Values = (names: readonly string[]) => Promise<ReadonlyMap<string, Value>>;

/** On a device, in one step where that holds all ids, so that values of every token and key come whole; or in steps of `chunk` tokens. */
export function sessionValues(model: LoadedModel, options: SessionOptions, ids: readonly number[], chunk?: number): Values {
  return async (names) => {
    const session = await model.session({ ...options, outputs: [], taps: names, maxTokens: Math.max(ids.length, options.maxTokens ?? 0), logitRows: ids.length });
    try {
      const { outputs, shapes } = await session.feed(ids, { outputs: names, logitRows: ids.length, ...(chunk === undefined ? {} : { chunk }) });
      return new Map([...outputs].map(([name, data]) => { const shape = shapes.get(name); return [name, { data, ...(shape ? { shape } : {}) }]; }));
    } finally {
      await session.dispose();
    }
  };
}

/** As much of a graph as the values need. */
export function pruned(graph: Graph, names: readonly string[]): Graph {
  const known = graph.values.filter(({ name }) => names.includes(name)).map(({ name }) => name);
  const tapped = tapGraph(graph, known);
  return deadCodePass.run({ ...tapped.graph, outputs: tapped.graph.outputs.filter(({ name }) => known.includes(name)) });
}

/** In float64, by a graph that `pruned` made. */
export async function referenceValues(graph: Graph, weights: WeightProvider, ids: readonly number[]): Promise<ReadonlyMap<string, Value>> {
  const executor = await loadReference(graph, weights, 'to compare with');
  try {
    const names = graph.outputs.map(({ name }) => name);
    const { outputs } = await executor.step({ ids: Int32Array.from(ids), past: 0, logitRows: ids.length }, names);
    const sizes = { T: ids.length, P: 0, S: ids.length, R: ids.length, L: ids.length };
    const shapes = new Map(graph.nodes.map((node) => [node.id, node.shape.map((d) => (typeof d === 'number' ? d : sizes[d]))]));
    return new Map(graph.outputs.flatMap(({ name, node }) => {
      const data = outputs.get(name), shape = shapes.get(node);
      return data && shape ? [[name, { data, shape }] as const] : [];
    }));
  } finally {
    await executor.dispose();
  }
}
