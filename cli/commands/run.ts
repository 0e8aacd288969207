/** peel run: text or ids from a model. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { ExitCode, formatDiagnostic, PeelError } from '../../compiler/diagnostics.ts';
import type { Constraint } from '../../runtime/constrain/engine.ts';
import type { GeneratedToken } from '../../runtime/generation/options.ts';
import { generateText, sampleTexts, type GeneratedText, type Sample, type TextOptions } from '../../runtime/generation/text.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import type { Session } from '../../runtime/session.ts';
import type { Tokenizer } from '../../runtime/tokenizer/tokenizer.ts';
import { chainHelp, constraintSource, generationOptions, toTextOptions, unfinishedNote, type GenerationFlags } from '../generation-flags.ts';
import { line, note, noteQuantisation, quantisationResult, writeJson } from '../output.ts';
import { deviceOptions, idList, modelOptions, quantiseOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import { progress } from '../progress.ts';
import { checkSave, printTaps, logitRowsFor, readTaps, saveTaps, tapOption, tapsJson, type TapFlags, type TappedValue } from '../taps.ts';
import type { Finish } from '../program.ts';

interface RunFlags extends CommonFlags, GenerationFlags, TapFlags {
  readonly prompt?: string;
  readonly ids?: number[];
  readonly chat?: boolean;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly save?: string;
  readonly logprobs?: number;
  readonly samples: number;
  readonly quiet?: boolean;
}

export function runCommand(finish: Finish): Command {
  const command = new Command('run').description('Generate text, or token ids.').argument('<model>', 'folder, file, spec, or name');
  quantiseOptions(modelOptions(command))
    .option('--prompt <text>', 'text to continue (- reads standard input)')
    .option('--chat', 'the prompt is a message of a user, put into the model\'s chat template')
    .option('--system <text>', 'with --chat: a system message in front of it')
    .option('--ids <list>', 'token ids to continue, such as 1,2,3; the result is ids too', idList)
    .option('--max-tokens <n>', 'most tokens to generate (default: 128, or none with --tap)', wholeNumber(0));
  generationOptions(command)
    .option('--samples <n>', 'generate n texts, with seeds that follow each other; the most likely is first', wholeNumber(1, 1000), 1)
    .option('--logprobs <n>', 'with --json: the log probability of each token, and of the n most likely at its place', wholeNumber(0, 100));
  tapOption(command, "show values inside the model for the prompt's tokens")
    .option('--save <file>', 'write the tapped values to this .safetensors file');
  return deviceOptions(command)
    .option('--quiet', 'only the text, nothing on standard error')
    .option('--json', 'one JSON object')
    .addHelpText('after', `
${chainHelp}

Examples:
  $ peel run nano-llama --prompt "ROMEO:" --max-tokens 200 --temperature 0.8 --seed 1
  $ peel run ./model --prompt "Hello" --chat --device webgpu
  $ peel run ./model --prompt "A list:" --stop "." --repetition-penalty 1.1
  $ peel run ./model --prompt "Once" --temperature 1 --samples 3 --json --logprobs 2
  $ peel run ./model --chat --prompt "A person, as JSON" --json-schema person.json
  $ peel run ./model --prompt "Yes or no? " --regex "yes|no"
  $ peel run ./model --ids 1,5,9 --max-tokens 8 --json
  $ peel run my-spec.yaml --random --ids 1,2,3
  $ peel run nano-llama --prompt "ROMEO:" --tap 'layers.*.attention.probs' --tap logits --save probs.safetensors`)
    .action(async (path: string, flags: RunFlags) => finish(await run(path, flags)));
}

function usage(message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) }]);
}

/** The ids to continue, and the tokenizer if text is wanted. */
async function promptIds(model: LoadedModel, flags: RunFlags): Promise<{ ids: number[]; tokenizer?: Tokenizer }> {
  if (flags.ids !== undefined) return { ids: flags.ids };
  const tokenizer = await model.tokenizer();
  for (const warning of tokenizer.warnings) note(formatDiagnostic(warning));
  const text = flags.prompt === '-' ? readFileSync(0, 'utf8') : flags.prompt ?? '';
  if (flags.chat) return { ids: tokenizer.chat([...(flags.system === undefined ? [] : [{ role: 'system', content: flags.system }]), { role: 'user', content: text }]), tokenizer };
  const ids = tokenizer.encode(text);
  // Without a prompt, a model starts from its beginning token.
  const { bos } = tokenizer.special;
  return { ids: ids.length === 0 && bos !== undefined ? [bos] : ids, tokenizer };
}

/** Options that do not go with each other. */
function checkFlags(flags: RunFlags): void {
  if (flags.prompt !== undefined && flags.ids !== undefined) throw usage('--prompt and --ids exclude each other');
  if (flags.chat && flags.prompt === undefined) throw usage('--chat needs a --prompt');
  if (flags.system !== undefined && !flags.chat) throw usage('--system needs --chat');
  const text = flags.samples > 1 ? '--samples' : flags.stop ? '--stop' : flags.jsonSchema !== undefined ? '--json-schema' : flags.regex !== undefined ? '--regex' : undefined;
  if (flags.ids !== undefined && text !== undefined) throw usage(`${text} needs text: it does not go with --ids`);
  if (flags.logprobs !== undefined && !flags.json) throw usage('--logprobs needs --json');
  if (flags.samples > 1 && (flags.temperature ?? 0) === 0) throw usage('--samples needs a --temperature above 0', 'without one, all texts are the same');
}

async function run(path: string, flags: RunFlags): Promise<ExitCode> {
  checkFlags(flags);
  const source = await constraintSource(flags);
  const model = await loadModel(toModelOptions(path, flags));
  try {
    const { ids, tokenizer } = await promptIds(model, flags);
    const wanted = ids.length + mostTokens(flags);
    const context = flags.context ?? Math.max(1, Math.min(wanted, model.capacity().context));
    const constraint = source && await model.constraint(source);
    const started = performance.now();
    const taps = flags.tap ?? model.model.taps;
    checkSave(flags.save, taps);
    const session = await model.session({ ...toSessionOptions(flags), context, taps, ...logitRowsFor(model, taps, ids.length) });
    const load = performance.now() - started;
    try {
      const values = taps.length === 0 ? [] : await readTaps(model, session, ids);
      if (flags.save !== undefined) await saveTaps(flags.save, model, ids, values);
      if (values.length > 0 && mostTokens(flags) === 0) return onlyTaps(model, session, ids, values, flags);
      if (values.length > 0 && !flags.json) printTaps(values);
      return await generate(model, session, ids, tokenizer, flags, load, constraint, values);
    } finally {
      await session.dispose();
    }
  } finally {
    await model.dispose();
  }
}

/** --max-tokens, or what it is without one. */
function mostTokens(flags: RunFlags): number {
  return flags.maxTokens ?? (flags.tap === undefined ? 128 : 0);
}

/** Values of the prompt, and no text: for models that write none, too. */
function onlyTaps(model: LoadedModel, session: Session, ids: readonly number[], values: readonly TappedValue[], flags: RunFlags): ExitCode {
  if (flags.json) writeJson({ ok: true, model: model.name, device: session.device, ...quantisationResult(model.quantisation), prompt: ids, taps: tapsJson(values) });
  else printTaps(values);
  if (!flags.json && !flags.quiet) note(`\n${deviceLine(model, session)}`);
  return ExitCode.done;
}

interface Timing { load: number; prefill: number; decode: number; decoded: number }

async function generate(model: LoadedModel, session: Session, ids: number[], tokenizer: Tokenizer | undefined, flags: RunFlags, load: number, constraint: Constraint | undefined, values: readonly TappedValue[]): Promise<ExitCode> {
  const timing: Timing = { load, prefill: 0, decode: 0, decoded: 0 };
  const started = performance.now();
  const bar = progress('prompt', 512);
  const seed = flags.seed ?? Math.floor(Math.random() * 2 ** 32);
  const options = {
    ...toTextOptions({ ...flags, maxTokens: mostTokens(flags) }), seed, ...(constraint ? { constraint } : {}), ...(flags.chat ? { fresh: true } : {}), ...(flags.logprobs === undefined ? {} : { logprobs: flags.logprobs }),
    onProgress: (done: number, total: number): void => {
      if (!flags.quiet) bar.update(done, total);
      if (done === total && timing.prefill === 0) timing.prefill = performance.now() - started;
    },
  };
  let results: readonly (GeneratedText & Partial<Sample>)[];
  try {
    if (tokenizer && flags.samples > 1) results = await sampleTexts(session, tokenizer, ids, flags.samples, options);
    else {
      const shown = !flags.json;
      // The prompt is shown with the first piece, not in front of an error.
      let before = tokenizer && !flags.chat && flags.prompt !== '-' ? flags.prompt ?? '' : '';
      const show = (piece: string): void => {
        if (shown) process.stdout.write(before + piece);
        before = '';
      };
      results = [tokenizer ? await written(generateText(session, tokenizer, ids, options), show) : await idsOnly(session, ids, options, show)];
      show('');
    }
  } finally {
    bar.stop();
  }
  timing.decode = performance.now() - started - timing.prefill;
  timing.decoded = Math.max(0, results.reduce((n, r) => n + r.ids.length, 0) - 1);
  const first = results[0];
  if (flags.json) {
    writeJson({
      ok: true, model: model.name, device: session.device, ...quantisationResult(model.quantisation), prompt: ids, ...((flags.temperature ?? 0) > 0 ? { seed } : {}),
      ...(first ? resultJson(first, tokenizer, flags) : {}), ...(flags.samples > 1 ? { samples: results.map((r) => resultJson(r, tokenizer, flags)) } : {}),
      ...(values.length === 0 ? {} : { taps: tapsJson(values) }),
      timing: { loadMs: timing.load, prefillMs: timing.prefill, decodeMs: timing.decode, prefillTokensPerSecond: rate(ids.length, timing.prefill), decodeTokensPerSecond: rate(timing.decoded, timing.decode) },
    });
    return ExitCode.done;
  }
  if (flags.samples > 1) for (const r of results) line(`${r === first ? '' : '\n'}--- seed ${r.seed}, mean log probability ${(r.score ?? 0).toFixed(4)}\n${r.text}`);
  else if (tokenizer || (first && first.ids.length > 0)) line();
  const cut = results.find((r) => r.unfinished);
  if (cut && !flags.quiet) note(unfinishedNote(cut.stopped, flags));
  if (!flags.quiet) summary(model, session, ids.length, timing, results.some((r) => r.stopped === 'context'));
  return ExitCode.done;
}

/** Shows the pieces of a text as they come, and gives what the generator returns. */
async function written(pieces: AsyncGenerator<string, GeneratedText, undefined>, show: (piece: string) => void): Promise<GeneratedText> {
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return value;
    show(value);
  }
}

/** Without a tokenizer: ids, which nothing but their number, a stop id or the context ends. */
async function idsOnly(session: Session, ids: number[], options: TextOptions, show: (piece: string) => void): Promise<GeneratedText> {
  const tokens: GeneratedToken[] = [];
  const source = session.tokens(ids, options);
  for (;;) {
    const { done, value } = await source.next();
    if (done) return { text: '', ids: tokens.map((t) => t.id), tokens, stopped: value };
    if (options.stop?.includes(value.id)) continue;
    tokens.push(value);
    show(`${tokens.length > 1 ? ' ' : ''}${value.id}`);
  }
}

const rate = (tokens: number, milliseconds: number): number => (milliseconds > 0 ? Math.round((tokens / milliseconds) * 10000) / 10 : 0);

function resultJson({ text, ids, tokens, stopped, stop, seed, score, unfinished }: GeneratedText & Partial<Sample>, tokenizer: Tokenizer | undefined, flags: RunFlags): Record<string, unknown> {
  const named = <T extends { id: number }>(token: T): T & { token?: string } => {
    const name = tokenizer?.tokenOf(token.id);
    return { ...token, ...(name === undefined ? {} : { token: name }) };
  };
  return {
    ids, ...(tokenizer ? { text } : {}), stopped, ...(unfinished ? { unfinished } : {}), ...(stop === undefined ? {} : { stop }), ...(seed === undefined ? {} : { seed }), ...(score === undefined ? {} : { score }),
    ...(flags.logprobs === undefined ? {} : { logprobs: tokens.map((t) => ({ ...named(t), ...(t.top ? { top: t.top.map(named) } : {}) })) }),
  };
}

const deviceLine = (model: LoadedModel, { device }: Session): string =>
  `${model.name} on ${device.description}, ${device.reason}${device.variants === undefined ? '' : `; ${device.variants}`}`;

function summary(model: LoadedModel, session: Session, prompt: number, timing: Timing, full: boolean): void {
  note(`\n${deviceLine(model, session)}`);
  note(`loaded in ${Math.round(timing.load)} ms; prompt ${prompt} tokens at ${rate(prompt, timing.prefill)} tokens/s; then ${timing.decoded} tokens at ${rate(timing.decoded, timing.decode)} tokens/s`
    + `${full ? `; stopped because the context of ${session.context} tokens is full (--context-shift goes on)` : ''}`);
  noteQuantisation(model.quantisation);
  if (model.warnings.length > 0) note(`${model.warnings.length} warning${model.warnings.length === 1 ? '' : 's'}: peel check lists ${model.warnings.length === 1 ? 'it' : 'them'}`);
}
