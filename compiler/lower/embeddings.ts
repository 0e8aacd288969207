/** The embedding stage: token rows, positions and types summed, normed, projected to the model's width. */
import { add, arg, constant, mul, select, tokenPosition, unary } from '../graph/expressions.ts';
import { labelled, named, project } from './context.ts';
import { lowerNorm } from './norm.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { Embeddings } from '../model.ts';

/** -> [T, dim] */
export function lowerEmbeddings(ctx: LowerContext, embeddings: Embeddings): Node {
  const { graph, model } = ctx;
  const { token, position, types, norm } = embeddings;
  let x = labelled(ctx, 'embeddings.token', () => {
    const rows = graph.gather(graph.weight('embeddings.token.weight', [token.rows, token.dim], 'rows x dim'), graph.input('ids'));
    return named(ctx, 'embeddings.token', graph.scale(rows, Math.fround(token.scale)));
  });
  if (token.norm) x = lowerNorm(ctx, x, token.norm, 'embeddings.token_norm');
  const projected = (value: Node, bias: boolean): Node => project(ctx, value, 'embeddings.project', { rows: model.dim, columns: token.dim, bias });
  const early = embeddings.project?.of === 'token';
  const width = early ? model.dim : token.dim;
  if (embeddings.project && early) x = projected(x, embeddings.project.bias);
  if (position) x = graph.add(x, named(ctx, 'embeddings.position', lowerPosition(ctx, position, width)));
  if (types) {
    const rows = labelled(ctx, 'embeddings.types', () => graph.gather(graph.weight('embeddings.types.weight', [types.rows, width], 'rows x dim'), graph.input('types')));
    x = graph.add(x, named(ctx, 'embeddings.types', rows));
  }
  if (norm) x = lowerNorm(ctx, x, norm, 'embeddings.norm');
  return embeddings.project && !early ? projected(x, embeddings.project.bias) : x;
}

function lowerPosition(ctx: LowerContext, position: NonNullable<Embeddings['position']>, dim: number): Node {
  const { graph } = ctx;
  return labelled(ctx, 'embeddings.position', () => {
    switch (position.kind) {
      case 'learned': {
        const table = graph.weight('embeddings.position.weight', [position.rows, dim], 'rows x dim');
        return graph.gather(graph.slice(table, 0, position.offset, position.rows - position.offset), graph.input('positions'));
      }
      case 'sinusoidal': {
        const { frequencies, cosine } = sinusoids(position.layout, dim, position.theta);
        const angle = mul(add(tokenPosition(0), constant(position.offset)), arg(0));
        const value = select(arg(1), unary('cos', angle), unary('sin', angle));
        return graph.map([graph.constant(frequencies, [dim]), graph.constant(cosine, [dim])], value, ['T', dim]);
      }
      default: return position satisfies never;
    }
  });
}

/**
 * The frequency of each element and whether it is a cosine. interleaved: sine and cosine in turn (arXiv 1706.03762).
 * halves: all sines, then all cosines. halves_minus_one: the same with exponents that reach 1 at the last pair.
 */
export function sinusoids(
  layout: 'interleaved' | 'halves' | 'halves_minus_one', dim: number, theta: number,
): { readonly frequencies: readonly number[]; readonly cosine: readonly number[] } {
  const half = Math.floor(dim / 2);
  const frequencies: number[] = [];
  const cosine: number[] = [];
  for (let n = 0; n < dim; n++) {
    const pair = layout === 'interleaved' ? Math.floor(n / 2) : n % half;
    const last = layout === 'halves_minus_one' ? half - 1 : layout === 'halves' ? half : dim / 2;
    // The odd element that two halves leave over is 0: the sine of 0.
    const spare = layout !== 'interleaved' && n >= 2 * half;
    frequencies.push(spare ? 0 : theta ** (-pair / last));
    cosine.push(spare ? 0 : layout === 'interleaved' ? n % 2 : Number(n >= half));
  }
  return { frequencies, cosine };
}
