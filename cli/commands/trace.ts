/** peel trace: what happens inside a model while it reads a text. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command } from 'commander';
import { ExitCode, formatDiagnostic, PeelError } from '../../compiler/diagnostics.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import type { Tokenizer } from '../../runtime/tokenizer/tokenizer.ts';
import { tracePage } from '../../runtime/trace/page/page.ts';
import { mostTracedTokens, traceModel } from '../../runtime/trace/trace.ts';
import { writeWhole } from '../../runtime/weights/write-whole.ts';
import { writeSafetensors, type TensorData } from '../../runtime/weights/writer.ts';
import { line, note, noteQuantisation, quantisationResult, writeJson } from '../output.ts';
import { decimal, deviceOptions, idList, modelOptions, quantiseOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';
import { traceReport } from '../trace/report.ts';

interface TraceFlags extends CommonFlags {
  readonly prompt?: string;
  readonly ids?: number[];
  readonly chat?: boolean;
  readonly tap?: string[];
  readonly lens: number;
  readonly kernels: boolean;
  readonly repeat: number;
  readonly threshold: number;
  readonly save?: string;
  readonly html?: string;
}

export function traceCommand(finish: Finish): Command {
  const command = new Command('trace').description('Look into a model while it reads a text: norms, attention, the logit lens, times of its kernels.').argument('<model>', 'folder, file, spec, or name');
  quantiseOptions(modelOptions(command))
    .option('--prompt <text>', `text to read, at most ${mostTracedTokens} tokens (- reads standard input)`)
    .option('--chat', 'the prompt is a message of a user, put into the model\'s chat template')
    .option('--ids <list>', 'token ids to read, such as 1,2,3', idList)
    .option('--lens <n>', 'tokens that the logit lens gives for each place; 0 leaves it out', wholeNumber(0, 100), 5)
    .option('--no-kernels', 'do not time the kernels')
    .option('--repeat <n>', 'most measurements of each kernel', wholeNumber(1, 1000), 7)
    .option('--threshold <x>', 'activations count as small below this share of their root mean square', decimal(0, 1e9), 0.01)
    .option('--tap <pattern>', "with --save: more values, such as 'layers.*.attention.q' (repeatable)", (text: string, earlier: string[] = []) => [...earlier, text])
    .option('--save <file>', 'save the values that were looked at as safetensors')
    .option('--html <file>', 'write a page with the attention maps, the lens and charts: one file, which needs no network');
  return deviceOptions(command)
    .option('--json', 'one JSON object')
    .addHelpText('after', `
Kernels are timed in a plan without taps, for the whole text and for one token more.

Examples:
  $ peel trace nano-llama --prompt "To be, or not to be"
  $ peel trace ./model.gguf --prompt "The capital of France is" --html trace.html
  $ peel trace ./model --ids 1,5,9 --tap "layers.*.attention.{q,k}" --save values.safetensors
  $ peel trace my-spec.yaml --random --ids 1,2,3 --no-kernels --json`)
    .action(async (path: string, flags: TraceFlags) => finish(await trace(path, flags)));
}

function usage(message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) }]);
}

function checkFlags(flags: TraceFlags): void {
  if (flags.prompt === undefined && flags.ids === undefined) throw usage('there is nothing to read', 'give --prompt TEXT, or --ids 1,2,3');
  if (flags.prompt !== undefined && flags.ids !== undefined) throw usage('--prompt and --ids exclude each other');
  if (flags.chat && flags.prompt === undefined) throw usage('--chat needs a --prompt');
  if (flags.context !== undefined) throw usage('--context is not for traces', 'the context is the text that is read');
  if (flags.tap !== undefined && flags.save === undefined) throw usage('--tap needs --save FILE', 'the report and the page show their own values only');
}

/** The ids to read, and the tokenizer, which ids can do without. */
async function readText(model: LoadedModel, flags: TraceFlags): Promise<{ readonly ids: readonly number[]; readonly tokenizer?: Tokenizer }> {
  if (flags.ids !== undefined) {
    const tokenizer = await model.tokenizer().catch((error: unknown) => { if (error instanceof PeelError) return undefined; throw error; });
    return { ids: flags.ids, ...(tokenizer ? { tokenizer } : {}) };
  }
  const tokenizer = await model.tokenizer();
  for (const warning of tokenizer.warnings) note(formatDiagnostic(warning));
  const text = flags.prompt === '-' ? readFileSync(0, 'utf8') : flags.prompt ?? '';
  return { ids: flags.chat ? tokenizer.chat([{ role: 'user', content: text }]) : tokenizer.encode(text), tokenizer };
}

async function trace(path: string, flags: TraceFlags): Promise<ExitCode> {
  checkFlags(flags);
  const model = await loadModel(toModelOptions(path, flags));
  try {
    const { ids, tokenizer } = await readText(model, flags);
    const { values, ...report } = await traceModel(model, ids, {
      ...toSessionOptions(flags), taps: flags.tap ?? [], lens: flags.lens, kernels: flags.kernels, repetitions: flags.repeat, threshold: flags.threshold, ...(tokenizer ? { tokenizer } : {}),
    });
    if (flags.save !== undefined) {
      const tensors = new Map<string, TensorData>([['input_ids', { shape: [ids.length], data: Int32Array.from(ids), dtype: 'I32' }]]);
      for (const [name, { shape, data, dtype }] of values) tensors.set(name, { shape, data, dtype: dtype === 'i32' ? 'I32' : 'F32' });
      await writeSafetensors(flags.save, tensors, { model: model.name, device: report.device.description, names: 'peel' });
    }
    if (flags.html !== undefined) await writeWhole(flags.html, tracePage({ ...report, values }, basename(path)), { overwrite: true });
    if (flags.json) writeJson({ ok: true, ...quantisationResult(model.quantisation), ...report, values: Object.fromEntries([...values].map(([name, { shape }]) => [name, shape])) });
    else for (const text of traceReport({ ...report, values })) line(text);
    noteQuantisation(model.quantisation);
    if (flags.save !== undefined) note(`${values.size + 1} values saved to ${flags.save}`);
    if (flags.html !== undefined) note(`the page is ${flags.html}`);
    return ExitCode.done;
  } finally {
    await model.dispose();
  }
}
