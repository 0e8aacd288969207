/** peel run: text or ids from a model. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import type { DeviceReport } from '../../runtime/backend.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import type { Session } from '../../runtime/session.ts';
import type { Tokenizer } from '../../runtime/tokenizer/tokenizer.ts';
import { line, note, writeJson } from '../output.ts';
import { decimal, deviceOptions, idList, modelOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';

interface RunFlags extends CommonFlags {
  readonly prompt?: string;
  readonly ids?: number[];
  readonly chat?: boolean;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly ignoreEos?: boolean;
  readonly quiet?: boolean;
}

export function runCommand(finish: Finish): Command {
  const command = new Command('run').description('Generate text, or token ids.').argument('<model>', 'folder, spec, or name');
  modelOptions(command)
    .option('--prompt <text>', 'text to continue (- reads standard input)')
    .option('--chat', 'the prompt is a message of a user, put into the model\'s chat template')
    .option('--ids <list>', 'token ids to continue, such as 1,2,3; the result is ids too', idList)
    .option('--max-tokens <n>', 'most tokens to generate', wholeNumber(0), 128)
    .option('--temperature <t>', '0 is greedy', decimal(0, 100))
    .option('--top-k <k>', 'draw from the k most likely tokens', wholeNumber(0))
    .option('--top-p <p>', 'draw from the most likely tokens that hold p together', decimal(0, 1))
    .option('--min-p <p>', 'draw from tokens at least p times as likely as the most likely', decimal(0, 1))
    .option('--seed <n>', 'equal seeds give equal text', wholeNumber(0))
    .option('--ignore-eos', 'go on past the end-of-text token');
  return deviceOptions(command)
    .option('--quiet', 'only the text, nothing on standard error')
    .option('--json', 'one JSON object')
    .addHelpText('after', `
Filters apply in this order: top-k, top-p, min-p, temperature. Without --temperature the most likely token is taken.

Examples:
  $ peel run nano-llama --prompt "ROMEO:" --max-tokens 200 --temperature 0.8 --seed 1
  $ peel run ./model --prompt "Hello" --chat --device webgpu
  $ peel run ./model --ids 1,5,9 --max-tokens 8 --json
  $ peel run my-spec.yaml --random --ids 1,2,3`)
    .action(async (path: string, flags: RunFlags) => finish(await run(path, flags)));
}

function usage(message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) }]);
}

/** The ids to continue, and the tokenizer if text is wanted. */
async function promptIds(model: LoadedModel, flags: RunFlags): Promise<{ ids: number[]; tokenizer?: Tokenizer }> {
  if (flags.ids !== undefined) return { ids: flags.ids };
  const tokenizer = await model.tokenizer();
  const text = flags.prompt === '-' ? readFileSync(0, 'utf8') : flags.prompt ?? '';
  if (flags.chat) return { ids: tokenizer.chat([{ role: 'user', content: text }]), tokenizer };
  const ids = tokenizer.encode(text);
  // Without a prompt, a model starts from its beginning token.
  const { bos } = tokenizer.special;
  return { ids: ids.length === 0 && bos !== undefined ? [bos] : ids, tokenizer };
}

async function run(path: string, flags: RunFlags): Promise<ExitCode> {
  if (flags.prompt !== undefined && flags.ids !== undefined) throw usage('--prompt and --ids exclude each other');
  if (flags.chat && flags.prompt === undefined) throw usage('--chat needs a --prompt');
  const model = await loadModel(toModelOptions(path, flags));
  try {
    const { ids, tokenizer } = await promptIds(model, flags);
    const wanted = ids.length + flags.maxTokens;
    const context = flags.context ?? Math.max(1, Math.min(wanted, model.capacity().context));
    const started = performance.now();
    const session = await model.session({ ...toSessionOptions(flags), context });
    const loaded = performance.now() - started;
    try {
      return await generate(model, session, ids, tokenizer, flags, loaded);
    } finally {
      await session.dispose();
    }
  } finally {
    await model.dispose();
  }
}

interface Timing { load: number; prefill: number; decode: number; decoded: number }

async function generate(model: LoadedModel, session: Session, ids: number[], tokenizer: Tokenizer | undefined, flags: RunFlags, load: number): Promise<ExitCode> {
  const stream = tokenizer?.stream();
  const made: number[] = [];
  let text = '';
  const show = (piece: string): void => {
    text += piece;
    if (!flags.json) process.stdout.write(piece);
  };
  if (tokenizer && !flags.json && !flags.chat && flags.prompt !== undefined && flags.prompt !== '-') process.stdout.write(flags.prompt);
  const eos = tokenizer?.special.eos ?? [];
  const started = performance.now();
  const timing: Timing = { load, prefill: 0, decode: 0, decoded: 0 };
  let stopped: 'length' | 'end' | 'context' = 'length';
  const { maxTokens, temperature, topK, topP, minP, seed } = flags;
  const options = {
    maxTokens, ...(temperature === undefined ? {} : { temperature }), ...(topK === undefined ? {} : { topK }), ...(topP === undefined ? {} : { topP }),
    ...(minP === undefined ? {} : { minP }), ...(seed === undefined ? {} : { seed }), ...(flags.ignoreEos ? {} : { stop: eos }),
  };
  for await (const id of session.generate(ids, options)) {
    if (made.length === 0) timing.prefill = performance.now() - started;
    if (eos.includes(id) && !flags.ignoreEos) { stopped = 'end'; break; }
    made.push(id);
    if (stream) show(stream.push(id));
    else if (!flags.json) process.stdout.write(`${made.length > 1 ? ' ' : ''}${id}`);
  }
  timing.decode = performance.now() - started - timing.prefill;
  timing.decoded = Math.max(0, made.length - 1);
  if (stream) show(stream.end());
  if (stopped === 'length' && made.length < maxTokens) stopped = 'context';
  if (flags.json) writeJson(result(model, session.device, ids, made, tokenizer ? text : undefined, stopped, timing));
  else {
    if (made.length > 0 || tokenizer) line();
    if (!flags.quiet) summary(model, session.device, ids.length, timing, stopped);
  }
  return ExitCode.done;
}

const rate = (tokens: number, milliseconds: number): number => (milliseconds > 0 ? Math.round((tokens / milliseconds) * 10000) / 10 : 0);

function result(model: LoadedModel, device: DeviceReport, prompt: number[], ids: number[], text: string | undefined, stopped: string, timing: Timing): unknown {
  return {
    ok: true, model: model.name, device, prompt, ids, ...(text === undefined ? {} : { text }), stopped,
    timing: { loadMs: timing.load, prefillMs: timing.prefill, decodeMs: timing.decode, prefillTokensPerSecond: rate(prompt.length, timing.prefill), decodeTokensPerSecond: rate(timing.decoded, timing.decode) },
  };
}

function summary(model: LoadedModel, device: DeviceReport, prompt: number, timing: Timing, stopped: string): void {
  note(`\n${model.name} on ${device.description}, ${device.reason}${device.shaders === undefined ? '' : `; ${device.shaders}`}`);
  note(`loaded in ${Math.round(timing.load)} ms; prompt ${prompt} tokens at ${rate(prompt, timing.prefill)} tokens/s; then ${timing.decoded} tokens at ${rate(timing.decoded, timing.decode)} tokens/s`
    + `${stopped === 'context' ? '; stopped because the context is full' : ''}`);
  if (model.warnings.length > 0) note(`${model.warnings.length} warnings: peel check lists them`);
}
