/** The output stage: final norm, head, pooling. Logits are computed for the trailing R tokens alone. */
import { activate } from './activation.ts';
import { labelled, project } from './context.ts';
import { lowerNorm } from './norm.ts';
import { add, arg, constant, div, mul, unary } from '../graph/expressions.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Output } from '../model.ts';
import type { Scalar } from '../kernels/scalar.ts';

/** Names the outputs `final`, `logits` (with a head), `probabilities` (with a softmax) and `pooled` (with a pool). */
export function lowerOutput(ctx: LowerContext, x: Node, output: Output): void {
  const { graph } = ctx;
  const final = output.norm ? lowerNorm(ctx, x, output.norm, 'output.norm') : x;
  graph.output('final', output.project ? lowerProject(ctx, final, output.project.bias) : final);
  if (output.linear) {
    const logits = lowerHead(ctx, final, output, output.linear);
    graph.output('logits', logits);
    if (output.softmax) graph.output('probabilities', labelled(ctx, 'output.softmax', () => graph.softmax(logits)));
  }
  if (output.pool && output.pool.kind !== 'none') graph.output('pooled', lowerPool(ctx, final, output.pool));
}

/** To the embedding's width. */
function lowerProject(ctx: LowerContext, x: Node, bias: boolean): Node {
  const { embeddings, dim } = ctx.model;
  return project(ctx, x, 'output.project', { rows: embeddings.token.dim, columns: dim, bias });
}

/** [T, dim] -> [R, rows] */
function lowerHead(ctx: LowerContext, final: Node, output: Output, linear: NonNullable<Output['linear']>): Node {
  const { graph, model } = ctx;
  const width = output.project ? model.embeddings.token.dim : model.dim;
  let x = labelled(ctx, 'output', () => graph.scale(graph.node({ op: 'tail' }, [final]), output.preScale));
  if (output.project) x = lowerProject(ctx, x, output.project.bias);
  if (output.transform) {
    const dense = project(ctx, x, 'output.transform', { rows: width, columns: width, bias: output.transform.bias });
    x = activate(ctx, dense, output.transform.activation, 'output.transform');
    if (output.transform.norm) x = lowerNorm(ctx, x, output.transform.norm, 'output.transform.norm');
  }
  return labelled(ctx, 'output.linear', () => {
    const weight = linear.tied
      ? graph.weight('embeddings.token.weight', [linear.rows, width], 'rows x dim')
      : graph.weight('output.linear.weight', [linear.rows, width], 'rows x dim');
    let y = graph.linear(x, weight);
    if (linear.bias) y = graph.map([y, graph.weight('output.linear.bias', [linear.rows])], add(arg(0), arg(1)));
    return finishLogits(ctx, y, output);
  });
}

/** Scale, then soft cap. */
function finishLogits(ctx: LowerContext, logits: Node, output: Output): Node {
  let value: Scalar = arg(0);
  if (output.scale !== 1) value = mul(value, constant(output.scale));
  if (output.softcap !== undefined) value = mul(constant(output.softcap), unary('tanh', div(value, constant(output.softcap))));
  return value.op === 'arg' ? logits : ctx.graph.map([logits], value);
}

/** [T, dim] -> [1, dim] */
function lowerPool(ctx: LowerContext, final: Node, pool: NonNullable<Output['pool']>): Node {
  const { graph, model } = ctx;
  return labelled(ctx, 'output.pool', () => {
    const row = pool.kind === 'mean'
      ? graph.reshape(graph.reduce('mean', final, 0), [1, model.dim])
      : graph.node({ op: 'row', which: pool.kind === 'last' ? 'last' : 'first' }, [final]);
    if (!pool.dense) return row;
    const dense = project(ctx, row, 'output.pool', { rows: model.dim, columns: model.dim, bias: pool.dense.bias });
    return activate(ctx, dense, pool.dense.activation, 'output.pool');
  });
}
