/** Mistakes in a custom block or activation, found while lowering it. */
import { LoweringShapeError } from '../graph/builder.ts';
import { nearest } from '../nearest.ts';
import type { DiagnosticCode } from '../diagnostic-codes.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { ExpressionError, Span } from '../expression/index.ts';

/** Caught by `Problems`. Without diagnostics where it follows from a failure that is reported already. */
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

/** Mistakes of a whole model. What several layers have in common is listed once. */
export class Problems {
  private readonly found = new Map<string, Diagnostic>();

  get list(): readonly Diagnostic[] {
    return [...this.found.values()];
  }
  get any(): boolean {
    return this.found.size > 0;
  }

  /** Runs `build`; undefined where it fails by a mistake in the spec, which is kept. */
  collect<R>(build: () => R): R | undefined {
    try {
      return build();
    } catch (error) {
      for (const d of diagnosticsOf(error)) {
        const key = JSON.stringify([d.code, d.path, d.span]);
        if (!this.found.has(key)) this.found.set(key, d);
      }
      return undefined;
    }
  }
}

/** The diagnostics of a mistake in the spec; any other error is thrown on. */
function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (error instanceof LoweringError) return error.diagnostics;
  if (error instanceof LoweringShapeError) return [{ code: 'E601', severity: 'error', path: error.origin.path ?? '', message: `${error.origin.label}: ${error.message}` }];
  throw error;
}
