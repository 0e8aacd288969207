import type { Attention, AttentionCommon, Biases, LatentAttention, Norm, QkNorm } from '../model.ts';
import { indivisible } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import { resolveActivation } from './activation.ts';
import { overlay, resolveNorm } from './norm.ts';
import { resolvePosition } from './position.ts';
import type { LayerContext } from './layer-context.ts';

export function resolveAttention(field: Cursor, context: LayerContext): Attention {
  const heads = field.get('heads').requiredDimension(1, 65_536);
  const kvHeads = field.get('kv_heads').dimension(1, 65_536) ?? heads;
  if (indivisible(heads, kvHeads)) {
    field.get(field.get('kv_heads').present ? 'kv_heads' : 'heads').report('E302', `${heads} heads cannot share ${kvHeads} key-value heads evenly`);
  }
  const headDim = field.get('head_dim').dimension() ?? defaultHeadDim(field, context.dim, heads);
  const valueDim = field.get('value_dim').dimension() ?? headDim;
  const qkNorm = resolveQkNorm(field.get('qk_norm'), context.norm);
  const vNorm = resolveNorm(field.get('v_norm'), context.norm);
  const clip = field.get('clip').numberIn({ above: 0 });
  const clipWhen = field.get('clip_when').choice(['before_norm', 'after_norm'] as const);
  const valueScale = field.get('value_scale').number() ?? 1;
  const kvFrom = field.get('kv_from').dimension(0);
  if (kvFrom !== undefined && kvFrom >= context.index) {
    field.get('kv_from').report('E309', `layer ${context.index} cannot read the keys and values of layer ${kvFrom}, which is not before it`);
  }
  return {
    kind: 'attention', kvHeads, headDim, valueDim,
    ...common(field, context, heads, headDim, headDim, 'none'),
    bias: biases(field.get('bias'), ['q', 'k', 'v', 'o']) satisfies Biases,
    ...(qkNorm ? { qkNorm } : {}), ...(vNorm ? { vNorm } : {}),
    ...(clip === undefined ? {} : { clip, ...(clipWhen === undefined ? {} : { clipWhen }) }), ...(valueScale === 1 ? {} : { valueScale }),
    ...(kvFrom === undefined ? {} : { kvFrom }),
  };
}

export function resolveLatentAttention(field: Cursor, context: LayerContext): LatentAttention {
  const heads = field.get('heads').requiredDimension(1, 65_536);
  const nopeDim = field.get('nope_dim').requiredDimension();
  const ropeDim = field.get('rope_dim').requiredDimension();
  const qRank = field.get('q_rank').dimension();
  const bias = biases(field.get('bias'), ['q_a', 'kv_a', 'o']);
  const latentNorm = field.get('latent_norm').present ? resolveNorm(field.get('latent_norm'), context.norm) : context.norm;
  return {
    kind: 'mla', nopeDim, ropeDim,
    ...(qRank === undefined ? {} : { qRank }),
    kvRank: field.get('kv_rank').requiredDimension(),
    valueDim: field.get('value_dim').requiredDimension(),
    bias: { qA: bias.q_a, kvA: bias.kv_a, o: bias.o },
    latentNorm: latentNorm ?? context.norm,
    ...common(field, context, heads, nopeDim + ropeDim, ropeDim, 'rope'),
  };
}

function common(field: Cursor, context: LayerContext, heads: number, queryDim: number, rotaryDim: number, position: 'none' | 'rope'): AttentionCommon {
  const softcap = field.get('softcap').numberIn({ above: 0 });
  const window = resolveWindow(field.get('window'));
  const mask = field.get('mask').choice(['causal', 'bidirectional'] as const) ?? 'causal';
  if (window && mask === 'bidirectional' && window.kind !== 'symmetric') {
    field.get('window').report('E306', `a ${window.kind} window looks back only; with a bidirectional mask the kind is symmetric`);
  }
  const gate = field.get('gate');
  const temperature = field.get('query_temperature');
  const subNorm = resolveNorm(field.get('sub_norm'), context.norm);
  return {
    heads,
    scale: field.get('scale').number() ?? 1 / Math.sqrt(queryDim),
    ...(softcap === undefined ? {} : { softcap }),
    sinks: field.get('sinks').boolean(false),
    mask,
    ...(window ? { window } : {}),
    position: resolvePosition(field.get('position'), rotaryDim, position),
    ...(temperature.present && temperature.get('when').boolean(true) ? { queryTemperature: {
      scale: temperature.get('scale').number() ?? 0.1,
      floor: temperature.get('floor').numberIn({ above: 0 }) ?? 8192,
      offset: temperature.get('offset').number() ?? 1,
    } } : {}),
    ...(gate.present && gate.get('when').boolean(true) ? { gate: {
      activation: resolveActivation(gate.get('activation'), context.activations, 'sigmoid'),
      per: gate.get('per').choice(['element', 'head'] as const) ?? 'element',
      bias: gate.get('bias').boolean(false),
    } } : {}),
    ...(subNorm ? { subNorm } : {}),
  };
}

function resolveWindow(field: Cursor): Attention['window'] {
  if (!field.present || !field.get('when').boolean(true)) return undefined;
  const size = field.get('size').dimension();
  return size === undefined ? undefined : { kind: field.get('kind').choice(['sliding', 'chunked', 'symmetric'] as const) ?? 'sliding', size };
}

function resolveQkNorm(field: Cursor, base: Norm): QkNorm | undefined {
  if (!field.present || !field.get('enabled').boolean(true)) return undefined;
  const norm = overlay(field, base);
  return norm && {
    norm,
    when: field.get('when').choice(['before_rope', 'after_rope'] as const) ?? 'before_rope',
    scope: field.get('scope').choice(['head', 'per_head', 'full'] as const) ?? 'head',
  };
}

function defaultHeadDim(field: Cursor, dim: number, heads: number): number {
  if (!indivisible(dim, heads)) return dim / heads;
  field.get('heads').report('E306', `the width ${dim} does not divide into ${heads} heads; give head_dim`);
  return Number.NaN;
}

/** One answer for all, or one each. */
export function biases<K extends string>(field: Cursor, keys: readonly K[]): Record<K, boolean> {
  const all = field.isMap ? false : field.boolean(false);
  return Object.fromEntries(keys.map((key) => [key, field.isMap ? field.get(key).boolean(false) : all])) as Record<K, boolean>;
}
