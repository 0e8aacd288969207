/** peel graph: the graph of a model, as text or drawn. */
import { Command } from 'commander';
import { printGraph } from '../../compiler/graph/print.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { loadModel } from '../../runtime/model.ts';
import { line } from '../output.ts';
import { modelOptions, toModelOptions, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';

interface GraphFlags extends CommonFlags { readonly output?: string }

export function graphCommand(finish: Finish): Command {
  const command = new Command('graph').description('Print the graph of a model, or draw it.').argument('<model>', 'spec, folder, or name');
  return modelOptions(command)
    .option('-o, --output <file>', 'write a drawing: .svg, .mmd or .dot')
    .addHelpText('after', `
Examples:
  $ peel graph nano-llama
  $ peel graph nano-llama -o nano-llama.svg`)
    .action(async (path: string, flags: GraphFlags) => finish(await graph(path, flags)));
}

async function graph(path: string, flags: GraphFlags): Promise<ExitCode> {
  const model = await loadModel({ ...toModelOptions(path, flags), headersOnly: true });
  try {
    if (flags.output === undefined) line(printGraph(model.graph));
    else throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: `${flags.output}: drawing is not there yet`, hint: 'without -o the graph is printed as text' }]);
    return ExitCode.done;
  } finally {
    await model.dispose();
  }
}
