import type { CaseContext, Expectation, Finding } from '../case.ts';

/** An expectation whose values have the type `Wanted`, as the schema has made sure of. */
export function expectation<Wanted>(key: string, run: (context: CaseContext, wanted: Wanted) => Promise<readonly Finding[]>): Expectation {
  return { key, run: (context, wanted) => run(context, wanted as Wanted) };
}

export function failed(message: string, at = ''): Finding {
  return { kind: 'failed', at, message };
}
