/** peel test: what must hold of specs, written in YAML beside them. */
import { Command } from 'commander';
import { ExitCode } from '../../compiler/diagnostics.ts';
import type { CaseResult } from '../../runtime/graph-tests/case.ts';
import { findTestFiles } from '../../runtime/graph-tests/find.ts';
import { loadTests } from '../../runtime/graph-tests/load.ts';
import { runCase } from '../../runtime/graph-tests/run-case.ts';
import { line, reportDiagnostics } from '../output.ts';
import type { Finish } from '../program.ts';

interface TestFlags { readonly filter?: string; readonly update?: boolean }

export function testCommand(finish: Finish): Command {
  return new Command('test').description('Run graph tests: the `tests` of specs and *.test.yaml files.').argument('[files...]', 'test files, specs or folders', ['.'])
    .option('--filter <text>', 'only cases whose name or file holds this text')
    .option('--update', 'write golden values and snapshots instead of comparing with them')
    .action(async (files: string[], flags: TestFlags) => finish(await test(files, flags)));
}

async function test(files: readonly string[], flags: TestFlags): Promise<ExitCode> {
  const { cases, diagnostics } = loadTests(findTestFiles(files));
  reportDiagnostics(diagnostics);
  const results: CaseResult[] = [];
  for (const one of cases) {
    if (flags.filter !== undefined && !`${one.file} ${one.name}`.includes(flags.filter)) continue;
    const result = await runCase(one, { update: flags.update ?? false });
    results.push(result);
    line(`${result.status}  ${result.file}: ${result.name} (${result.milliseconds.toFixed(0)} ms)`);
    for (const { kind, expectation, message, location } of result.findings) line(`  ${location.file}:${location.line}:${location.column} ${kind}, ${expectation}: ${message}`);
  }
  if (diagnostics.length > 0) return ExitCode.spec;
  return results.every(({ status }) => status === 'passed' || status === 'not run') ? ExitCode.done : ExitCode.failed;
}
