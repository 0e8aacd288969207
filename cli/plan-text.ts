/** A plan as a reviewer reads it: kernels in order, fusions and refusals with their reasons, bytes. */
import { bufferNames, printKernel } from '../compiler/kernels/print.ts';
import type { ExecutionPlan, FusionRecord } from '../compiler/plan.ts';
import { bytes, table } from './output.ts';

export function printPlan(plan: ExecutionPlan): string[] {
  const { memory, target, capacity } = plan;
  const names = bufferNames(plan.buffers);
  const kinds = new Map<string, number>();
  for (const kernel of plan.kernels) kinds.set(kernel.kind, (kinds.get(kernel.kind) ?? 0) + 1);
  const count = [...kinds].map(([kind, n]) => `${n} ${kind}`).join(', ');
  return [
    `${plan.model} for ${target.device} (${target.name}): ${plan.kernels.length} kernels (${count})`,
    `at most ${capacity.maxTokens} tokens a step, ${capacity.context} in all`,
    '', 'Kernels',
    ...plan.kernels.flatMap((kernel) => printKernel(kernel, names).split('\n').map((text) => `  ${text}`)),
    '', 'Fusions', ...fusions(plan.fusions.filter((f) => f.fired)),
    '', 'Not fused', ...fusions(plan.fusions.filter((f) => !f.fired)),
    '', 'Memory',
    ...table(['what', 'bytes'], [
      ['weights', bytes(memory.weights)], ['constants', bytes(memory.constants)], ['states', `${bytes(memory.states)}`], ['states, per token', bytes(memory.stateBytesPerToken)],
      ['activations', bytes(memory.activations)], ['activations without reuse', bytes(memory.activationsUnshared)], ['peak', bytes(memory.peak)],
    ]).map((text) => `  ${text}`),
  ];
}

/** Records that differ only by their layer are one line. */
function fusions(records: readonly FusionRecord[]): string[] {
  const groups = new Map<string, { record: FusionRecord; origins: string[] }>();
  for (const record of records) {
    const key = `${record.pass}\0${record.origin.replace(/layers\.\d+\./g, 'layers.*.')}\0${record.reason.replace(/layers\.\d+\./g, 'layers.*.')}`;
    const group = groups.get(key);
    if (group) group.origins.push(record.origin);
    else groups.set(key, { record, origins: [record.origin] });
  }
  if (groups.size === 0) return ['  none'];
  return [...groups.values()].map(({ record, origins }) =>
    `  ${record.pass}  ${origins.length > 1 ? `${record.origin.replace(/layers\.\d+\./g, 'layers.*.')} (${origins.length} times)` : record.origin}: ${record.reason.replace(/layers\.\d+\./g, origins.length > 1 ? 'layers.*.' : '$&')}`);
}
