/** Which of the cases are run. */
import type { TestCase } from './case.ts';

/** Part `index` (from 1) of `count`. */
export interface Shard { readonly index: number; readonly count: number }

/** The cases whose file or name holds `filter` (in any case of letters); of those, every `count`-th, so that the shards are about as long and hold each case once. */
export function selectCases(cases: readonly TestCase[], { filter, shard }: { readonly filter?: string; readonly shard?: Shard }): TestCase[] {
  const wanted = filter?.toLowerCase();
  const named = wanted === undefined ? cases : cases.filter(({ file, name }) => `${file} ${name}`.toLowerCase().includes(wanted));
  return shard === undefined ? [...named] : named.filter((_case, at) => at % shard.count === shard.index - 1);
}
