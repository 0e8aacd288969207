import type { Embeddings, Norm } from '../model.ts';
import type { Cursor } from './cursor.ts';
import { resolveNorm } from './norm.ts';

/** The embeddings, and the width that the layers work on. */
export function resolveEmbeddings(field: Cursor, base: Norm): { readonly embeddings: Embeddings; readonly dim: number } {
  const token = field.get('token');
  if (!token.present) token.missing();
  const width = token.present ? token.get('dim').requiredDimension() : 1;
  const rows = token.present ? token.get('rows').requiredDimension() : 1;
  const tokenNorm = resolveNorm(token.get('norm'), base);
  const norm = resolveNorm(field.get('norm'), base);
  const project = field.get('project');
  const hasProject = project.present && project.get('when').boolean(true);
  const types = field.get('types');
  const position = resolvePosition(field.get('position'));
  const embeddings: Embeddings = {
    token: { rows, dim: width, scale: token.get('scale').number() ?? 1, ...(tokenNorm ? { norm: tokenNorm } : {}) },
    ...(position ? { position } : {}),
    ...(types.present && types.get('when').boolean(true) ? { types: { rows: types.get('rows').requiredDimension() } } : {}),
    ...(norm ? { norm } : {}),
    ...(hasProject ? { project: { bias: project.get('bias').boolean(false), of: project.get('of').choice(['sum', 'token'] as const) ?? 'sum' } } : {}),
  };
  return { embeddings, dim: hasProject ? project.get('dim').requiredDimension() : width };
}

function resolvePosition(field: Cursor): Embeddings['position'] | undefined {
  if (!field.isMap || !field.get('when').boolean(true)) return undefined;
  const learned = field.get('learned');
  const sinusoidal = field.get('sinusoidal');
  if (learned.present === sinusoidal.present) {
    field.report('E205', 'a position is either `learned` or `sinusoidal`');
    return undefined;
  }
  if (learned.present) {
    const offset = learned.get('offset').dimension(0) ?? 0;
    return { kind: 'learned', rows: learned.get('rows').requiredDimension() + offset, offset };
  }
  return {
    kind: 'sinusoidal',
    layout: sinusoidal.get('layout').choice(['interleaved', 'halves', 'halves_minus_one'] as const) ?? 'interleaved',
    theta: sinusoidal.get('theta').numberIn({ above: 0 }) ?? 10000,
    offset: sinusoidal.get('offset').dimension(0) ?? 0,
  };
}
