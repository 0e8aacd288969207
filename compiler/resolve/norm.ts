import type { Norm } from '../model.ts';
import type { Cursor } from './cursor.ts';

const KINDS = ['rmsnorm', 'layernorm', 'l2norm'] as const;
const SHORTHANDS = ['default', ...KINDS, 'none'] as const;
const EPS = 1e-5;

/** The spec's `normalization`: what `norm: default` means. */
export function resolveDefaultNorm(field: Cursor): Norm {
  const base: Norm = { kind: 'layernorm', eps: EPS, weight: true, bias: true, offset: 0 };
  if (!field.present) return base;
  if (field.isMap) return overlay(field, base) ?? base;
  const kind = field.choice(SHORTHANDS);
  return kind === undefined || kind === 'default' || kind === 'none' ? base : ofKind(kind, EPS);
}

/** A norm field: absent, `none` and `when: false` give undefined. */
export function resolveNorm(field: Cursor, base: Norm): Norm | undefined {
  if (!field.present) return undefined;
  if (field.isMap) return field.get('when').boolean(true) ? overlay(field, base) : undefined;
  const kind = field.choice(SHORTHANDS);
  if (kind === undefined || kind === 'none') return undefined;
  return kind === 'default' || kind === base.kind ? base : ofKind(kind, base.eps);
}

/** The settings of a map over a base. A change of kind keeps only eps of the base. */
export function overlay(field: Cursor, base: Norm): Norm | undefined {
  const kind = field.get('kind').choice([...KINDS, 'none'] as const) ?? base.kind;
  if (kind === 'none') return undefined;
  const start = kind === base.kind ? base : ofKind(kind, base.eps);
  const weight = field.get('weight').boolean(start.weight);
  return {
    kind,
    eps: field.get('eps').numberIn({ from: 0, to: 1 }) ?? start.eps,
    weight,
    bias: field.get('bias').boolean(weight ? start.bias : false),
    offset: field.get('offset').number() ?? start.offset,
  };
}

function ofKind(kind: Norm['kind'], eps: number): Norm {
  return { kind, eps, weight: kind !== 'l2norm', bias: kind === 'layernorm', offset: 0 };
}
