/** What a comparison found, and whether it is good enough. */
import { measure, type Measures } from './measures.ts';

/** What counts as equal. */
export interface Limits {
  /** Largest difference of a logit; of other values, in terms of their size (`maxScaled`). */
  readonly tolerance: number;
  /** Where numbers are rounded on purpose: the largest NMSE, of every value, in place of the tolerance. */
  readonly nmse?: number;
}

/** How far `name` is from what was expected. */
export interface Difference extends Measures {
  readonly name: string;
  /** Whether the difference is within the limits. */
  readonly close: boolean;
}

export interface TokenComparison {
  readonly expected: readonly number[];
  /** The greedy choice at each place, given the expected tokens before it. */
  readonly found: readonly number[];
  /** Place of the first difference; -1 where there is none. */
  readonly firstDifference: number;
}

export interface ComparisonReport extends Limits {
  /** In the order of computation: embeddings, hidden.0, ..., final, logits. */
  readonly outputs: readonly Difference[];
  readonly tokens?: TokenComparison;
  /** Logits of the same ids computed otherwise, compared with those of one prefill. */
  readonly agreement: readonly Difference[];
  /** First output beyond the limits. */
  readonly firstDivergence?: string;
  readonly passed: boolean;
}

const isDecisive = (name: string): boolean => name === 'logits' || name === 'gen_logits';

/** Whether a value is within the limits: logits by the tolerance itself, others in terms of their size. */
export function agrees(name: string, measures: Measures, { tolerance, nmse }: Limits): boolean {
  if (nmse !== undefined) return measures.nmse <= nmse;
  return (isDecisive(name) ? measures.maxAbs : measures.maxScaled) <= tolerance;
}

/** `shape` of both, if it is known. */
export function difference(name: string, found: ArrayLike<number>, expected: ArrayLike<number>, limits: Limits, shape?: readonly number[]): Difference {
  const measures = measure(found, expected, shape);
  return { name, ...measures, close: agrees(name, measures, limits) };
}

/** The most that rounding makes of a difference: beyond the tolerance it may be, but there is nothing wrong to be found. */
const roundingNmse = 1e-10;

/** Whether what failed differs by no more than other orders of rounding do. */
export function isRounding({ outputs, passed, tokens, plain }: ComparisonReport & { readonly plain?: Difference }): boolean {
  return !passed && (tokens === undefined || tokens.firstDifference < 0) && [...outputs, ...(plain ? [plain] : [])].every((d) => d.nmse <= roundingNmse);
}

/** The shape of `rows` tokens' values. */
export function rowsOf(data: ArrayLike<number>, rows: number): number[] {
  return [rows, data.length / Math.max(1, rows)];
}

/**
 * What decides: the logits where there are any, else the last output, strictly by the tolerance; that all ways of computing agree; and the tokens,
 * where nothing is rounded on purpose.
 */
export function verdict(limits: Limits, outputs: readonly Difference[], agreement: readonly Difference[], tokens: TokenComparison | undefined): ComparisonReport {
  const decisive = outputs.filter((d) => isDecisive(d.name));
  const judged = decisive.length > 0 ? decisive : outputs.slice(-1);
  const within = (d: Difference): boolean => (limits.nmse === undefined ? d.maxAbs <= limits.tolerance : d.close);
  const passed = judged.length > 0 && [...judged, ...agreement].every(within) && outputs.every((d) => !Number.isNaN(d.maxAbs))
    && (tokens === undefined || limits.nmse !== undefined || tokens.firstDifference < 0);
  const first = passed ? undefined : outputs.find((d) => !d.close);
  return { ...limits, outputs, agreement, passed, ...(tokens === undefined ? {} : { tokens }), ...(first === undefined ? {} : { firstDivergence: first.name }) };
}
