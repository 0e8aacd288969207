/** `flops_per_token`: multiplications and additions of one more token when the context is full but for it. */
import { decodeStep, planCost } from '../../../compiler/cost.ts';
import { checkBound, type Bound } from './bound.ts';
import { expectation } from './expectation.ts';

export const flopsPerToken = expectation<Bound>('flops_per_token', async (context, wanted) => {
  const plan = await context.plan();
  const { flops } = planCost(plan, decodeStep(plan.capacity.context - 1));
  return checkBound(context, wanted, Math.round(flops), `FLOPs of a token after ${plan.capacity.context - 1} others`, { names: { S: plan.capacity.context } });
});
