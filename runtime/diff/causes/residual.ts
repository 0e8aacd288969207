/** Residual steps: what is added to what, and how much of it. */
import type { Branch, ResidualStep } from '../../../compiler/model.ts';
import { alternative, eachLayer, eachStep, others, show } from './change.ts';
import type { Cause } from './types.ts';

const multiplier: Cause = {
  name: 'residual multiplier',
  alternatives: (model, scope) => {
    const depth = model.layers.length;
    const known = model.layers.flatMap((layer) => layer.steps.map((step) => step.scale));
    return [
      ...others([1, ...known, 1 / Math.sqrt(depth), 1 / Math.sqrt(2 * depth), Math.sqrt(2), 0.5, 2, 0.22], (value) => alternative(show(value), eachStep(model, scope, (step) => (step.scale === value ? step : { ...step, scale: value })))),
      ...others([1, Math.sqrt(2), Math.sqrt(2 * depth), 0.5, 2], (value) => alternative(`${show(value)}, of the skip`, eachStep(model, scope, (step) => (step.skipScale === value ? step : { ...step, skipScale: value })))),
    ];
  },
};

const skip: Cause = {
  name: 'skip connection',
  alternatives: (model, scope) => (['normed', 'input'] as const).flatMap((from) =>
    alternative(from === 'normed' ? 'of the normed input' : 'of the input as it is', eachStep(model, scope, (step) => (step.from === from || !step.norm ? step : { ...step, from })))),
};

/** The branch of a step with its norm, as one of several. */
function asBranch(step: ResidualStep): Branch | undefined {
  const [only, ...more] = step.branches;
  if (!only || more.length > 0 || step.outNorm || step.postNorm || only.norm || only.id !== step.id) return undefined;
  return step.norm ? { ...only, norm: step.norm } : only;
}

const order: Cause = {
  name: 'order of the steps',
  alternatives: (model, scope) => [
    ...alternative('side by side in place of one after the other', eachLayer(model, scope, (layer) => {
      const [first, second, ...more] = layer.steps;
      const a = first && asBranch(first), b = second && asBranch(second);
      if (!first || !a || !b || more.length > 0) return layer;
      const { norm: _, ...rest } = first;
      return { ...layer, steps: [{ ...rest, branches: [a, b] }] };
    })),
    ...alternative('one after the other in place of side by side', eachLayer(model, scope, (layer) => {
      const [only, ...more] = layer.steps;
      if (!only || more.length > 0 || only.branches.length < 2 || only.norm) return layer;
      return { ...layer, steps: only.branches.map((branch) => ({ ...only, branches: [branch] })) };
    })),
  ],
};

export const residualCauses: readonly Cause[] = [multiplier, skip, order];
