/** A number that is wanted exactly, between limits, or near another. */
import type { CaseContext, Finding } from '../case.ts';
import { failed } from './expectation.ts';

type Amount = number | string;
/** `bound` of schema/test.schema.json. */
export type Bound = Amount | { readonly min?: Amount; readonly max?: Amount; readonly near?: Amount; readonly within?: Amount };

/** What is wrong with `found`, if anything. `show` writes numbers (with a unit); `at` is where the bound stands under the expectation. */
export async function checkBound(
  context: CaseContext, bound: Bound, found: number, what: string, options: { readonly at?: string; readonly show?: (n: number) => string } = {},
): Promise<Finding[]> {
  const { at = '', show = (n) => n.toLocaleString('en', { maximumSignificantDigits: 15 }) } = options;
  const says = (wanted: string, key: string): Finding[] => [failed(`${what}: wanted ${wanted}, found ${show(found)}`, at + key)];
  if (typeof bound !== 'object') {
    const wanted = await context.number(bound, at);
    return found === wanted ? [] : says(show(wanted), '');
  }
  const { min, max, near, within } = bound;
  if (near !== undefined && within !== undefined) {
    const [middle, distance] = [await context.number(near, `${at}/near`), await context.number(within, `${at}/within`)];
    if (!(Math.abs(found - middle) <= distance)) return says(`${show(middle)} within ${show(distance)}`, '/near');
  }
  const least = min === undefined ? -Infinity : await context.number(min, `${at}/min`);
  if (!(found >= least)) return says(`at least ${show(least)}`, '/min');
  const most = max === undefined ? Infinity : await context.number(max, `${at}/max`);
  return found <= most ? [] : says(`at most ${show(most)}`, '/max');
}
