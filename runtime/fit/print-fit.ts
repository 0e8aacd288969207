/** What a model takes of memory, as text for a reader. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { adviceText, verdict, type Fit } from './fit.ts';

export function printFit(fit: Fit): string {
  const { need, limit } = fit;
  const rows: [string, number, string][] = [
    ['weights', need.weights, ''],
    ['KV cache', need.states, 'and other states, with a full context'],
    ['activations', need.activations, ''],
    ['constants', need.constants, ''],
    ['working', need.working, need.device === 'webgpu' ? 'the driver and its kernels' : 'threads, and what kernels work in'],
    ['process', need.process, 'Node, Peel, the head of the file, the tokenizer'],
    ['loading', need.loading, 'for a moment, while weights are read'],
    ...(need.adapter > 0 ? [['on the GPU', need.adapter, 'weights, KV cache, activations and constants'] satisfies [string, number, string]] : []),
    ['peak on load', need.peakLoad, ''],
    ['peak running', need.peakRunning, ''],
  ];
  const shown = rows.filter(([name, bytes]) => bytes > 0 || name === 'weights');
  return [
    `memory of this machine, ${need.device === 'webgpu' && need.adapter > 0 ? 'beside the GPU\'s' : 'all in all'} (loading, working and process are estimates)`,
    ...shown.map(([name, bytes, note]) => `  ${name.padEnd(13)} ${byteText(bytes).padStart(9)}${note === '' ? '' : `  ${note}`}`),
    ...(limit ? [`  ${'in one piece'.padEnd(13)} ${byteText(limit.bytes).padStart(9)}  of ${byteText(limit.most)} that ${limit.place} may have`] : []),
    `  ${verdict(fit)}`,
    ...(fit.fits ? [] : [`  ${adviceText(fit)}`]),
  ].join('\n');
}
