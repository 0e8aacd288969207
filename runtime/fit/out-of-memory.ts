/** Errors of the JavaScript engine and the system that say that memory ran out, in a user's words. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { thisMachine, type MachineMemory } from './machine.ts';

/** Whether an error says so. Node and V8 have no class of their own for it. */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ENOMEM' || code === 'ERR_WORKER_OUT_OF_MEMORY' || code === 'ERR_MEMORY_ALLOCATION_FAILED') return true;
  return error instanceof RangeError && /allocation failed|could not allocate|out of memory|invalid typed array length/i.test(error.message);
}

/** The error to throw in place of `error`: that memory ran out while something was done, or `error` itself. */
export async function asMemoryError(error: unknown, doing: string, machine?: MachineMemory): Promise<unknown> {
  if (!isOutOfMemory(error)) return error;
  const found = machine ?? await thisMachine();
  const state = found === undefined ? '' : `: the process has ${byteText(process.memoryUsage().rss)}, ${byteText(found.free)} of ${byteText(found.total)} are free`;
  return new PeelError(ExitCode.device, [{
    code: 'E903', severity: 'error', path: '', message: `memory ran out ${doing}${state}`, hint: 'peel plan tells what a model takes; a shorter --context or --quantize takes less',
  }]);
}
