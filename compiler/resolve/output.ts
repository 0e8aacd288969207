import type { Embeddings, Norm, Output } from '../model.ts';
import { resolveActivation } from './activation.ts';
import { differs } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import { resolveNorm } from './norm.ts';

export function resolveOutput(field: Cursor, embeddings: Embeddings, dim: number, base: Norm, activations: ReadonlySet<string>): Output {
  const on = (part: Cursor): boolean => part.present && part.get('when').boolean(true);
  const norm = resolveNorm(field.get('norm'), base);
  const project = field.get('project');
  const transform = field.get('transform');
  const transformNorm = resolveNorm(transform.get('norm'), base);
  const linear = field.get('linear');
  const softcap = field.get('softcap').numberIn({ above: 0 });
  const pool = field.get('pool');
  const kind = pool.present ? pool.get('kind').choice(['none', 'cls', 'mean', 'last'] as const) ?? 'none' : 'none';
  const dense = pool.get('dense');
  const head = on(linear) ? {
    rows: linear.get('rows').dimension() ?? embeddings.token.rows,
    tied: linear.get('tied').boolean(false),
    bias: linear.get('bias').boolean(false),
  } : undefined;
  if (head?.tied) {
    const width = on(project) ? embeddings.token.dim : dim;
    if (differs(head.rows, embeddings.token.rows)) linear.get('rows').report('E306', `a tied head has the embedding's ${embeddings.token.rows} rows, not ${head.rows}`);
    if (differs(width, embeddings.token.dim)) linear.get('tied').report('E306', `a tied head needs the embedding's width ${embeddings.token.dim}, but the layers work on ${width}; give output.project`);
  }
  if (!head && field.get('softmax').boolean(false)) field.get('softmax').report('E306', 'there is no head whose logits it could be taken of; give output.linear');
  return {
    ...(norm ? { norm } : {}),
    preScale: field.get('pre_scale').number() ?? 1,
    ...(on(project) ? { project: { bias: project.get('bias').boolean(false) } } : {}),
    ...(on(transform) ? { transform: {
      activation: resolveActivation(transform.get('activation'), activations, 'gelu'),
      bias: transform.get('bias').boolean(true),
      ...(transformNorm ? { norm: transformNorm } : {}),
    } } : {}),
    ...(head ? { linear: head } : {}),
    scale: field.get('scale').number() ?? 1,
    ...(softcap === undefined ? {} : { softcap }),
    softmax: field.get('softmax').boolean(false),
    ...(kind === 'none' ? {} : { pool: {
      kind,
      ...(on(dense) ? { dense: { activation: resolveActivation(dense.get('activation'), activations, 'tanh'), bias: dense.get('bias').boolean(true) } } : {}),
    } }),
  };
}
