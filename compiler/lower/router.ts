/** The choice of experts for each token, and their weights. */
import { add, arg, binary, constant, div, mul, select, unary } from '../graph/expressions.ts';
import { labelled, named, project } from './context.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { MixtureOfExperts, Router } from '../model.ts';

/** Below every score, and finite, since not every device can write an infinity. */
const lowest = -3e38;

/** choice i32[T, k] and weights f32[T, k] */
export interface Routing {
  readonly choice: Node;
  readonly weights: Node;
}

export function lowerRouter(ctx: LowerContext, x: Node, moe: MixtureOfExperts, slot: string): Routing {
  const { router, experts, topK } = moe;
  const { graph, model } = ctx;
  const logits = named(ctx, slot, project(ctx, x, slot, { rows: experts, columns: model.dim, bias: router.bias, derivation: 'experts x dim' }));
  return labelled(ctx, slot, () => {
    switch (router.order) {
      case 'topk_then_score': {
        const choice = choose(ctx, logits, moe, slot).choice;
        const chosen = graph.node({ op: 'take' }, [logits, choice]);
        return { choice, weights: finishWeights(ctx, score(ctx, router, chosen), router) };
      }
      case 'score_then_topk': {
        const scores = named(ctx, `${slot}.scores`, score(ctx, router, logits));
        const { choice, masked } = choose(ctx, scores, moe, slot);
        // An expert of a group that was not chosen counts as its masked score where that is a score (0), not a marker.
        const weighed = router.groupMask === 'zero' && !router.selectionBias ? masked : scores;
        return { choice, weights: finishWeights(ctx, graph.node({ op: 'take' }, [weighed, choice]), router) };
      }
      default: return router.order satisfies never;
    }
  });

  function choose(c: LowerContext, scores: Node, m: MixtureOfExperts, at: string): { readonly choice: Node; readonly masked: Node } {
    const biased = m.router.selectionBias
      ? c.graph.map([scores, c.graph.weight(`${at}.selection_bias`, [m.experts], 'experts')], add(arg(0), arg(1)))
      : scores;
    const masked = m.router.groups > 1 && m.router.topGroups < m.router.groups ? maskGroups(c, biased, m) : biased;
    return { choice: c.graph.node({ op: 'topk', k: topK }, [masked]), masked };
  }
}

function score(ctx: LowerContext, router: Router, logits: Node): Node {
  switch (router.score) {
    case 'softmax': return ctx.graph.softmax(logits);
    case 'sigmoid': return ctx.graph.unary('sigmoid', logits);
    default: return router.score satisfies never;
  }
}

/** Keeps the scores [T, E] of the best groups of experts. */
function maskGroups(ctx: LowerContext, scores: Node, { router, experts }: MixtureOfExperts): Node {
  const { graph } = ctx;
  const grouped = graph.reshape(scores, ['T', router.groups, experts / router.groups]);
  const best = graph.node({ op: 'topk', k: router.topGroups }, [groupScores(ctx, grouped, router)]);
  const open = graph.reshape(graph.node({ op: 'member', size: router.groups }, [best]), ['T', router.groups, 1]);
  const closed = router.groupMask === 'zero' ? 0 : lowest;
  return graph.reshape(graph.map([grouped, open], select(arg(1), arg(0), constant(closed))), ['T', experts]);
}

/** [T, groups, E / groups] -> [T, groups] */
function groupScores(ctx: LowerContext, grouped: Node, router: Router): Node {
  const { graph } = ctx;
  switch (router.groupScore) {
    case 'max': return graph.reduce('max', grouped, 2);
    case 'sum_top2': return graph.reduce('sum', graph.node({ op: 'take' }, [grouped, graph.node({ op: 'topk', k: 2 }, [grouped])]), 2);
    default: return router.groupScore satisfies never;
  }
}

/** Normalises and scales the weights [T, k] of the chosen experts. */
function finishWeights(ctx: LowerContext, weights: Node, router: Router): Node {
  const { graph } = ctx;
  if (!router.normalize) return graph.scale(weights, router.scale);
  const total = graph.reshape(graph.reduce('sum', weights, 1), ['T', 1]);
  const shifted = router.normEps === 0 ? arg(1) : add(arg(1), constant(router.normEps));
  const divisor = router.normMin === undefined ? shifted : binary('max', shifted, constant(router.normMin));
  const normalised = div(arg(0), divisor);
  return graph.map([weights, total], router.scale === 1 ? normalised : mul(normalised, constant(router.scale)));
}

/** sigmoid(gate) * x, the gate one number a token */
export function gateOutput(ctx: LowerContext, x: Node, gate: Node): Node {
  return ctx.graph.map([x, gate], mul(arg(0), unary('sigmoid', arg(1))));
}
