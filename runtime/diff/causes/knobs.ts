/** Positive numbers that may be anything: where no usual value fits, the one that fits best is looked for. */
import type { Model } from '../../../compiler/model.ts';
import { eachAttention, eachBody, eachNorm, eachRope, eachStep } from './change.ts';
import type { Scope } from './types.ts';

export interface Knob {
  readonly name: string;
  /** The value now; absent where the model has no such number. */
  readonly value: (model: Model, scope: Scope) => number | undefined;
  readonly set: (model: Model, scope: Scope, value: number) => Model | undefined;
}

/** The first value that a walk over the model's parts sees. */
function first(walk: (see: (value: number | undefined) => void) => void): number | undefined {
  const seen: number[] = [];
  walk((value) => { if (value !== undefined) seen.push(value); });
  return seen[0];
}

export const knobs: readonly Knob[] = [
  {
    name: 'residual multiplier',
    value: (model, scope) => first((see) => eachStep(model, scope, (step) => { see(step.scale); return step; })),
    set: (model, scope, scale) => eachStep(model, scope, (step) => ({ ...step, scale })),
  },
  {
    name: 'attention scale',
    value: (model, scope) => first((see) => eachAttention(model, scope, (attention) => { see(attention.scale); return attention; })),
    set: (model, scope, scale) => eachAttention(model, scope, (attention) => ({ ...attention, scale })),
  },
  {
    name: 'softcap of the scores',
    value: (model, scope) => first((see) => eachAttention(model, scope, (attention) => { see(attention.softcap); return attention; })),
    set: (model, scope, softcap) => eachAttention(model, scope, (attention) => ({ ...attention, softcap })),
  },
  {
    name: 'rotary theta',
    value: (model, scope) => first((see) => eachRope(model, scope, (rope) => { see(rope.theta); return rope; })),
    set: (model, scope, theta) => eachRope(model, scope, (rope) => ({ ...rope, theta })),
  },
  {
    name: 'epsilon of norms',
    value: (model, scope) => first((see) => eachNorm(model, scope, (norm) => { see(norm.eps); return norm; })),
    set: (model, scope, eps) => eachNorm(model, scope, (norm) => ({ ...norm, eps })),
  },
  {
    name: 'rotary factor',
    value: (model, scope) => first((see) => eachRope(model, scope, (rope) => { if ('factor' in rope.scaling) see(rope.scaling.factor); return rope; })),
    set: (model, scope, factor) => eachRope(model, scope, (rope) => ('factor' in rope.scaling ? { ...rope, scaling: { ...rope.scaling, factor } } : rope)),
  },
  {
    name: 'scale of the experts\' weights',
    value: (model, scope) => first((see) => eachBody(model, scope, (body) => { if (body.kind === 'moe') see(body.router.scale); return body; })),
    set: (model, scope, scale) => eachBody(model, scope, (body) => (body.kind === 'moe' ? { ...body, router: { ...body.router, scale } } : body)),
  },
  {
    name: 'embedding scale',
    value: (model, scope) => (scope.embeddings ? model.embeddings.token.scale : undefined),
    set: (model, _scope, scale) => ({ ...model, embeddings: { ...model.embeddings, token: { ...model.embeddings.token, scale } } }),
  },
  {
    name: 'scale of the logits',
    value: (model, scope) => (scope.output ? model.output.scale : undefined),
    set: (model, _scope, scale) => ({ ...model, output: { ...model.output, scale } }),
  },
];
