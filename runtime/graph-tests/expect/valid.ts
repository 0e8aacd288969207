/** `valid: true`: the spec has no errors. `valid: false`: it has some. */
import { formatDiagnostic, type Diagnostic } from '../../../compiler/diagnostics.ts';
import { checkSpec } from '../../../compiler/resolve.ts';
import { pointerSegments } from '../../../compiler/source.ts';
import type { Finding, TestCase } from '../case.ts';
import { expectation, failed } from './expectation.ts';

/** Most errors of a spec that are shown for one case. */
const MOST_SHOWN = 5;

export const valid = expectation<boolean>('valid', async (context, wanted) => {
  const { spec, diagnostics } = await context.compiled();
  // Of a family's spec, which has no values of its own, what can be known without them is checked.
  const known = spec && diagnostics.some(isWithoutValue) && isAlone(context.test) ? checkSpec(spec) : diagnostics;
  const errors = known.filter((d) => d.severity === 'error');
  if (wanted) return invalidSpec(errors, context.test);
  return errors.length > 0 ? [] : [failed('wanted a spec with errors, found none')];
});

/** Why the spec is not valid; params that the case gives no values are said in one. */
export function invalidSpec(errors: readonly Diagnostic[], test: TestCase): Finding[] {
  const without = test.config === undefined && test.weights === undefined ? errors.filter(isWithoutValue) : [];
  const others = errors.filter((d) => !without.includes(d));
  const names = without.map(({ path }) => pointerSegments(path).at(-1) ?? '');
  const values = without.length === 0 ? [] : [failed(`wanted a valid spec, found params without values: ${names.join(', ')}; give them in \`with\`, or name a config.json in \`config\``)];
  const found = others.slice(0, MOST_SHOWN).map((d) => ({ ...failed(`wanted a valid spec, found ${formatDiagnostic(d)}`), ...(d.location ? { spec: d.location } : {}) }));
  return [...values, ...found, ...(others.length > MOST_SHOWN ? [failed(`and ${others.length - MOST_SHOWN} more errors of the spec`)] : [])];
}

function isWithoutValue({ code }: Diagnostic): boolean {
  return code === 'E501';
}

/** Whether a case gives a spec nothing at all. */
function isAlone(test: TestCase): boolean {
  return test.config === undefined && test.weights === undefined && Object.keys(test.with).length === 0;
}
