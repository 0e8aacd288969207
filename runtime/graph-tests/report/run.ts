/** What a run of graph tests gave, and what it comes to. */
import { ExitCode, type Diagnostic } from '../../../compiler/diagnostics.ts';
import type { CaseResult, CaseStatus, PlacedFinding } from '../case.ts';

export interface TestRun {
  /** In the order of the cases. */
  readonly results: readonly CaseResult[];
  /** What is wrong with test files; their cases were not run. */
  readonly diagnostics: readonly Diagnostic[];
  readonly milliseconds: number;
  /** Whether what cannot be looked at on this machine counts as failed. */
  readonly strict: boolean;
}

export interface Counts extends Readonly<Record<CaseStatus, number>> {
  /** Passed cases of which an expectation could not be looked at. */
  readonly inPart: number;
  /** Files that --update wrote. */
  readonly written: number;
}

export function count(results: readonly CaseResult[]): Counts {
  const having = (status: CaseStatus): readonly CaseResult[] => results.filter((result) => result.status === status);
  const written = results.flatMap(({ findings }) => findings).filter(({ kind }) => kind === 'written').length;
  return {
    passed: having('passed').length, failed: having('failed').length, error: having('error').length, 'not run': having('not run').length,
    inPart: having('passed').filter(({ findings }) => findings.some(({ kind }) => kind === 'not run')).length, written,
  };
}

/** 70 for a mistake in Peel, 10 for test files that are wrong, 1 for a case that does not pass, else 0. */
export function exitCodeOf({ results, diagnostics, strict }: TestRun): ExitCode {
  if (results.some(({ internal }) => internal)) return ExitCode.internal;
  if (diagnostics.some(({ severity }) => severity === 'error')) return ExitCode.spec;
  const found = count(results);
  return found.failed + found.error > 0 || (strict && found['not run'] + found.inPart > 0) ? ExitCode.failed : ExitCode.done;
}

/** Findings that say why a case did not pass. */
export function reasons({ findings }: CaseResult): readonly PlacedFinding[] {
  return findings.filter(({ kind }) => kind === 'failed' || kind === 'error');
}

/** `1 case`, `2 cases`. */
export function plural(n: number, word: string): string {
  return `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
}

export function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
