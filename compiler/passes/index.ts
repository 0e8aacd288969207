/** The passes in order, and how they are run. */
import { verifyGraph } from '../graph/verify.ts';
import { checkSchedule } from '../kernels/verify.ts';
import { closeSchedule, openSchedule } from '../kernels/sources.ts';
import { Alike } from './alike.ts';
import { attentionPass } from './attention.ts';
import { chainedNestsPass } from './chained-nests.ts';
import { commonSubexpressionsPass } from './graph/common-subexpressions.ts';
import { deadCodePass } from './graph/dead-code.ts';
import { foldConstantsPass } from './graph/fold-constants.ts';
import { epiloguePass } from './epilogue.ts';
import { forwardCopiesPass } from './forward-copies.ts';
import { gatedProductPass } from './gated-product.ts';
import { headPartsPass } from './head-parts.ts';
import { inlinePass, inlineRestPass } from './inline.ts';
import { linearInputPass } from './linear-input.ts';
import { rotaryTablesPass } from './rotary-tables.ts';
import { siblingLinearsPass } from './sibling-linears.ts';
import { siblingNestsPass } from './sibling-nests.ts';
import type { KernelReads } from './workspace.ts';
import type { Graph } from '../graph/types.ts';
import type { Schedule } from '../kernels/types.ts';
import type { GraphPass, KernelPass, PipelineContext } from './types.ts';

export const graphPasses: readonly GraphPass[] = [foldConstantsPass, commonSubexpressionsPass, deadCodePass];
export const kernelPasses: readonly KernelPass[] = [
  attentionPass, rotaryTablesPass, inlinePass, forwardCopiesPass, gatedProductPass, headPartsPass, siblingLinearsPass, epiloguePass, inlineRestPass, linearInputPass, chainedNestsPass, siblingNestsPass,
];

const isOn = (name: string, { fuse }: PipelineContext): boolean => (typeof fuse === 'boolean' ? fuse : !fuse.without.includes(name));

/** Dead code goes even without fusion: outputs that nobody asked for must not cost anything. */
export function runGraphPasses(graph: Graph, context: PipelineContext): Graph {
  return graphPasses.reduce((before, pass) => {
    if (pass !== deadCodePass && !isOn(pass.name, context)) return before;
    const after = pass.run(before);
    context.onGraphPass?.(pass.name, verifyGraph(after, pass.name));
    return after;
  }, graph);
}

export function runKernelPasses(schedule: Schedule, graph: Graph, context: PipelineContext): Schedule {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]));
  let open = openSchedule(schedule);
  const reads: KernelReads = new WeakMap();
  const alike = new Alike();
  context.onPass?.('schedule', schedule);
  for (const pass of context.passes ?? kernelPasses) {
    if (!isOn(pass.name, context)) continue;
    open = pass.run(open, {
      target: context.target, reads, alike, node: (id) => nodes.get(id),
      record: (fired, origin, reason) => { if (reason !== '') context.record({ pass: pass.name, fired, origin, reason }); },
    });
    if (context.onPass) context.onPass(pass.name, checkSchedule(closeSchedule(open), pass.name));
  }
  return closeSchedule(open);
}
