/** A number that is wanted exactly, between limits, or near another. */
import type { CaseContext, Finding } from '../case.ts';
import { failed } from './expectation.ts';

type Amount = number | string;
/** `bound` of schema/test.schema.json. */
export type Bound = Amount | { readonly min?: Amount; readonly max?: Amount; readonly near?: Amount; readonly within?: Amount };

export interface BoundOptions {
  /** Where the bound stands under the expectation. */
  readonly at?: string;
  /** Writes numbers (with a unit). */
  readonly show?: (n: number) => string;
  /** What its expressions may use besides params. */
  readonly names?: Readonly<Record<string, number>>;
}

/** What is wrong with `found`, if anything. */
export async function checkBound(
  context: CaseContext, bound: Bound, found: number, what: string, options: BoundOptions = {},
): Promise<Finding[]> {
  const { at = '', names = {}, show = (n) => n.toLocaleString('en', { maximumSignificantDigits: 15 }) } = options;
  const says = (wanted: string, key: string): Finding[] => [failed(`${what}: wanted ${wanted}, found ${show(found)}`, at + key)];
  if (typeof bound !== 'object') {
    const wanted = await context.number(bound, at, names);
    return found === wanted ? [] : says(show(wanted), '');
  }
  const { min, max, near, within } = bound;
  if (near !== undefined && within !== undefined) {
    const [middle, distance] = [await context.number(near, `${at}/near`, names), await context.number(within, `${at}/within`, names)];
    if (!(Math.abs(found - middle) <= distance)) return says(`${show(middle)} within ${show(distance)}`, '/near');
  }
  const least = min === undefined ? -Infinity : await context.number(min, `${at}/min`, names);
  if (!(found >= least)) return says(`at least ${show(least)}`, '/min');
  const most = max === undefined ? Infinity : await context.number(max, `${at}/max`, names);
  return found <= most ? [] : says(`at most ${show(most)}`, '/max');
}
