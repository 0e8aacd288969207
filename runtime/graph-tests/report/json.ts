/** The report for programs: one object. */
import { count, exitCodeOf, type TestRun } from './run.ts';

export function jsonReport(run: TestRun): Readonly<Record<string, unknown>> {
  const { results, diagnostics, milliseconds } = run;
  const { 'not run': notRun, error: errors, ...found } = count(results);
  const exitCode = exitCodeOf(run);
  return {
    ok: exitCode === 0, exitCode, counts: { ...found, errors, notRun }, seconds: milliseconds / 1000, diagnostics,
    cases: results.map(({ name, file, location, status, milliseconds: time, findings }) => ({ name, file, line: location.line, status, seconds: time / 1000, findings })),
  };
}
