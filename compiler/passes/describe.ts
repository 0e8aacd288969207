/** Words for what a kernel computes, for records of fusions. */
import type { Kernel } from '../kernels/types.ts';
import type { KernelPassContext } from './types.ts';

const moves: ReadonlySet<string> = new Set(['reshape', 'slice', 'transpose', 'concat', 'tail', 'row', 'input', 'weight', 'constant']);

/** Plainer names than the operators' own. */
const words: Readonly<Record<string, string>> = { map: 'arithmetic', gather: 'look-up', rope: 'rotation', cache: 'write to the cache' };

/** `norm and arithmetic`: the operators that the kernel computes, in order, each once; those that only move data where there are no others. */
export function operatorsOf(kernel: Kernel, node: KernelPassContext['node']): string {
  const all = [...new Set(kernel.nodes.flatMap((id) => words[node(id)?.operator.op ?? ''] ?? node(id)?.operator.op ?? []))];
  const working = all.filter((op) => !moves.has(op));
  const named = working.length > 0 ? working : all;
  const [last, ...before] = [...named].reverse();
  if (last === undefined) return kernel.kind;
  return before.length === 0 ? last : `${before.reverse().join(', ')} and ${last}`;
}
