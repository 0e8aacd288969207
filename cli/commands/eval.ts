/** peel eval: bits per byte of a text. */
import cliProgress from 'cli-progress';
import { Command } from 'commander';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { bitsPerByte } from '../../runtime/evaluate.ts';
import { loadModel } from '../../runtime/model.ts';
import { readText } from '../../runtime/weights/files.ts';
import { line, note, noteQuantisation, quantisationResult, writeJson } from '../output.ts';
import { decimal, deviceOptions, modelOptions, quantiseOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';

interface EvalFlags extends CommonFlags {
  readonly text: string;
  readonly from: number;
  readonly window?: number;
}

export function evalCommand(finish: Finish): Command {
  const command = new Command('eval').description('Measure how well a model predicts a text: bits per byte.').argument('<model>', 'folder, GGUF file, spec, or name')
    .requiredOption('--text <file>', 'a text file in UTF-8');
  quantiseOptions(modelOptions(command))
    .option('--from <share>', 'leave out this share of the file\'s bytes at its start: 0.9 measures the last tenth', decimal(0, 1), 0)
    .option('--window <n>', 'tokens of a window; the model\'s context if absent', wholeNumber(1, 1 << 20));
  return deviceOptions(command)
    .option('--json', 'one JSON object')
    .addHelpText('after', `
The text is cut into windows that do not overlap, each run alone behind the beginning token, so that every byte counts once.

Example:
  $ peel eval nano-llama --text models/nano/tinyshakespeare.txt --from 0.9`)
    .action(async (path: string, flags: EvalFlags) => finish(await evaluate(path, flags)));
}

async function evaluate(path: string, flags: EvalFlags): Promise<ExitCode> {
  const whole = await readText(flags.text);
  const text = fromShare(whole, flags.from);
  if (text === '') throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: `${flags.text}: there is no text to measure`, hint: 'is the file empty, or --from 1?' }]);
  const model = await loadModel(toModelOptions(path, flags));
  try {
    const tokenizer = await model.tokenizer();
    const window = Math.min(flags.window ?? Infinity, flags.context ?? Infinity, model.capacity().context);
    const session = await model.session({ ...toSessionOptions(flags), context: window, maxTokens: 128, logitRows: 128 });
    const bar = new cliProgress.SingleBar({ stream: process.stderr, format: 'tokens {bar} {percentage}% {value}/{total}', clearOnComplete: true, noTTYOutput: false }, cliProgress.Presets.shades_classic);
    let started = false;
    const result = await bitsPerByte(session, tokenizer, text, window, (done, total) => {
      if (!started) bar.start(total, 0);
      started = true;
      bar.update(done);
    }).finally(() => bar.stop());
    if (flags.json) writeJson({ ok: true, model: model.name, device: session.device, ...quantisationResult(model.quantisation), window, ...result });
    else {
      line(`${result.bitsPerByte.toFixed(4)} bits per byte`);
      note(`${result.tokens} tokens in ${result.windows} windows of ${window}, ${result.bytes} bytes, ${Math.round(result.milliseconds)} ms`);
      note(`${model.name} on ${session.device.description}, ${session.device.reason}`);
      noteQuantisation(model.quantisation);
    }
    return ExitCode.done;
  } finally {
    await model.dispose();
  }
}

/** The text from byte floor(share * bytes) on; a character that the cut splits is left out. */
function fromShare(text: string, share: number): string {
  if (share === 0) return text;
  const bytes = new TextEncoder().encode(text);
  let at = Math.floor(share * bytes.length);
  while (at < bytes.length && ((bytes[at] ?? 0) & 0xc0) === 0x80) at++;
  return new TextDecoder().decode(bytes.subarray(at));
}
