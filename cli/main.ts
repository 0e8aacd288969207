#!/usr/bin/env node
/** The `peel` command. */
import { CommanderError } from 'commander';
import { ExitCode } from '../compiler/diagnostics.ts';
import { asMemoryError } from '../runtime/fit/out-of-memory.ts';
import { reportError } from './output.ts';
import { program } from './program.ts';

/** A closed pipe (`peel ... | head`) ends the program quietly. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

async function main(): Promise<number> {
  const json = process.argv.includes('--json');
  let code: number = ExitCode.done;
  try {
    await program((result) => { code = result; }).parseAsync(process.argv);
  } catch (error) {
    // commander has said what is wrong; help and version end with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    return reportError(await asMemoryError(error, 'while this ran'), { json });
  }
  return code;
}

process.exitCode = await main();
