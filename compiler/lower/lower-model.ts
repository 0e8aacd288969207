/** Model -> Graph: embeddings, layers, output, each block by its own file. */
import { LoweringShapeError } from '../graph/builder.ts';
import { GraphBuilder } from '../graph/builder.ts';
import { verifyGraph } from '../graph/verify.ts';
import { lowerEmbeddings } from './embeddings.ts';
import { lowerOutput } from './output.ts';
import { lowerLayer } from './residual.ts';
import { LoweringError } from './lowering-error.ts';
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
  const ctx = { graph, model, shared: new Map(), keyValues: new Map() };
  try {
    let x = graph.within({ label: 'embeddings', path: '/embeddings' }, () => lowerEmbeddings(ctx, model.embeddings));
    graph.output('embeddings', x);
    for (const layer of model.layers) {
      x = lowerLayer(ctx, x, layer);
      graph.output(`hidden.${layer.index}`, x);
    }
    graph.within({ label: 'output', path: '/output' }, () => lowerOutput(ctx, x, model.output));
  } catch (error) {
    if (error instanceof LoweringError) return { diagnostics: error.diagnostics };
    if (error instanceof LoweringShapeError) {
      return { diagnostics: [{ code: 'E601', severity: 'error', path: error.origin.path ?? '', message: `${error.origin.label}: ${error.message}` }] };
    }
    throw error;
  }
  return { graph: verifyGraph(graph.finish(), 'lower'), diagnostics: [] };
}
