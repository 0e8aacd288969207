/** peel import: a spec of its own for a model that one of the families describes. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { importModel, type ImportResult } from '../../runtime/import/import.ts';
import { modelsFolder } from '../../runtime/locate.ts';
import { writeWhole } from '../../runtime/weights/write-whole.ts';
import { note, reportDiagnostics, writeJson } from '../output.ts';
import { settingOption, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';

interface ImportFlags extends Pick<CommonFlags, 'json' | 'spec' | 'set'> { readonly output?: string; readonly name?: string; readonly force?: boolean }

export function importCommand(finish: Finish): Command {
  return settingOption(new Command('import').description('Write a spec for a model: its family\'s spec with every param filled in.').argument('<path>', 'a Hugging Face folder'))
    .option('-o, --output <file>', 'where to write it; standard output if absent')
    .option('--force', 'overwrite the file')
    .option('--name <name>', 'what to call the model; as its folder, if absent')
    .option('--spec <name>', 'the family\'s spec, instead of the one that the model_type picks')
    .option('--json', 'one JSON object')
    .addHelpText('after', `
The spec stands by itself: nothing is read from config.json, and what the model does not use is left out. What has no place in it is
reported: config keys, tensors, a tokenizer that is missing. For a model_type that no spec in models/ serves, the nearest spec is written
as a draft that lists what does not fit, and the exit code is 1.

Examples:
  $ peel import ./SmolLM-135M -o smollm.yaml
  $ peel run smollm.yaml --weights ./SmolLM-135M --prompt "Once upon"
  $ peel import ./new-model -o draft.yaml           a draft, if its model_type is unknown
  $ peel import ./SmolLM-135M | less`)
    .action(async (where: string, flags: ImportFlags) => finish(await run(where, flags)));
}

async function run(where: string, flags: ImportFlags): Promise<ExitCode> {
  const { output, spec, set, name } = flags;
  const result = await importModel({ path: where, schema: schemaFor(output), ...(spec === undefined ? {} : { spec }), ...(set === undefined ? {} : { set }), ...(name === undefined ? {} : { name }) });
  const code = result.complete ? ExitCode.done : ExitCode.failed;
  if (output !== undefined) await save(output, result.text, flags.force ?? false);
  if (flags.json) {
    writeJson({ ok: result.complete, exitCode: code, ...result, ...(output === undefined ? {} : { output }) });
    return code;
  }
  if (output === undefined) process.stdout.write(result.text);
  report(result, output);
  return code;
}

function report({ name, family, complete, tensors, unplaced, missing }: ImportResult, output: string | undefined): void {
  reportDiagnostics(unplaced);
  for (const text of missing) note(text);
  const left = unplaced.length === 0 ? '; nothing is left over' : `; ${unplaced.length} thing${unplaced.length === 1 ? ' has' : 's have'} no place in it`;
  note(`${output ?? name}: ${complete ? `from ${family}; all ${tensors} tensors fit` : `a draft from ${family}`}${left}`);
}

/** The schema as seen from where the spec will lie. */
function schemaFor(output: string | undefined): string {
  const schema = path.join(path.dirname(modelsFolder()), 'schema', 'spec.schema.json');
  const relative = path.relative(path.dirname(path.resolve(output ?? 'spec.yaml')), schema);
  return path.isAbsolute(relative) ? pathToFileURL(relative).href : relative.split(path.sep).join('/');
}

async function save(file: string, text: string, overwrite: boolean): Promise<void> {
  if (await writeWhole(file, text, { overwrite })) return;
  throw new PeelError(ExitCode.fileSystem, [{ code: 'E012', severity: 'error', path: '', message: `${file} is there already`, hint: 'give --force to overwrite it' }]);
}
