/** What is before the layers and behind them. */
import type { Model } from '../../../compiler/model.ts';
import { alternative, others, show } from './change.ts';
import type { Alternative, Cause } from './types.ts';

/** The model with other embeddings; nothing where they are equal. */
function embed(text: string, model: Model, change: (embeddings: Model['embeddings']) => Model['embeddings']): Alternative[] {
  const embeddings = change(model.embeddings);
  return alternative(text, embeddings === model.embeddings ? undefined : { ...model, embeddings });
}

function put(text: string, model: Model, change: (output: Model['output']) => Model['output']): Alternative[] {
  const output = change(model.output);
  return alternative(text, output === model.output ? undefined : { ...model, output });
}

const scale: Cause = {
  name: 'embedding scale',
  alternatives: (model, scope) => (!scope.embeddings ? [] : others([[1, '1 (none)'], [Math.sqrt(model.embeddings.token.dim), 'sqrt(dim)'], [model.embeddings.token.dim ** -0.5, '1 / sqrt(dim)'], [12, '12']] as const, ([value, text]) =>
    embed(text, model, (e) => (Math.abs(e.token.scale - value) <= 1e-6 * value ? e : { ...e, token: { ...e.token, scale: value } })))),
};

const positions: Cause = {
  name: 'positions of the embeddings',
  alternatives: (model, scope) => (!scope.embeddings ? [] : [
    ...others([0, 1, 2], (offset) => embed(`from ${offset} on`, model, (e) => (e.position && e.position.offset !== offset ? { ...e, position: { ...e.position, offset } } : e))),
    ...(['interleaved', 'halves', 'halves_minus_one'] as const).flatMap((layout) => embed(`sinusoids in the layout '${layout}'`, model, (e) => (e.position?.kind === 'sinusoidal' && e.position.layout !== layout ? { ...e, position: { ...e.position, layout } } : e))),
    ...embed('none', model, (e) => {
      const { position, ...rest } = e;
      return position ? rest : e;
    }),
    ...embed('no token types', model, (e) => {
      const { types, ...rest } = e;
      return types ? rest : e;
    }),
  ]),
};

const head: Cause = {
  name: 'output',
  alternatives: (model, scope) => (!scope.output ? [] : [
    ...put('logits without a softcap', model, (o) => {
      const { softcap, ...rest } = o;
      return softcap === undefined ? o : rest;
    }),
    ...others([30, 50, 15, 20], (softcap) => put(`logits with a softcap of ${softcap}`, model, (o) => (o.softcap === softcap || !o.linear ? o : { ...o, softcap }))),
    ...put('softcap before the scale in place of after it', model, (o) => (o.softcap === undefined || o.scale === 1 ? o : { ...o, softcap: o.softcap * o.scale })),
    ...others([[1, '1 (none)'], [model.dim ** -0.5, '1 / sqrt(dim)'], [1 / model.dim, '1 / dim']] as const, ([value, text]) => [
      ...put(`logits times ${text}`, model, (o) => (o.scale === value ? o : { ...o, scale: value })), ...put(`input of the head times ${text}`, model, (o) => (o.preScale === value ? o : { ...o, preScale: value })),
    ]),
    ...others([0.0625, 0.125, 0.25, 0.5], (value) => put(`logits times ${show(value)}`, model, (o) => (o.scale === value ? o : { ...o, scale: value }))),
    ...put('the embedding table in place of a matrix of its own, or the other way round', model, (o) => (o.linear ? { ...o, linear: { ...o.linear, tied: !o.linear.tied } } : o)),
    ...put('with a bias, or without, the other way', model, (o) => (o.linear ? { ...o, linear: { ...o.linear, bias: !o.linear.bias } } : o)),
  ]),
};

export const endCauses: readonly Cause[] = [scale, positions, head];
