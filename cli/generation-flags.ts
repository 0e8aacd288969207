/** The flags of generation, which `run` and `chat` share, and what the library takes for them. */
import { InvalidArgumentError, type Command } from 'commander';
import { ExitCode, PeelError } from '../compiler/diagnostics.ts';
import { grammarOf, type ConstraintSource } from '../runtime/constrain/engine.ts';
import type { GeneratedText, TextOptions } from '../runtime/generation/text.ts';
import type { SamplingOptions } from '../runtime/sampling/options.ts';
import { readText } from '../runtime/weights/files.ts';
import { JsonSyntaxError, parseJson } from '../runtime/weights/json-text.ts';
import { decimal, idList, wholeNumber } from './options.ts';
import { note } from './output.ts';

export interface GenerationFlags extends SamplingOptions {
  readonly maxTokens?: number;
  readonly stop?: string[];
  readonly stopIds?: number[];
  readonly ignoreEos?: boolean;
  readonly contextShift?: boolean;
  readonly contextKeep?: number;
  readonly jsonSchema?: string;
  readonly regex?: string;
}

/** --logit-bias ID=AMOUNT, any number of times. */
function bias(text: string, earlier: Record<number, number> = {}): Record<number, number> {
  const [, id, amount] = /^\s*(\d+)\s*=\s*(-?(?:\d+(?:\.\d*)?|\.\d+|inf(?:inity)?))\s*$/i.exec(text) ?? [];
  if (id === undefined || amount === undefined) throw new InvalidArgumentError('A token id and an amount were expected: 42=-1.5, or 42=-inf to forbid it.');
  const value = /inf/i.test(amount) ? (amount.startsWith('-') ? -Infinity : Infinity) : Number(amount);
  if (value !== -Infinity && !(Math.abs(value) <= 1000)) throw new InvalidArgumentError('An amount from -1000 to 1000, or -inf, was expected.');
  return { ...earlier, [Number(id)]: value };
}

const text = (value: string, earlier: string[] = []): string[] => {
  if (value === '') throw new InvalidArgumentError('A text that is not empty was expected.');
  return [...earlier, value];
};

function pattern(value: string): string {
  if (value === '') throw new InvalidArgumentError('A pattern that is not empty was expected.');
  return value;
}

export function generationOptions(command: Command): Command {
  return command
    .option('--temperature <t>', '0 is greedy', decimal(0, 100))
    .option('--top-k <k>', 'draw from the k most likely tokens', wholeNumber(0))
    .option('--top-p <p>', 'draw from the most likely tokens that hold p together', decimal(0, 1))
    .option('--min-p <p>', 'draw from tokens at least p times as likely as the most likely', decimal(0, 1))
    .option('--typical-p <p>', 'draw from the most typical tokens that hold p together', decimal(0, 1))
    .option('--repetition-penalty <x>', 'divide the logits of tokens that were there by x', decimal(0, 100))
    .option('--frequency-penalty <x>', 'take x from the logit of a token for each time it was there', decimal(-100, 100))
    .option('--presence-penalty <x>', 'take x from the logits of tokens that were there', decimal(-100, 100))
    .option('--penalty-window <n>', 'tokens that penalties look back on: 64 if absent, -1 for all', wholeNumber(-1))
    .option('--logit-bias <id=x>', 'add x to the logit of a token, -inf forbids it (repeatable)', bias)
    .option('--seed <n>', 'equal seeds give equal text', wholeNumber(0))
    .option('--stop <text>', 'end before this text (repeatable)', text)
    .option('--stop-ids <list>', 'end before any of these token ids', idList)
    .option('--ignore-eos', 'go on past the end-of-text token')
    .option('--json-schema <file>', 'write only JSON that matches this schema')
    .option('--regex <pattern>', 'write only what this regular expression matches as a whole (JavaScript, u flag)', pattern)
    .option('--context-shift', 'where the context is full, keep the first tokens, drop half of the others, compute the rest again, and go on')
    .option('--context-keep <n>', 'first tokens that --context-shift keeps: 1 if absent', wholeNumber(0));
}

/** Why a text is not what --json-schema or --regex asks for. */
export function unfinishedNote(stopped: GeneratedText['stopped'], flags: GenerationFlags): string {
  const asked = flags.jsonSchema === undefined ? '--regex' : '--json-schema';
  const cut = stopped === 'length' ? 'at --max-tokens, give more' : stopped === 'context' ? 'where the context was full, give a longer --context' : stopped === 'stop' ? 'at a --stop text or id' : 'when it was interrupted';
  return `\nthe text was cut before it was all that ${asked} asks for: ${cut}`;
}

/** What --json-schema and --regex ask for; what is wrong with it is found here, before a model is loaded. */
export async function constraintSource({ jsonSchema, regex, quiet }: GenerationFlags & { readonly quiet?: boolean }): Promise<ConstraintSource | undefined> {
  if (jsonSchema !== undefined && regex !== undefined) {
    throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: '--json-schema and --regex exclude each other' }]);
  }
  const source = jsonSchema !== undefined ? { jsonSchema: await readSchema(jsonSchema) } : regex !== undefined ? { regex } : undefined;
  if (source) grammarOf(source);
  if (regex !== undefined && !quiet && /^\/.+\/[a-z]*$/.test(regex)) note(`the slashes of --regex ${regex} are part of the text: a pattern stands alone, without flags`);
  return source;
}

async function readSchema(file: string): Promise<unknown> {
  if (file === '' || /^\s*[{[]/.test(file)) {
    throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: `--json-schema names a file, found ${file === '' ? 'nothing' : 'JSON'}`, hint: 'write the schema into a file' }]);
  }
  const text = await readText(file, 16 << 20);
  const wrong = (message: string, line: number, column: number): PeelError =>
    new PeelError(ExitCode.usage, [{ code: 'E028', severity: 'error', path: '/json-schema', message, location: { file, line, column } }]);
  try {
    const { value, duplicates: [twice] } = parseJson(text);
    if (twice) throw wrong(`the name '${twice.key}' is there twice`, twice.line, twice.column);
    return value;
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw wrong(`is not valid JSON: ${error.message}`, error.line, error.column);
    throw error;
  }
}

/** What the chain does, for a help text. */
export const chainHelp = `The next token is chosen by: logit bias, constraint, penalties, top-k, typical-p, top-p, min-p, temperature, in this order.
Without --temperature the most likely token is taken.`;

/** The library's options; those that are absent stay absent. */
export function toTextOptions(flags: GenerationFlags): TextOptions {
  const options: Record<string, unknown> = {};
  const names = ['maxTokens', 'temperature', 'topK', 'topP', 'minP', 'typicalP', 'repetitionPenalty', 'frequencyPenalty', 'presencePenalty', 'penaltyWindow', 'logitBias', 'seed'] as const satisfies readonly (keyof GenerationFlags & keyof TextOptions)[];
  for (const name of names) if (flags[name] !== undefined) options[name] = flags[name];
  return {
    ...options, ...(flags.stop === undefined ? {} : { stopStrings: flags.stop }), ...(flags.stopIds === undefined ? {} : { stop: flags.stopIds }),
    ...(flags.ignoreEos ? { ignoreEnd: true } : {}), ...(flags.contextShift ? { contextShift: { keep: flags.contextKeep ?? 1 } } : {}),
  };
}
