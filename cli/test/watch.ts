/** --watch: runs again the cases that depend on what changed, until the user ends it. */
import { PeelError } from '../../compiler/diagnostics.ts';
import type { CaseResult, TestCase } from '../../runtime/graph-tests/case.ts';
import { findTestFiles, isTestFile } from '../../runtime/graph-tests/find.ts';
import { loadTests } from '../../runtime/graph-tests/load.ts';
import { plural } from '../../runtime/graph-tests/report/run.ts';
import { selectCases } from '../../runtime/graph-tests/select.ts';
import { nextChange } from '../../runtime/graph-tests/watch.ts';
import { note, reportDiagnostics } from '../output.ts';
import { runAndReport, type TestFlags } from './run.ts';

export async function watchTests(names: readonly string[], first: readonly CaseResult[], flags: TestFlags, started: number): Promise<never> {
  let since = started;
  /** What each case read when it ran last. */
  const read = new Map(first.map((result) => [keyOf(result), result.files]));
  for (;;) {
    const files = [...new Set([...testFiles(names), ...[...read.values()].flat()])];
    const change = nextChange(files, names, isTestFile, since);
    note(`watching ${plural(files.length, 'file')}; Ctrl-C ends it`);
    const changed = await change;
    since = Date.now();
    note(`\n${changed.join(', ')} changed`);
    const loaded = loadTests(testFiles(names));
    const cases = selectCases(loaded.cases, flags);
    const again = cases.filter((test) => changed.some((file) => file === test.file || (read.get(keyOf(test)) ?? [file]).includes(file)));
    const { results } = await runAndReport(again, loaded.diagnostics, flags);
    for (const result of results) read.set(keyOf(result), result.files);
  }
}

function keyOf({ file, name }: Pick<TestCase, 'file' | 'name'>): string {
  return `${file}\n${name}`;
}

/** The files with tests as they are now; none, and why, where one that was named is gone. */
function testFiles(names: readonly string[]): readonly string[] {
  try {
    return findTestFiles(names);
  } catch (error) {
    if (!(error instanceof PeelError)) throw error;
    reportDiagnostics(error.diagnostics);
    return [];
  }
}
