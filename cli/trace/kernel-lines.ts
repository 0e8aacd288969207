/** Times of kernels as a table, up to 120 columns wide. */
import type { KernelReport, StepTiming } from '../../runtime/trace/kernels.ts';
import { bytes, table } from '../output.ts';
import { cut, percent } from './text.ts';

export function kernelLines({ how, repetitions, prompt, token, bandwidth }: KernelReport): string[] {
  const milliseconds = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 1 ? x.toFixed(2) : x.toFixed(3));
  const describe = (what: string, { step, kernels }: StepTiming): string => `${what}: ${milliseconds(step)} ms, its kernels ${milliseconds(kernels)} ms`;
  const rate = (size: number | undefined, time: number): number => (size === undefined || time === 0 ? NaN : (size / time) * 1000);
  const speed = (x: number): string => (Number.isNaN(x) ? '' : (x / 1e9).toFixed(x >= 1e11 ? 0 : x >= 1e9 ? 1 : 2));
  const withBytes = prompt.rows.some((row) => row.bytes !== undefined);
  const main = token ?? prompt;
  const rows = prompt.rows.map((row, n) => {
    const one = token?.rows[n];
    const shown = main.rows[n] ?? row;
    const moved = rate(shown.bytes, shown.milliseconds);
    return [
      row.kind, cut(row.label, 28), row.layers === '' ? '' : cut(row.layers, 12), cut(row.shape, withBytes ? 26 : 40), milliseconds(row.milliseconds), percent(row.milliseconds / prompt.kernels),
      ...(token && one ? [milliseconds(one.milliseconds), percent(one.milliseconds / token.kernels)] : []),
      ...(withBytes ? [bytes(shown.bytes ?? 0), speed(moved), ...(bandwidth ? [percent(moved / bandwidth.bytesPerSecond)] : [])] : []),
    ];
  });
  const head = ['kernel', 'label', 'layers', 'shape', 'prompt', '%', ...(token ? ['token', '%'] : []), ...(withBytes ? ['bytes', 'GB/s', ...(bandwidth ? ['% read'] : [])] : [])];
  return [
    '', `kernels, in ms: ${[describe(`prompt of ${prompt.tokens}`, prompt), ...(token ? [describe(`one token after ${token.past}`, token)] : [])].join('; ')}`,
    `${repetitions === 1 ? 'one measurement' : `medians of ${repetitions}`}: ${how}`,
    ...(withBytes ? [`bytes and GB/s of the ${token ? 'token' : 'prompt'}${bandwidth ? `; % read: of the ${speed(bandwidth.bytesPerSecond)} GB/s that ${bandwidth.threads === 1 ? 'one thread reads' : `${bandwidth.threads} threads read`}, more where a cache holds them` : ''}`] : []),
    ...table(head, rows),
  ];
}
