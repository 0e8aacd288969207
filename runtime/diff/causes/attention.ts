/** Attention: scale, cap, window, mask, biases, norms of queries and keys, and its rarer parts. */
import type { Attention } from '../../../compiler/model.ts';
import { alternative, eachAttention, eachBody, eachPlainAttention, eachPosition, instead, others, show, type AnyAttention } from './change.ts';
import type { Cause } from './types.ts';

/** Widths that one might take the root of, and what they are called. */
function widths(attention: AnyAttention, dim: number): readonly (readonly [string, number])[] {
  const { heads, valueDim } = attention;
  const more = [['value_dim', valueDim], ['dim / heads', dim / heads], ['dim', dim]] as const;
  return attention.kind === 'mla'
    ? [['nope_dim + rope_dim', attention.nopeDim + attention.ropeDim], ['nope_dim', attention.nopeDim], ['rope_dim', attention.ropeDim], ['kv_rank + rope_dim', attention.kvRank + attention.ropeDim], ...more]
    : [['head_dim', attention.headDim], ['kv_heads * head_dim', attention.kvHeads * attention.headDim], ...more];
}

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-6 * Math.abs(b);

const scale: Cause = {
  name: 'attention scale',
  alternatives: (model, scope) => {
    const names = ['head_dim', 'nope_dim + rope_dim', 'nope_dim', 'rope_dim', 'kv_rank + rope_dim', 'kv_heads * head_dim', 'value_dim', 'dim / heads', 'dim'];
    const now: string[] = [];
    eachAttention(model, scope, (attention) => { now.push(show(attention.scale)); return attention; });
    const to = (text: string, value: (attention: AnyAttention, layer: number) => number | undefined) => alternative(instead(text, now), eachAttention(model, scope, (attention, layer) => {
      const next = value(attention, layer.index);
      return next === undefined || near(attention.scale, next) ? attention : { ...attention, scale: next };
    }));
    const of = (attention: AnyAttention, name: string): number | undefined => widths(attention, model.dim).find(([n]) => n === name)?.[1];
    const rooted = (width: number | undefined): number | undefined => (width === undefined ? undefined : 1 / Math.sqrt(width));
    return [
      ...to('1 (none)', () => 1),
      ...names.flatMap((name) => to(`1 / sqrt(${name})`, (attention) => rooted(of(attention, name)))),
      ...to('1 / head_dim', (attention) => (attention.kind === 'attention' ? 1 / attention.headDim : undefined)),
      ...to('divided once more by sqrt(head_dim)', (attention) => (attention.kind === 'attention' ? attention.scale / Math.sqrt(attention.headDim) : undefined)),
      ...to('divided by the layer\'s number besides', (attention, layer) => attention.scale / (layer + 1)),
    ];
  },
};

const softcap: Cause = {
  name: 'softcap of the scores',
  alternatives: (model, scope) => {
    const caps: string[] = [];
    eachAttention(model, scope, (a) => { caps.push(a.softcap === undefined ? 'none' : show(a.softcap)); return a; });
    return [
    ...alternative('none', eachAttention(model, scope, (attention) => {
      const { softcap: cap, ...rest } = attention;
      return cap === undefined ? attention : rest as typeof attention;
    })),
    // cap(x) * scale is a cap of c * scale behind the scale.
    ...alternative('before the scale in place of after it', eachAttention(model, scope, (a) => (a.softcap === undefined || a.scale === 1 ? a : { ...a, softcap: a.softcap * a.scale }))),
    ...alternative('after the scale in place of before it', eachAttention(model, scope, (a) => (a.softcap === undefined || a.scale === 1 ? a : { ...a, softcap: a.softcap / a.scale }))),
    ...others([50, 30, 20, 15], (cap) => alternative(instead(show(cap), caps), eachAttention(model, scope, (a) => (a.softcap === cap ? a : { ...a, softcap: cap })))),
    ];
  },
};

type Window = NonNullable<Attention['window']>;

const window: Cause = {
  name: 'attention window',
  alternatives: (model, scope) => {
    const known = new Map<string, Window>();
    for (const layer of model.layers) for (const step of layer.steps) for (const { body } of step.branches) {
      if ((body.kind === 'attention' || body.kind === 'mla') && body.window) known.set(JSON.stringify(body.window), body.window);
    }
    const to = (text: string, next: (window: Window | undefined) => Window | undefined) => alternative(text, eachAttention(model, scope, (attention) => {
      const { window: now, ...rest } = attention;
      const other = next(now);
      return other === now ? attention : { ...rest, ...(other ? { window: other } : {}) } as typeof attention;
    }));
    const sized = (by: number) => (w: Window | undefined): Window | undefined => (w && w.size + by > 0 ? { ...w, size: w.size + by } : w);
    const kinds = ['sliding', 'chunked', 'symmetric'] as const;
    return [
      ...to('one more token', sized(1)), ...to('one token less', sized(-1)),
      ...to('none', () => undefined),
      ...[...known.values()].flatMap((w) => to(`${w.kind}, ${w.size} tokens, as in other layers`, (now) => now ?? w)),
      ...kinds.flatMap((kind) => to(kind, (w) => (w && w.kind !== kind ? { ...w, kind } : w))),
      ...to('half as many tokens', (w) => (w && w.size >= 2 ? { ...w, size: Math.floor(w.size / 2) } : w)), ...to('twice as many tokens', (w) => w && { ...w, size: w.size * 2 }),
    ];
  },
};

const mask: Cause = {
  name: 'attention mask',
  alternatives: (model, scope) => (['causal', 'bidirectional'] as const).flatMap((value) =>
    alternative(`'${value}'`, eachAttention(model, scope, (attention) => (attention.mask === value ? attention : { ...attention, mask: value })))),
};

/** A bias that the files have and the spec does not, or the other way round. */
const bias: Cause = {
  name: 'bias',
  alternatives: (model, scope) => {
    const parts = ['q', 'k', 'v', 'o'] as const;
    const to = (text: string, which: readonly (typeof parts)[number][], value: boolean) => alternative(text, eachPlainAttention(model, scope, (attention) =>
      (which.every((part) => attention.bias[part] === value) ? attention : { ...attention, bias: { ...attention.bias, ...Object.fromEntries(which.map((part) => [part, value])) } })));
    const latent = (text: string, which: 'qA' | 'kvA' | 'o', value: boolean) => alternative(text, eachBody(model, scope, (body) =>
      (body.kind !== 'mla' || body.bias[which] === value ? body : { ...body, bias: { ...body.bias, [which]: value } })));
    return [true, false].flatMap((value) => {
      const word = value ? 'a bias' : 'no bias';
      return [...latent(`${word} of the projection \`q_a\``, 'qA', value), ...latent(`${word} of the projection \`kv_a\``, 'kvA', value), ...latent(`${word} of the projection \`o\``, 'o', value), ...to(`${word} of queries, keys and values`, ['q', 'k', 'v'], value), ...to(`${word} of all four projections`, parts, value), ...parts.flatMap((part) => to(`${word} of the projection \`${part}\``, [part], value))];
    });
  },
};

const qkNorm: Cause = {
  name: 'query and key norm',
  alternatives: (model, scope) => {
    const to = (text: string, change: (norm: NonNullable<Attention['qkNorm']>) => NonNullable<Attention['qkNorm']>) => alternative(text, eachPlainAttention(model, scope, (attention) => {
      const next = attention.qkNorm && change(attention.qkNorm);
      return !next || next === attention.qkNorm ? attention : { ...attention, qkNorm: next };
    }));
    const fresh = model.output.norm ?? { kind: 'rmsnorm', eps: 1e-6, weight: true, bias: false, offset: 0 } as const;
    return [
      ...(['before_rope', 'after_rope'] as const).flatMap((when) => to(when === 'before_rope' ? 'before the rotation in place of after it' : 'after the rotation in place of before it', (norm) => (norm.when === when ? norm : { ...norm, when }))),
      ...(['head', 'per_head', 'full'] as const).flatMap((over) => to(`scope '${over}'`, (norm) => (norm.scope === over ? norm : { ...norm, scope: over }))),
      ...alternative('none', eachPlainAttention(model, scope, (attention) => {
        const { qkNorm: now, ...rest } = attention;
        return now ? rest : attention;
      })),
      ...(['head', 'full'] as const).flatMap((over) => alternative(`one before the rotation, scope '${over}'`, eachPlainAttention(model, scope, (attention) =>
        (attention.qkNorm ? attention : { ...attention, qkNorm: { norm: fresh, when: 'before_rope', scope: over } })))),
    ];
  },
};

const rarer: Cause = {
  name: 'attention',
  alternatives: (model, scope) => {
    const without = (text: string, key: 'clip' | 'vNorm' | 'valueScale' | 'subNorm' | 'gate' | 'queryTemperature') => alternative(text, eachPlainAttention(model, scope, (attention) => {
      if (attention[key] === undefined) return attention;
      const { [key]: _, ...rest } = attention;
      return rest;
    }));
    return [
      ...without('no clipping', 'clip'), ...without('no norm of the values', 'vNorm'), ...without('values as they are', 'valueScale'), ...without('no norm of the mixed values', 'subNorm'),
      ...without('no gate', 'gate'), ...without('no temperature of the queries', 'queryTemperature'),
      ...alternative('sinks, or none, the other way', eachAttention(model, scope, (attention) => ({ ...attention, sinks: !attention.sinks }))),
      ...alternative('queries and keys clipped behind their norm, or before it, the other way', eachPlainAttention(model, scope, (a) =>
        (a.clip === undefined || !a.qkNorm ? a : { ...a, clipWhen: a.clipWhen === 'after_norm' ? 'before_norm' : 'after_norm' }))),
    ];
  },
};

const alibi: Cause = {
  name: 'ALiBi',
  alternatives: (model, scope) => [
    ...alternative('none', eachPosition(model, scope, (position) => (position.kind === 'alibi' ? { kind: 'none' } : position))),
    ...alternative('the bias inside the scale, or outside, the other way', eachPosition(model, scope, (position) => (position.kind === 'alibi' ? { ...position, insideScale: !position.insideScale } : position))),
    ...others([1, 2], (strength) => alternative(`${strength} times the bias`, eachPosition(model, scope, (position) => (position.kind === 'alibi' && position.strength !== strength ? { ...position, strength } : position)))),
    ...others(['f32', 'bf16'] as const, (slopeType) => alternative(`slopes rounded to ${slopeType}`, eachPosition(model, scope, (position) => (position.kind === 'alibi' && position.slopeType !== slopeType ? { ...position, slopeType } : position)))),
    ...alternative('with slopes up to 2^-8', eachPosition(model, scope, (position) => (position.kind === 'none' ? { kind: 'alibi', maxBias: 8, insideScale: false, strength: 1, slopeType: 'f32' } : position))),
  ],
};

export const attentionCauses: readonly Cause[] = [scale, softcap, window, mask, bias, qkNorm, alibi, rarer];
