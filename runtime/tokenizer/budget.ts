/** Time limits on code that a downloaded file controls: regular expressions and templates. */
import vm from 'node:vm';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';

export function tokenizerError(code: string, message: string, more: { hint?: string; path?: string; file?: string } = {}): PeelError {
  return new PeelError(ExitCode.tokenizer, [{
    code, severity: 'error', path: more.path ?? '', message,
    ...(more.hint === undefined ? {} : { hint: more.hint }), ...(more.file === undefined ? {} : { location: { file: more.file, line: 1, column: 1 } }),
  }]);
}

/** A function that runs others for at most some milliseconds each. The limit interrupts a regular expression too, which no counter could. */
export function timeLimit(what: string): <T>(milliseconds: number, work: () => T) => T {
  const holder: { work: (() => void) | undefined } = { work: undefined };
  const context = vm.createContext(holder, { microtaskMode: 'afterEvaluate' });
  const script = new vm.Script('work()');
  return <T>(milliseconds: number, work: () => T): T => {
    let result: { value: T } | undefined;
    holder.work = () => { result = { value: work() }; };
    try {
      script.runInContext(context, { timeout: milliseconds });
    } catch (error) {
      // The error comes from the other context: not an instance of this one's Error.
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
        throw tokenizerError('E806', `${what} took more than ${milliseconds} ms`, { hint: 'a pattern or template of the model may be wrong, or the text too long' });
      }
      throw error;
    } finally {
      holder.work = undefined;
    }
    return (result as { value: T } | undefined ?? { value: undefined as T }).value;
  };
}
