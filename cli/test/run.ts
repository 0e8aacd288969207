/** Runs cases and reports them: for people while they run, for programs at the end. */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ExitCode, PeelError, type Diagnostic } from '../../compiler/diagnostics.ts';
import type { CaseResult, TestCase } from '../../runtime/graph-tests/case.ts';
import { runCases } from '../../runtime/graph-tests/pool.ts';
import { githubAnnotations } from '../../runtime/graph-tests/report/github.ts';
import { jsonReport } from '../../runtime/graph-tests/report/json.ts';
import { junitReport } from '../../runtime/graph-tests/report/junit.ts';
import { exitCodeOf, type TestRun } from '../../runtime/graph-tests/report/run.ts';
import { fileLines, summaryLines } from '../../runtime/graph-tests/report/terminal.ts';
import type { Shard } from '../../runtime/graph-tests/select.ts';
import { line, reportDiagnostics, writeJson } from '../output.ts';
import { progress } from '../progress.ts';

export const reporters = ['terminal', 'junit', 'json', 'github'] as const;
export interface TestFlags {
  readonly filter?: string;
  readonly shard?: Shard;
  readonly reporter: (typeof reporters)[number];
  readonly output?: string;
  readonly json?: boolean;
  readonly update?: boolean;
  readonly force?: boolean;
  readonly watch?: boolean;
  readonly strict?: boolean;
  readonly verbose?: boolean;
  readonly workers?: number;
  readonly timeout: number;
}

export async function runAndReport(cases: readonly TestCase[], diagnostics: readonly Diagnostic[], flags: TestFlags): Promise<{ exitCode: ExitCode; results: readonly CaseResult[] }> {
  const started = performance.now();
  // A place that cannot be written to is said before anything is run.
  if (flags.output !== undefined) writeReport(flags.output, '');
  reportDiagnostics(diagnostics);
  const people = flags.reporter === 'terminal' || flags.reporter === 'github' || flags.output !== undefined;
  const bar = progress('cases', 2);
  let group: CaseResult[] = [];
  const showGroup = (): void => {
    if (people && group.length > 0) {
      // The bar comes back below what is written.
      bar.stop();
      fileLines(group, flags.verbose ?? false).forEach((text) => line(text));
    }
    group = [];
  };
  const results = await runCases(cases, {
    ...(process.argv[1] === undefined ? {} : { program: [process.argv[1], 'test-worker'] as const }),
    workers: flags.workers ?? Math.min(os.availableParallelism(), 16), timeout: flags.timeout, update: flags.update ?? false, force: flags.force ?? false,
    onProgress: (done) => bar.update(done, cases.length),
    onResult: (result) => {
      if (group[0] && group[0].file !== result.file) showGroup();
      group.push(result);
    },
  });
  bar.stop();
  showGroup();
  const run: TestRun = { results, diagnostics, milliseconds: performance.now() - started, strict: flags.strict ?? false };
  if (people) summaryLines(run).forEach((text) => line(text));
  report(run, flags);
  return { exitCode: exitCodeOf(run), results };
}

function report(run: TestRun, { reporter, output }: TestFlags): void {
  switch (reporter) {
    case 'terminal': return;
    case 'github': return githubAnnotations(run, process.env.GITHUB_WORKSPACE ?? process.cwd()).forEach((text) => line(text));
    case 'json': return output === undefined ? writeJson(jsonReport(run)) : writeReport(output, `${JSON.stringify(jsonReport(run), undefined, 2)}\n`);
    case 'junit': return output === undefined ? void process.stdout.write(junitReport(run)) : writeReport(output, junitReport(run));
    default: return reporter satisfies never;
  }
}

function writeReport(file: string, text: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new PeelError(ExitCode.fileSystem, [{ code: 'E721', severity: 'error', path: '', message: `${file} cannot be written: ${error instanceof Error ? error.message : String(error)}` }]);
  }
}
