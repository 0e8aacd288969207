/** peel check: everything that is wrong with a spec, and with weights for it, from their headers alone. */
import { Command } from 'commander';
import { ExitCode } from '../../compiler/diagnostics.ts';
import { checkModel } from '../../runtime/check.ts';
import { line, reportDiagnostics, writeJson } from '../output.ts';
import { modelOptions, toModelOptions, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';

interface CheckFlags extends CommonFlags { readonly strict?: boolean; readonly values?: boolean }

export function checkCommand(finish: Finish): Command {
  const command = new Command('check').description('Say everything that is wrong with a spec, a config and weights, without running anything.').argument('<model>', 'spec, folder, GGUF file, or name');
  return modelOptions(command)
    .option('--strict', 'warnings count too')
    .option('--values', 'read all weights and look for NaN and infinity')
    .option('--json', 'one JSON object')
    .addHelpText('after', `
Of weights only the headers are read, unless --values is given. Every key of config.json is accounted for: used, known to be irrelevant, or reported.

Examples:
  $ peel check my-model.yaml
  $ peel check llama --weights ./SmolLM-135M
  $ peel check ./SmolLM-135M                        with the spec that its model_type picks
  $ peel check model.gguf                           with the spec that its architecture picks
  $ peel check my-model.yaml --set layers=4 --json`)
    .action(async (path: string, flags: CheckFlags) => finish(await check(path, flags)));
}

async function check(path: string, flags: CheckFlags): Promise<ExitCode> {
  const { diagnostics, exitCode, summary } = await checkModel({ ...toModelOptions(path, flags), values: flags.values ?? false });
  const errors = diagnostics.filter((d) => d.severity === 'error').length;
  const warnings = diagnostics.length - errors;
  const code = exitCode !== ExitCode.done ? exitCode : flags.strict && warnings > 0 ? ExitCode.failed : ExitCode.done;
  if (flags.json) writeJson({ ok: code === ExitCode.done, exitCode: code, errors, warnings, diagnostics, ...(summary ? { summary } : {}) });
  else {
    reportDiagnostics(diagnostics);
    if (summary) {
      const types = Object.entries(summary.types ?? {}).map(([type, count]) => `${count} ${type}`).join(', ');
      const fit = summary.tensors === undefined ? '' : `; all ${summary.tensors} tensors fit${types === '' ? '' : ` (${types})`}`;
      line(`${summary.name}: ${summary.layers} layers, width ${summary.dim}, ${summary.parameters.toLocaleString('en')} parameters${fit}`);
    }
    const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;
    line(code === ExitCode.done ? `ok${warnings > 0 ? `, ${count(warnings, 'warning')}` : ''}` : `${count(errors, 'error')}, ${count(warnings, 'warning')}`);
  }
  return code;
}
