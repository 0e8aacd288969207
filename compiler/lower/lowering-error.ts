/** Mistakes in a custom block or activation, found while lowering it. */
import { nearest } from '../nearest.ts';
import type { DiagnosticCode } from '../diagnostic-codes.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { ExpressionError, Span } from '../expression/index.ts';

/** Caught by `lowerModel`. */
export class LoweringError extends Error {
  override readonly name = 'LoweringError';
  constructor(readonly diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map((d) => d.message).join('\n'));
  }
}

/** `span` is the part of the expression at `path` that is wrong. */
export function fail(code: DiagnosticCode, path: string, message: string, hint?: string, span?: Span): never {
  throw new LoweringError([{ code, severity: 'error', path, message, ...(hint === undefined ? {} : { hint }), ...(span ? { span } : {}) }]);
}

/** Fails with an expression's own error. */
export function failExpression(text: string, error: ExpressionError, path: string): never {
  return fail(error.code, path, `in \`${text}\`: ${error.message}`, error.hint, error.at);
}

export function failUnknown(what: string, name: string, known: Iterable<string>, code: DiagnosticCode, path: string, span?: Span): never {
  const close = nearest(name, known);
  return fail(code, path, `there is no ${what} \`${name}\``, close === undefined ? undefined : `did you mean \`${close}\`?`, span);
}
