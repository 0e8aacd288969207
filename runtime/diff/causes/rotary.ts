/** Rotary positions: how elements are paired, which of them rotate, and how fast. */
import type { Rope } from '../../../compiler/model.ts';
import { alternative, eachPosition, eachRope, instead, others, show, type AnyAttention } from './change.ts';
import type { Cause } from './types.ts';

/** Elements of a head that could rotate. */
function width(attention: AnyAttention): number {
  return attention.kind === 'mla' ? attention.ropeDim : attention.headDim;
}

const pairing: Cause = {
  name: 'rotary pairing',
  alternatives: (model, scope) => others(['half', 'interleaved'] as const, (value) =>
    alternative(`'${value}' in place of '${value === 'half' ? 'interleaved' : 'half'}'`, eachRope(model, scope, (rope) => (rope.pairing === value ? rope : { ...rope, pairing: value })))),
};

const direction: Cause = {
  name: 'rotary direction',
  alternatives: (model, scope) => alternative('angles of the other sign', eachRope(model, scope, (rope) => ({ ...rope, backward: rope.backward !== true }))),
};

const theta: Cause = {
  name: 'rotary theta',
  alternatives: (model, scope) => {
    const inUse = model.layers.flatMap((layer) => layer.steps.flatMap((step) => step.branches.flatMap(({ body }) =>
      ((body.kind === 'attention' || body.kind === 'mla') && body.position.kind === 'rope' ? [body.position.theta] : []))));
    const now: string[] = [];
    eachRope(model, scope, (rope) => { now.push(show(rope.theta)); return rope; });
    return others([...inUse, 1e4, 1e5, 1.5e5, 5e5, 1e6, 2e6, 5e6, 8e6, 1e7, 1e8, 1000, 100], (value) =>
      alternative(instead(show(value), now), eachRope(model, scope, (rope) => (rope.theta === value ? rope : { ...rope, theta: value }))));
  },
};

const dims: Cause = {
  name: 'rotated part of a head',
  alternatives: (model, scope) => [
    ...others([1, 1 / 2, 1 / 4, 2 / 5, 3 / 4], (share) => alternative(share === 1 ? 'the whole head' : `${show(share)} of the head`, eachRope(model, scope, (rope, attention) => {
      const size = Math.floor(width(attention) * share / 2) * 2;
      return size === rope.dims || size < 2 || attention.kind === 'mla' ? rope : { ...rope, dims: size, start: 0 };
    }))),
    ...alternative('the last elements in place of the first', eachRope(model, scope, (rope, attention) => {
      const end = attention.kind === 'mla' ? 0 : attention.headDim - rope.dims;
      return end === 0 ? rope : { ...rope, start: rope.start === 0 ? end : 0 };
    })),
  ],
};

const scaling: Cause = {
  name: 'rotary scaling',
  alternatives: (model, scope) => [
    ...alternative('none', eachRope(model, scope, (rope) => (rope.scaling.type === 'none' ? rope : { ...rope, scaling: { type: 'none' } }))),
    ...alternative('without its factor on the angles\' size', eachRope(model, scope, (rope) => (rope.scaling.type === 'yarn' || rope.scaling.type === 'longrope' ? { ...rope, scaling: { ...rope.scaling, attentionFactor: 1 } } : rope))),
    ...alternative('without `mscale`', eachRope(model, scope, (rope) => (rope.scaling.type === 'yarn' ? { ...rope, scaling: withoutScales(rope.scaling) } : rope))),
    ...alternative('cut-offs truncated to whole numbers, or not, the other way', eachRope(model, scope, (rope) => (rope.scaling.type === 'yarn' ? { ...rope, scaling: { ...rope.scaling, truncate: !rope.scaling.truncate } } : rope))),
    ...others([2, 4, 8, 16, 32], (factor) => alternative(`linear by ${factor}`, eachRope(model, scope, (rope) =>
      (rope.scaling.type === 'none' || (rope.scaling.type === 'linear' && rope.scaling.factor !== factor) ? { ...rope, scaling: { type: 'linear', factor } } : rope)))),
    ...others([2, 4, 8, 16, 32, 40], (factor) => alternative(`factor ${factor}`, eachRope(model, scope, (rope) =>
      ('factor' in rope.scaling && rope.scaling.type !== 'linear' && rope.scaling.factor !== factor ? { ...rope, scaling: { ...rope.scaling, factor } } : rope)))),
    ...others([8, 32], (factor) => alternative(`of the kind llama3, by ${factor}`, eachRope(model, scope, (rope) =>
      (rope.scaling.type === 'none' ? { ...rope, scaling: { type: 'llama3', factor, lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 } } : rope)))),
    ...alternative('without the factors of frequencies that come with the weights', eachRope(model, scope, (rope) => {
      if (rope.frequencyFactors === undefined) return rope;
      const { frequencyFactors: _, ...rest } = rope;
      return rest;
    })),
  ],
};

function withoutScales(scaling: Extract<Rope['scaling'], { type: 'yarn' }>): Rope['scaling'] {
  const { mscale: _mscale, mscaleAllDim: _all, ...rest } = scaling;
  return rest;
}

const presence: Cause = {
  name: 'rotary positions',
  alternatives: (model, scope) => [
    ...alternative('none', eachPosition(model, scope, (position) => (position.kind === 'rope' ? { kind: 'none' } : position))),
    ...(['half', 'interleaved'] as const).flatMap((value) => others([1e4, 5e5, 1e6], (base) => alternative(`with theta ${show(base)} and pairing '${value}'`, eachPosition(model, scope, (position, attention) =>
      (position.kind === 'none' && attention.kind === 'attention' ? { kind: 'rope', dims: Math.floor(width(attention) / 2) * 2, start: 0, theta: base, pairing: value, scaling: { type: 'none' } } : position))))),
  ],
};

export const rotaryCauses: readonly Cause[] = [pairing, dims, theta, scaling, presence, direction];
