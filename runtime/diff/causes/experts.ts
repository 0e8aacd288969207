/** Mixtures of experts: how they are chosen and weighed. */
import type { MixtureOfExperts, Router } from '../../../compiler/model.ts';
import { alternative, eachBody, others, show } from './change.ts';
import type { Alternative, Cause } from './types.ts';

const router: Cause = {
  name: 'router of the experts',
  alternatives: (model, scope) => {
    const to = (text: string, change: (router: Router, moe: MixtureOfExperts) => Router): Alternative[] => alternative(text, eachBody(model, scope, (body) => {
      if (body.kind !== 'moe') return body;
      const next = change(body.router, body);
      return next === body.router ? body : { ...body, router: next };
    }));
    /** Another value of one property. */
    const set = <K extends keyof Router>(key: K, value: Router[K], text: string): Alternative[] => to(text, (r) => (r[key] === value ? r : { ...r, [key]: value }));
    return [
      ...set('score', 'softmax', 'softmax in place of a sigmoid'), ...set('score', 'sigmoid', 'a sigmoid in place of softmax'),
      ...set('normalize', true, 'weights that sum to 1'), ...set('normalize', false, 'weights as they are, not summing to 1'),
      ...set('order', 'score_then_topk', 'scores of all experts, then the best'), ...set('order', 'topk_then_score', 'the best experts, then scores among them'),
      ...others([1, 2.5, 16], (value) => set('scale', value, `weights times ${show(value)}`)),
      ...set('selectionBias', true, 'with a bias of the choice'), ...set('selectionBias', false, 'without a bias of the choice'),
      ...set('bias', true, 'with a bias'), ...set('bias', false, 'without a bias'),
      ...set('groupScore', 'max', 'groups by their best expert'), ...set('groupScore', 'sum_top2', 'groups by their two best experts'),
      ...set('groupMask', 'zero', 'experts of other groups score 0'), ...set('groupMask', 'minus_infinity', 'experts of other groups are out'),
      ...set('apply', 'output', 'weights on what the experts give'), ...set('apply', 'input', 'weights on what the experts get'),
      ...to('without groups', (r) => (r.groups === 1 ? r : { ...r, groups: 1, topGroups: 1 })),
    ];
  },
};

const experts: Cause = {
  name: 'experts',
  alternatives: (model, scope) => {
    const to = (text: string, change: (moe: MixtureOfExperts) => MixtureOfExperts): Alternative[] => alternative(text, eachBody(model, scope, (body) => (body.kind === 'moe' ? change(body) : body)));
    return [
      ...[1, -1].flatMap((by) => to(`${by > 0 ? 'one more' : 'one less'} for each token`, (moe) => (moe.topK + by >= 1 && moe.topK + by <= moe.experts ? { ...moe, topK: moe.topK + by } : moe))),
      ...to('a gate on the shared ones, or none, the other way', (moe) => (moe.shared ? { ...moe, shared: { ...moe.shared, gate: !moe.shared.gate } } : moe)),
      ...to('none that are shared', (moe) => {
        const { shared, ...rest } = moe;
        return shared ? rest : moe;
      }),
    ];
  },
};

export const expertCauses: readonly Cause[] = [router, experts];
