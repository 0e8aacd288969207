/** Model -> Graph: embeddings, layers, output, each block by its own file. */
import { GraphBuilder } from '../graph/builder.ts';
import { verifyGraph } from '../graph/verify.ts';
import { lowerEmbeddings } from './embeddings.ts';
import { lowerOutput } from './output.ts';
import { lowerLayer } from './residual.ts';
import { Problems } from './lowering-error.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { Graph } from '../graph/types.ts';
import type { Model } from '../model.ts';

export interface Lowered {
  /** Absent when there are errors. */
  readonly graph?: Graph;
  readonly diagnostics: readonly Diagnostic[];
}

/** Outputs `embeddings`, `hidden.{i}` for every layer, `final`, and `logits` or `pooled` as the model has them. */
export function lowerModel(model: Model): Lowered {
  const graph = new GraphBuilder(model.name);
  const problems = new Problems();
  const ctx = { graph, model, shared: new Map(), keyValues: new Map(), problems };
  const embedded = problems.collect(() => graph.within({ label: 'embeddings', path: '/embeddings' }, () => lowerEmbeddings(ctx, model.embeddings)));
  if (!embedded) return { diagnostics: problems.list };
  graph.output('embeddings', embedded);
  let x = embedded;
  for (const layer of model.layers) {
    x = lowerLayer(ctx, x, layer);
    graph.output(`hidden.${layer.index}`, x);
  }
  problems.collect(() => graph.within({ label: 'output', path: '/output' }, () => lowerOutput(ctx, x, model.output)));
  return problems.any ? { diagnostics: problems.list } : { graph: verifyGraph(graph.finish(), 'lower'), diagnostics: [] };
}
