import type { Diagnostic } from '../diagnostics.ts';

/** Mistakes in a custom block or activation, found while lowering it. Caught by `lowerModel`. */
export class LoweringError extends Error {
  override readonly name = 'LoweringError';
  constructor(readonly diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map((d) => d.message).join('\n'));
  }
}
