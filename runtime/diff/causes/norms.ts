/** Norms: what is added to their weights, their kind and epsilon, and where they stand. */
import type { Model, Norm, ResidualStep } from '../../../compiler/model.ts';
import { alternative, eachNorm, eachStep, instead, others, type NormRole } from './change.ts';
import type { Alternative, Cause, Scope, WeightChange } from './types.ts';

const roles: readonly NormRole[] = [
  'input norm', 'post norm', 'output norm of the step', 'query and key norm', 'value norm', 'norm of the mixed values', 'inner norm', 'latent norm', 'final norm', 'embedding norm',
];

/** For all norms at once, for those in layers but not within attention, and for those of each role. */
function everywhere(model: Model, scope: Scope, text: string, change: (norm: Norm) => Norm): Alternative[] {
  const counted = new Set<NormRole>();
  const reachable = roles.filter((role) => role !== 'final norm' || scope.output);
  eachNorm(model, scope, (norm, role) => { if (change(norm) !== norm) counted.add(role); return norm; });
  const within = (name: string, allowed: (role: NormRole) => boolean): Alternative[] =>
    alternative(`${text}${name}`, eachNorm(model, scope, (norm, role) => (allowed(role) ? change(norm) : norm)));
  const outer = (role: NormRole): boolean => role !== 'query and key norm' && role !== 'value norm' && role !== 'latent norm';
  return [
    ...within(counted.size > 1 ? ', of all norms' : '', () => true),
    ...(counted.size > 1 ? [...([...counted].every(outer) ? [] : within(', of all norms but those within attention', outer)), ...reachable.filter((role) => counted.has(role)).flatMap((role) => within(`, of the ${role}`, (r) => r === role))] : []),
  ];
}

const offset: Cause = {
  name: 'offset of norm weights',
  alternatives: (model, scope) => [1, 0].flatMap((value) => everywhere(model, scope, `${value} in place of ${1 - value}`, (norm) => (norm.weight && norm.offset === 1 - value ? { ...norm, offset: value } : norm))),
};

const kind: Cause = {
  name: 'kind of norm',
  alternatives: (model, scope) => [
    ...(['rmsnorm', 'layernorm', 'l2norm'] as const).flatMap((value) => everywhere(model, scope, `'${value}'`, (norm) => (norm.kind === value ? norm : { ...norm, kind: value }))),
    ...everywhere(model, scope, 'layernorm with a bias', (norm) => (norm.kind === 'layernorm' && norm.bias ? norm : { ...norm, kind: 'layernorm', bias: true })),
    ...everywhere(model, scope, 'without its bias', (norm) => (norm.bias ? { ...norm, bias: false } : norm)),
    ...everywhere(model, scope, 'without its weight', (norm) => (norm.weight ? { ...norm, weight: false } : norm)),
    ...everywhere(model, scope, 'with a weight', (norm) => (norm.weight ? norm : { ...norm, weight: true })),
  ],
};

const eps: Cause = {
  name: 'epsilon of norms',
  alternatives: (model, scope) => {
    const now: string[] = [];
    eachNorm(model, scope, (norm) => { now.push(exponential(norm.eps)); return norm; });
    return others([1e-5, 1e-6, 1e-12, 1e-8, 1e-7, 1e-3, 1e-4], (value) => everywhere(model, scope, instead(exponential(value), now), (norm) => (norm.eps === value ? norm : { ...norm, eps: value })));
  },
};

/** 1e-5 */
function exponential(x: number): string {
  return x.toExponential().replace('e+0', '');
}

const absence: Cause = {
  name: 'norm',
  alternatives: (model, scope) => roles.filter((role) => role !== 'final norm' || scope.output).flatMap((role) => alternative(`no ${role}`, eachNorm(model, scope, (norm, r) => (r === role ? undefined : norm)))),
};

/** The step's norm at another place, with its weights. */
const place: Cause = {
  name: 'place of the norm',
  alternatives: (model, scope) => {
    const names = { norm: 'norm', postNorm: 'post_norm', outNorm: 'out_norm' } as const;
    const words = { norm: 'before the branch', postNorm: 'behind the branch', outNorm: 'behind the sum with the skip' } as const;
    const keys = ['norm', 'postNorm', 'outNorm'] as const;
    return keys.flatMap((from) => keys.filter((to) => to !== from).flatMap((to) => {
      const moved = eachStep(model, scope, (step) => {
        const { [from]: norm, ...rest } = step;
        return norm && !step[to] ? { ...rest, [to]: norm } as ResidualStep : step;
      });
      const weights: WeightChange = (slot) => {
        const cut = slot.lastIndexOf(`.${names[to]}.`);
        return cut < 0 ? undefined : { from: `${slot.slice(0, cut)}.${names[from]}.${slot.slice(cut + names[to].length + 2)}` };
      };
      return alternative(`${words[to]} in place of ${words[from]}`, moved, weights);
    }));
  },
};

export const normCauses: readonly Cause[] = [offset, eps, kind, absence, place];
