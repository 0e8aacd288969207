/** peel test: what must hold of specs, written in YAML beside them. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { findTestFiles } from '../../runtime/graph-tests/find.ts';
import { loadTests } from '../../runtime/graph-tests/load.ts';
import { plural } from '../../runtime/graph-tests/report/run.ts';
import { selectCases, type Shard } from '../../runtime/graph-tests/select.ts';
import { serveCases } from '../../runtime/graph-tests/worker.ts';
import { wholeNumber } from '../options.ts';
import type { Finish } from '../program.ts';
import { reporters, runAndReport, type TestFlags } from '../test/run.ts';
import { watchTests } from '../test/watch.ts';

function shardOf(text: string): Shard {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (!(shard.index >= 1 && shard.index <= shard.count)) throw new InvalidArgumentError('A part and how many there are was expected, such as 1/4 to 4/4.');
  return shard;
}

export function testCommand(finish: Finish): Command {
  return new Command('test').description('Check what must hold of specs: the tests in specs and in *.test.yaml files.').argument('[files...]', 'test files, specs or folders', ['.'])
    .option('--filter <text>', 'only cases whose file or name holds this text')
    .option('--shard <i/n>', 'one of n parts of the cases, such as 1/4', shardOf)
    .addOption(new Option('--reporter <name>', 'github: annotations besides the report').choices(reporters).default('terminal'))
    .option('--output <file>', 'write the junit or json report to a file, and the report for people to the terminal')
    .option('--update', 'write golden values and snapshots instead of comparing with them')
    .option('--watch', 'run again what depends on a file when that changes')
    .option('--strict', 'what cannot be looked at on this machine counts as failed')
    .option('--verbose', 'a line for each case')
    .option('--workers <n>', 'processes that run cases; one for each core if absent, 0 for none besides this one', wholeNumber(0, 256))
    .option('--force', 'run models that take more memory than is free')
    .option('--timeout <seconds>', 'most time of one case', wholeNumber(1, 86400), 120)
    .option('--json', 'one JSON object, as --reporter json')
    .addHelpText('after', `
Exits with 1 where a case does not pass, with 10 where a test file is wrong. An expectation that this machine cannot look at (there is no WebGPU
adapter) is reported as not run.

Examples:
  $ peel test                                       the tests in and under this folder
  $ peel test llama.yaml --watch                    again when llama.yaml or what it extends changes
  $ peel test models/ --filter "cpu" --verbose
  $ peel test --reporter junit --output report.xml
  $ peel test --reporter github --shard 1/4         in a GitHub workflow
  $ peel test --update                              accept what is different now in golden values and snapshots`)
    .action(async (files: string[], flags: TestFlags) => finish(await test(files, flags)));
}

/** What the pool starts: not for people. */
export function testWorkerCommand(): Command {
  return new Command('test-worker').action(() => {
    if (process.send === undefined) throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: '`peel test` starts this itself; it is of no use alone' }]);
    return new Promise(() => serveCases());
  });
}

async function test(files: readonly string[], given: TestFlags): Promise<ExitCode> {
  const flags: TestFlags = given.json ? { ...given, reporter: 'json' } : given;
  const wrong = (message: string, hint?: string): never => {
    throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) }]);
  };
  if (flags.output !== undefined && flags.reporter !== 'junit' && flags.reporter !== 'json') wrong('--output goes with --reporter junit or json');
  if (flags.watch && (flags.reporter !== 'terminal' || flags.shard !== undefined)) wrong('--watch is for people: it goes with neither --reporter nor --shard');
  if (flags.watch && flags.update) wrong('--watch would run again for what --update writes: give one of them');
  const found = findTestFiles(files);
  if (found.length === 0) wrong(`no tests are in ${files.join(', ')}`, 'tests are a list `tests` in a spec, or files called NAME.test.yaml');
  const loaded = loadTests(found);
  const cases = selectCases(loaded.cases, flags);
  if (cases.length === 0 && flags.filter !== undefined && loaded.diagnostics.length === 0 && selectCases(loaded.cases, { filter: flags.filter }).length === 0) {
    wrong(`none of ${plural(loaded.cases.length, 'case')} in ${plural(found.length, 'file')} holds '${flags.filter}' in its name or file`);
  }
  const started = Date.now();
  const { exitCode, results } = await runAndReport(cases, loaded.diagnostics, flags);
  return flags.watch ? watchTests(files, results, flags, started) : exitCode;
}
