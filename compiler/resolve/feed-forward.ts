import type { FeedForward, MixtureOfExperts, Router } from '../model.ts';
import { indivisible } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import { resolveActivation } from './activation.ts';
import { biases } from './attention.ts';
import type { LayerContext } from './layer-context.ts';
import { resolveNorm } from './norm.ts';

/** `base` supplies what is absent: a shared expert is as the experts are, unless it says otherwise. */
export function resolveFeedForward(field: Cursor, context: LayerContext, base?: FeedForward): FeedForward {
  const gated = field.get('gated').boolean(base?.gated ?? false);
  const clamp = field.get('clamp').numberIn({ above: 0 }) ?? base?.clamp;
  const alpha = field.get('alpha').number() ?? base?.alpha;
  const midNorm = resolveNorm(field.get('mid_norm'), context.norm) ?? base?.midNorm;
  const activation = field.get('activation');
  if (!base && !activation.present) activation.missing();
  const bias = field.get('bias').present ? biases(field.get('bias'), ['up', 'gate', 'down']) : base?.bias ?? { up: false, gate: false, down: false };
  return {
    kind: 'ffn',
    hidden: field.get('hidden').requiredDimension(),
    activation: base && !activation.present ? base.activation : resolveActivation(activation, context.activations, 'identity'),
    gated,
    bias: gated ? bias : { ...bias, gate: false },
    ...(clamp === undefined ? {} : { clamp }), ...(alpha === undefined ? {} : { alpha }),
    upOffset: field.get('up_offset').number() ?? base?.upOffset ?? 0,
    ...(midNorm ? { midNorm } : {}),
  };
}

export function resolveMixture(field: Cursor, context: LayerContext): MixtureOfExperts {
  const experts = field.get('experts').requiredDimension(1, 65_536);
  const topK = field.get('top_k').requiredDimension(1, 65_536);
  if (topK > experts) field.get('top_k').report('E304', `a token cannot use ${topK} of ${experts} experts`);
  const expertField = field.get('expert');
  if (!expertField.present) expertField.missing();
  const expert = resolveFeedForward(expertField, context);
  const shared = field.get('shared');
  const hidden = shared.get('hidden').number() ?? 0;
  const hasShared = shared.present && shared.get('when').boolean(true) && hidden !== 0;
  return {
    kind: 'moe', experts, topK, expert,
    router: resolveRouter(field.get('router'), experts, topK),
    ...(hasShared ? { shared: { ...resolveFeedForward(shared, context, expert), gate: shared.get('gate').boolean(false) } } : {}),
  };
}

function resolveRouter(field: Cursor, experts: number, topK: number): Router {
  const groups = field.get('groups').dimension(1, 65_536) ?? 1;
  const topGroups = field.get('top_groups').dimension(1, 65_536) ?? groups;
  const normMin = field.get('norm_min').numberIn({ from: 0 });
  if (indivisible(experts, groups)) field.get('groups').report('E304', `${experts} experts do not divide into ${groups} groups`);
  else if (topGroups > groups) field.get('top_groups').report('E304', `${topGroups} groups cannot be chosen of ${groups}`);
  else if (groups > 1 && topGroups * (experts / groups) < topK) field.get('top_groups').report('E304', `groups of ${experts / groups} experts, ${topGroups} of them chosen, cannot supply ${topK}`);
  const groupScore = field.get('group_score').choice(['max', 'sum_top2'] as const) ?? 'max';
  if (groupScore === 'sum_top2' && groups > 1 && experts / groups < 2) field.get('group_score').report('E304', 'groups of one expert have no two best');
  return {
    score: field.get('score').choice(['softmax', 'sigmoid'] as const) ?? 'softmax',
    order: field.get('order').choice(['score_then_topk', 'topk_then_score'] as const) ?? 'score_then_topk',
    bias: field.get('bias').boolean(false),
    selectionBias: field.get('selection_bias').boolean(false),
    groups, topGroups, groupScore,
    groupMask: field.get('group_mask').choice(['zero', 'minus_infinity'] as const) ?? 'zero',
    normalize: field.get('normalize').boolean(false),
    normEps: field.get('norm_eps').numberIn({ from: 0 }) ?? 0,
    ...(normMin === undefined ? {} : { normMin }),
    scale: field.get('scale').number() ?? 1,
    apply: field.get('apply').choice(['output', 'input'] as const) ?? 'output',
  };
}
