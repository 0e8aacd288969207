/** `operators: { softmax: 2, total: { max: 100 } }`: how many of them the lowered graph has, before any pass. */
import { pointer } from '../../../compiler/source.ts';
import type { Finding } from '../case.ts';
import { checkBound, type Bound } from './bound.ts';
import { expectation } from './expectation.ts';

export const operators = expectation<Readonly<Record<string, Bound>>>('operators', async (context, wanted) => {
  const { nodes } = (await context.model()).graph;
  const findings: Finding[] = [];
  for (const [name, bound] of Object.entries(wanted)) {
    const found = name === 'total' ? nodes : nodes.filter(({ operator }) => operator.op === name);
    findings.push(...await checkBound(context, bound, found.length, name === 'total' ? 'operators' : `operators \`${name}\``, { at: pointer('', name) }));
  }
  return findings;
});
