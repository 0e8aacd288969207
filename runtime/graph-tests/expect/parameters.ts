/** `parameters`: how many numbers the weights hold; a tied table counts once. */
import { checkBound, type Bound } from './bound.ts';
import { expectation } from './expectation.ts';

export const parameters = expectation<Bound>('parameters', async (context, wanted) => {
  const { graph } = await context.model();
  const count = graph.weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return checkBound(context, wanted, count, 'parameters');
});
