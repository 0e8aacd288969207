/** peel graph: the graph of a model, as text or drawn. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { toDot } from '../../compiler/draw/dot.ts';
import { foldGraph, type Drawing } from '../../compiler/draw/fold.ts';
import { toMermaid } from '../../compiler/draw/mermaid.ts';
import { printGraph } from '../../compiler/graph/print.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { ranges } from '../../compiler/print-plan.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import { line, table } from '../output.ts';
import { modelOptions, toModelOptions, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';

interface GraphFlags extends CommonFlags { readonly output?: string; readonly values?: boolean }

export function graphCommand(finish: Finish): Command {
  const command = new Command('graph').description('Print the graph of a model, or draw it.').argument('<model>', 'spec, folder, GGUF file, or name');
  return modelOptions(command)
    .option('-o, --output <file>', 'write a drawing: .svg, .mmd or .dot')
    .option('--values', 'list the values inside the model that --tap and `taps` can name')
    .addHelpText('after', `
Examples:
  $ peel graph nano-llama
  $ peel graph nano-llama --values
  $ peel graph nano-llama -o nano-llama.svg`)
    .action(async (model: string, flags: GraphFlags) => finish(await graph(model, flags)));
}

async function graph(name: string, flags: GraphFlags): Promise<ExitCode> {
  const model = await loadModel({ ...toModelOptions(name, flags), headersOnly: true });
  try {
    if (flags.values) listValues(model);
    else if (flags.output === undefined) line(printGraph(model.graph));
    else save(flags.output, await draw(foldGraph(model.graph), flags.output));
    return ExitCode.done;
  } finally {
    await model.dispose();
  }
}

/** One line for the values that layers have in common. T is the step's tokens, S the sequence's, R those with logits. */
function listValues(model: LoadedModel): void {
  const families = new Map<string, { readonly type: string; readonly layers: number[] }>();
  for (const { name, dtype, shape } of model.values) {
    const [, before = name, layer, after = ''] = /^(layers|hidden)\.(\d+)(.*)$/.exec(name) ?? [];
    const type = `${dtype}[${shape.join(', ')}]`;
    const key = layer === undefined ? name : `${before}.*${after}`;
    const family = families.get(`${key} ${type}`) ?? { type, layers: [] };
    if (layer !== undefined) family.layers.push(Number(layer));
    families.set(`${key} ${type}`, family);
  }
  const rows = [...families].map(([key, { type, layers }]) => [key.slice(0, key.indexOf(' ')), type, layers.length === 0 ? '' : ranges(layers)]);
  for (const text of table(['value', 'shape', 'layers'], rows)) line(text);
}

/** The drawing in the format that the file's name asks for. */
async function draw(drawing: Drawing, file: string): Promise<string> {
  const extension = path.extname(file).toLowerCase();
  switch (extension) {
    case '.dot': case '.gv': return toDot(drawing);
    case '.mmd': case '.mermaid': return toMermaid(drawing);
    case '.svg': {
      const { instance } = await import('@viz-js/viz');
      return (await instance()).renderString(toDot(drawing), { format: 'svg' });
    }
    default:
      throw new PeelError(ExitCode.usage, [{
        code: 'E012', severity: 'error', path: '', message: `${file}: cannot draw as '${extension}'`, hint: 'the file should end in .svg, .mmd or .dot',
      }]);
  }
}

function save(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new PeelError(ExitCode.fileSystem, [{
      code: 'E012', severity: 'error', path: '', message: `${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
    }]);
  }
  process.stderr.write(`${file}: ${(Buffer.byteLength(text) / 1024).toFixed(0)} KiB\n`);
}
