/** The commands and their order in the help. */
import { Command } from 'commander';
import type { ExitCode } from '../compiler/diagnostics.ts';
import { chatCommand } from './commands/chat.ts';
import { benchCommand } from './commands/bench.ts';
import { checkCommand } from './commands/check.ts';
import { diffCommand } from './commands/diff.ts';
import { evalCommand } from './commands/eval.ts';
import { graphCommand } from './commands/graph.ts';
import { importCommand } from './commands/import.ts';
import { planCommand } from './commands/plan.ts';
import { pullCommand } from './commands/pull.ts';
import { runCommand } from './commands/run.ts';
import { testCommand, testWorkerCommand } from './commands/test.ts';
import { traceCommand } from './commands/trace.ts';

/** Receives the exit code of a command that did its work. */
export type Finish = (code: ExitCode) => void;

export function program(finish: Finish): Command {
  const root = new Command('peel')
    .description('Compiles language models written in YAML, and runs them on WebGPU or the CPU.')
    .version('0.1.0')
    .exitOverride()
    .showHelpAfterError('(peel --help, or peel COMMAND --help, shows the usage)')
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: false })
    // What stands after a command is the command's: `plan` and `plan diff` share names of options.
    .enablePositionalOptions()
    .addHelpText('after', `
MODEL is a Hugging Face folder, hf:OWNER/NAME once it is pulled, the path of a spec, the name of a spec in models/, or of a model that ships (nano-llama).

Examples:
  $ peel run nano-llama --prompt "ROMEO:"           a small model writes
  $ peel run ./SmolLM-135M --prompt "Once upon"     a Hugging Face folder
  $ peel chat ./SmolLM-135M-Instruct                a conversation
  $ peel check my-model.yaml                        everything that is wrong with a spec
  $ peel plan my-model.yaml --device cpu            its kernels, fusions and bytes
  $ peel plan diff main:my-model.yaml my-model.yaml what changed since main, for a review
  $ peel diff ./llama --against golden.safetensors  compare with a recording
  $ peel trace nano-llama --prompt "To be"           what happens inside while it reads a text
  $ peel test                                       the graph tests in and under this folder
  $ peel bench ./model.gguf                         how fast it runs here
  $ peel pull hf:HuggingFaceTB/SmolLM2-135M         from the Hugging Face hub, for peel run hf:...
  $ peel import ./SmolLM-135M -o smollm.yaml        a spec of its own for it

Exit codes: 0 done, 1 a check failed, 2 usage, 10 spec, 11 weights, 12 tokenizer, 13 device, 14 files, 70 a mistake in Peel.`);
  for (const command of [runCommand, chatCommand, checkCommand, planCommand, graphCommand, diffCommand, traceCommand, testCommand, evalCommand, benchCommand, importCommand, pullCommand]) {
    root.addCommand(command(finish).exitOverride().showHelpAfterError('(add --help for the usage)').showSuggestionAfterError());
  }
  root.addCommand(testWorkerCommand(), { hidden: true });
  return root;
}
