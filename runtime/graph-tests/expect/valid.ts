/** `valid: true`: the spec has no errors. `valid: false`: it has some. */
import { formatDiagnostic, type Diagnostic } from '../../../compiler/diagnostics.ts';
import type { Finding } from '../case.ts';
import { expectation, failed } from './expectation.ts';

/** Most errors of a spec that are shown for one case. */
const MOST_SHOWN = 5;

export const valid = expectation<boolean>('valid', async (context, wanted) => {
  const errors = (await context.compiled()).diagnostics.filter((d) => d.severity === 'error');
  if (wanted) return invalidSpec(errors);
  return errors.length > 0 ? [] : [failed('wanted a spec with errors, found none')];
});

export function invalidSpec(errors: readonly Diagnostic[]): Finding[] {
  const found = errors.slice(0, MOST_SHOWN).map((d) => ({ ...failed(`wanted a valid spec, found ${formatDiagnostic(d)}`), ...(d.location ? { spec: d.location } : {}) }));
  return errors.length > MOST_SHOWN ? [...found, failed(`and ${errors.length - MOST_SHOWN} more errors of the spec`)] : found;
}
