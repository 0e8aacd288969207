/** Feed-forwards: activation, gate, biases, limits. */
import type { Activation } from '../../../compiler/model.ts';
import { alternative, eachFeedForward, instead, others, show } from './change.ts';
import type { Cause } from './types.ts';

const names = ['silu', 'gelu', 'gelu_tanh', 'gelu_quick', 'relu', 'relu2', 'sigmoid', 'tanh', 'softplus', 'mish', 'identity'] as const;

const activation: Cause = {
  name: 'activation',
  alternatives: (model, scope) => {
    const now: string[] = [];
    eachFeedForward(model, scope, (ffn) => { now.push(`'${ffn.activation.name}'`); return ffn; });
    return [
    ...names.map((name): Activation => ({ kind: 'builtin', name })), ...Object.keys(model.activations).map((name): Activation => ({ kind: 'custom', name })),
  ].flatMap((value) => alternative(instead(`'${value.name}'`, now), eachFeedForward(model, scope, (ffn) => (ffn.activation.kind === value.kind && ffn.activation.name === value.name ? ffn : { ...ffn, activation: value }))));
  },
};

const gate: Cause = {
  name: 'gate',
  alternatives: (model, scope) => [true, false].flatMap((gated) => alternative(gated ? 'a gated feed-forward' : 'a feed-forward without a gate', eachFeedForward(model, scope, (ffn) => (ffn.gated === gated ? ffn : { ...ffn, gated })))),
};

const bias: Cause = {
  name: 'bias',
  alternatives: (model, scope) => [true, false].flatMap((value) => [
    ...alternative(`${value ? 'a bias' : 'no bias'} of all products of the feed-forward`, eachFeedForward(model, scope, (ffn) => {
      const all = { up: value, gate: value && ffn.gated, down: value };
      return ffn.bias.up === all.up && ffn.bias.gate === all.gate && ffn.bias.down === all.down ? ffn : { ...ffn, bias: all };
    })),
    ...(['up', 'gate', 'down'] as const).flatMap((part) => alternative(`${value ? 'a bias' : 'no bias'} of the product \`${part}\``, eachFeedForward(model, scope, (ffn) =>
      (ffn.bias[part] === value || (part === 'gate' && !ffn.gated) ? ffn : { ...ffn, bias: { ...ffn.bias, [part]: value } })))),
  ]),
};

const limits: Cause = {
  name: 'feed-forward',
  alternatives: (model, scope) => [
    ...alternative('without its clamp', eachFeedForward(model, scope, (ffn) => {
      const { clamp, ...rest } = ffn;
      return clamp === undefined ? ffn : rest;
    })),
    ...alternative('with a clamp at 7', eachFeedForward(model, scope, (ffn) => (ffn.clamp === 7 ? ffn : { ...ffn, clamp: 7 }))),
    ...others([0, 1], (value) => alternative(`with ${value} added to \`up\``, eachFeedForward(model, scope, (ffn) => (ffn.upOffset === value ? ffn : { ...ffn, upOffset: value })))),
    ...alternative('without a slope in its activation', eachFeedForward(model, scope, (ffn) => {
      const { alpha, ...rest } = ffn;
      return alpha === undefined ? ffn : rest;
    })),
    ...others([1.702], (value) => alternative(`with the slope ${show(value)} in its activation`, eachFeedForward(model, scope, (ffn) => (ffn.alpha === value ? ffn : { ...ffn, alpha: value })))),
  ],
};

export const feedForwardCauses: readonly Cause[] = [activation, gate, bias, limits];
