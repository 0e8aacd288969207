import { typeName } from '../expression/index.ts';
import type { Position, Rope, RopeScaling } from '../model.ts';
import { differs, indivisible } from './cursor.ts';
import type { Cursor } from './cursor.ts';

const SCALING_TYPES = ['none', 'default', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope', 'su', 'proportional'] as const;

/** Positions in attention. `headDim` is the length of the query head (for latent attention: of its rotating part). */
export function resolvePosition(field: Cursor, headDim: number, fallback: 'none' | 'rope'): Position {
  const none: Position = { kind: 'none' };
  const rope = field.get('rope');
  const alibi = field.get('alibi');
  const relative = field.get('relative_bias');
  const holds = (kind: Cursor): boolean => kind.present && kind.get('when').boolean(true);
  const given = [holds(rope), holds(alibi), relative.present].filter(Boolean);
  if (given.length > 1) field.report('E205', 'a position has one kind where its `when` holds: rope, alibi or relative_bias');
  if (!field.present && fallback === 'rope') return { kind: 'rope', dims: headDim, start: 0, theta: 10000, pairing: 'half', scaling: { type: 'none' } };
  if (holds(alibi)) {
    return {
      kind: 'alibi',
      maxBias: alibi.get('max_bias').numberIn({ above: 0 }) ?? 8,
      insideScale: alibi.get('inside_scale').boolean(false),
      strength: alibi.get('strength').numberIn({ above: 0 }) ?? 1,
      slopeType: alibi.get('slope_type').choice(['f32', 'bf16'] as const) ?? 'f32',
    };
  }
  if (relative.present) {
    const buckets = relative.get('buckets').dimension(2) ?? 32;
    const slot = relative.get('slot').text();
    if (slot === undefined) relative.get('slot').missing();
    return {
      kind: 'relative_bias', buckets, slot: slot ?? '',
      maxDistance: relative.get('max_distance').dimension(2) ?? 128,
      bidirectional: relative.get('bidirectional').boolean(false),
    };
  }
  return rope.present ? resolveRope(rope, headDim) : none;
}

function resolveRope(rope: Cursor, headDim: number): Position {
  if (!rope.get('when').boolean(true)) return { kind: 'none' };
  const dimsField = rope.get('dims');
  const dims = dimsField.dimension(0) ?? headDim;
  const where = dimsField.present ? dimsField : rope;
  if (dims > headDim) where.report('E303', `the ${dims} rotary dimensions exceed the head of ${headDim}`);
  else if (indivisible(dims, 2)) where.report('E303', `rotary dimensions come in pairs, but there are ${dims}`);
  if (dims === 0) return { kind: 'none' };
  const frequencyFactors = slotName(rope.get('frequency_factors'));
  return {
    kind: 'rope',
    dims,
    start: rope.get('part').choice(['first', 'last'] as const) === 'last' ? headDim - dims : 0,
    theta: rope.get('theta').numberIn({ above: 0 }) ?? 10000,
    pairing: rope.get('pairing').choice(['half', 'interleaved'] as const) ?? 'half',
    ...(rope.get('direction').choice(['forward', 'backward'] as const) === 'backward' ? { backward: true } : {}),
    scaling: resolveScaling(rope.get('scaling'), dims),
    ...(frequencyFactors === undefined ? {} : { frequencyFactors }),
  } satisfies Rope;
}

/** The name of a weight slot that an expression gives, if it gives one. */
function slotName(field: Cursor): string | undefined {
  const value = field.value();
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  field.report('E402', `${field.label} must be the name of a weight, but is ${typeName(value)}`);
  return undefined;
}

function resolveScaling(field: Cursor, dims: number): RopeScaling {
  const type = field.present && field.get('when').boolean(true) ? field.get('type').choice(SCALING_TYPES) ?? 'none' : 'none';
  const required = (key: string): number => {
    const value = field.get(key).numberIn({ above: 0 });
    if (value === undefined) field.get(key).missing();
    return value ?? 1;
  };
  const optional = <K extends string>(name: K, key: string, limits: { readonly above?: number; readonly from?: number } = { above: 0 }): { readonly [P in K]?: number } => {
    const value = field.get(key).numberIn(limits);
    return (value === undefined ? {} : { [name]: value }) as { readonly [P in K]?: number };
  };
  const factors = (key: string): readonly number[] | string => {
    const given = field.get(key).value();
    if (typeof given === 'string') return given;
    const values = field.get(key).numbers();
    if (!values) field.get(key).missing();
    else if (differs(values.length, dims / 2)) field.get(key).report('E303', `\`${key}\` has ${values.length} values, but ${dims} rotary dimensions need ${dims / 2}`);
    else if (values.some((value) => !(value > 0))) field.get(key).report('E307', `the values of \`${key}\` must be greater than 0`);
    return values ?? [];
  };
  switch (type) {
    case 'none': case 'default': return { type: 'none' };
    case 'linear': return { type, factor: required('factor') };
    case 'dynamic': return { type, factor: required('factor'), originalContext: required('original_context') };
    case 'llama3': {
      const [low, high] = [required('low_freq_factor'), required('high_freq_factor')];
      if (high < low) field.get('high_freq_factor').report('E306', `\`high_freq_factor\` ${high} is below \`low_freq_factor\` ${low}`);
      return { type, factor: required('factor'), lowFreqFactor: low, highFreqFactor: high, originalContext: required('original_context') };
    }
    case 'yarn': return {
      type, factor: required('factor'), originalContext: required('original_context'),
      betaFast: field.get('beta_fast').numberIn({ above: 0 }) ?? 32,
      betaSlow: field.get('beta_slow').numberIn({ above: 0 }) ?? 1,
      truncate: field.get('truncate').boolean(true),
      ...optional('attentionFactor', 'attention_factor'), ...optional('mscale', 'mscale', { from: 0 }), ...optional('mscaleAllDim', 'mscale_all_dim', { from: 0 }),
    };
    case 'longrope': case 'su': return {
      type: 'longrope', shortFactor: factors('short_factor'), longFactor: factors('long_factor'), originalContext: required('original_context'),
      ...optional('factor', 'factor'), ...optional('attentionFactor', 'attention_factor'),
    };
    case 'proportional': return {
      type, factor: field.get('factor').numberIn({ above: 0 }) ?? 1, partial: field.get('partial').numberIn({ above: 0, to: 1 }) ?? 1,
    };
    default: return type satisfies never;
  }
}
