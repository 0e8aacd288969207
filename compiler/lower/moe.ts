/** Mixture of experts: a router, the chosen experts' feed-forwards, and always-on shared ones. */
import { add, arg } from '../graph/expressions.ts';
import { labelled, named, project } from './context.ts';
import { feedForward, lowerFeedForward } from './ffn.ts';
import { gateOutput, lowerRouter } from './router.ts';
import type { LowerContext } from './context.ts';
import type { Node } from '../graph/types.ts';
import type { MixtureOfExperts } from '../model.ts';

/** x[T, dim] -> [T, dim] */
export function lowerMixture(ctx: LowerContext, x: Node, moe: MixtureOfExperts, slot: string): Node {
  const { graph, model } = ctx;
  const { experts, topK, router, shared } = moe;
  const { choice, weights } = lowerRouter(ctx, x, moe, `${slot}.router`);
  named(ctx, `${slot}.choice`, choice);
  named(ctx, `${slot}.weights`, weights);
  const each = graph.reshape(weights, ['T', topK, 1]);

  const input = router.apply === 'input' ? graph.mul(graph.reshape(x, ['T', 1, model.dim]), each) : x;
  const outputs = feedForward(ctx, input, moe.expert, `${slot}.experts`, (value, name, rows, columns, bias) =>
    labelled(ctx, `${slot}.experts.${name}`, () => {
      const y = graph.expertLinear(value, graph.weight(`${slot}.experts.${name}.weight`, [experts, rows, columns], `experts x ${rows} x ${columns}`), choice);
      if (!bias) return y;
      return graph.map([y, graph.gather(graph.weight(`${slot}.experts.${name}.bias`, [experts, rows]), choice)], add(arg(0), arg(1)));
    }));
  const routed = labelled(ctx, `${slot}.experts`, () =>
    graph.reduce('sum', router.apply === 'output' ? graph.mul(outputs, each) : outputs, 1));
  named(ctx, `${slot}.experts`, routed);
  if (!shared) return routed;

  const always = lowerFeedForward(ctx, x, shared, `${slot}.shared`);
  const gated = shared.gate
    ? gateOutput(ctx, always, project(ctx, x, `${slot}.shared.gate_out`, { rows: 1, columns: model.dim, bias: false }))
    : always;
  named(ctx, `${slot}.shared`, gated);
  return labelled(ctx, slot, () => graph.add(routed, gated));
}
