/** Options that several commands share, and the parsing of their values. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ExitCode, PeelError } from '../compiler/diagnostics.ts';
import { quantisations, type Quantisation } from '../compiler/quantise-choice.ts';
import { deviceNames, type DeviceName } from '../runtime/device.ts';
import type { ModelOptions } from '../runtime/model.ts';

export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[+-]?\d+$/.test(text.trim()) || !Number.isSafeInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(`A whole number ${most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`} was expected.`);
    }
    return value;
  };
}

export function decimal(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (!(value >= least && value <= most)) throw new InvalidArgumentError(`A number from ${least} to ${most} was expected.`);
    return value;
  };
}

export function idList(text: string): number[] {
  return text.split(',').map((part) => {
    if (!/^\s*\d+\s*$/.test(part)) throw new InvalidArgumentError(`Token ids such as 1,2,3 were expected, found '${part}'.`);
    return Number(part);
  });
}

function deviceName(text: string): DeviceName {
  const found = deviceNames.find((name) => name === text);
  if (found === undefined) throw new InvalidArgumentError(`One of ${deviceNames.join(', ')} was expected.`);
  return found;
}

export function deviceList(text: string): DeviceName[] {
  const names = text.split(',').map((part) => deviceName(part.trim()));
  if (names.length !== 2) throw new InvalidArgumentError('Two devices such as cpu,reference were expected.');
  return names;
}

/** --set name=value, any number of times. */
function setting(text: string, earlier: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('A param and its value were expected: name=value.');
  return { ...earlier, [text.slice(0, at).trim()]: text.slice(at + 1).trim() };
}

export interface CommonFlags {
  readonly json?: boolean;
  readonly weights?: string;
  readonly spec?: string;
  readonly set?: Record<string, string>;
  readonly random?: number | true;
  readonly quantize?: Quantisation;
  readonly keep?: string[];
  readonly device?: DeviceName;
  readonly threads?: number;
  readonly context?: number;
  readonly exact?: boolean;
  readonly force?: boolean;
}

export function modelOptions(command: Command): Command {
  return command
    .option('--weights <path>', 'weights for a spec: a folder, a .safetensors or a .gguf file')
    .option('--spec <name>', 'use this spec for a folder or GGUF file, instead of the one that it picks')
    .option('--set <name=value>', 'give a param of the spec a value (repeatable)', setting)
    .option('--random [seed]', 'random weights, to try a spec that has none', wholeNumber(0));
}

/** For commands that load weights or plan for them. */
export function quantiseOptions(command: Command): Command {
  return command
    .addOption(new Option('--quantize <format>', 'quantise the weights while they are loaded').choices(quantisations))
    .option('--keep <pattern>', "with --quantize: leave these slots alone, such as 'output.*' (repeatable)", (text: string, earlier: string[] = []) => [...earlier, text]);
}

/** --set alone. */
export function settingOption(command: Command): Command {
  return command.option('--set <name=value>', 'give a param of the spec a value (repeatable)', setting);
}

export function deviceOptions(command: Command, withDevice = true): Command {
  if (withDevice) command.option('--force', 'load a model that takes more memory than is free').addOption(new Option('--device <name>', `${deviceNames.join(', ')}`).argParser(deviceName).default('auto', 'auto: a hardware GPU if there is one, else the CPU'));
  return command
    .option('--threads <n>', 'worker threads of the cpu backend', wholeNumber(1, 8))
    .option('--context <n>', 'most tokens of a sequence', wholeNumber(1, 1 << 24))
    .option('--exact', 'keep the inputs of products with quantised weights in f32, instead of rounding them to 8 bits');
}

/** What the library takes, from the flags. */
export function toModelOptions(path: string, flags: CommonFlags): ModelOptions {
  if (flags.keep !== undefined && flags.quantize === undefined) {
    throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: '--keep goes with --quantize' }]);
  }
  return {
    path,
    ...(flags.weights === undefined ? {} : { weights: flags.weights }), ...(flags.spec === undefined ? {} : { spec: flags.spec }),
    ...(flags.set === undefined ? {} : { set: flags.set }), ...(flags.random === undefined ? {} : { random: flags.random === true ? 0 : flags.random }),
    ...(flags.quantize === undefined ? {} : { quantize: flags.quantize }), ...(flags.keep === undefined ? {} : { keep: flags.keep }),
  };
}

/** `taps`: what the command shows of the model's inside; a spec's own taps are for those that show any. */
export function toSessionOptions(flags: CommonFlags): { taps: readonly string[]; device?: DeviceName; threads?: number; context?: number; exact?: boolean; force?: boolean; debug?: (text: string) => void } {
  return {
    taps: [],
    ...(flags.device === undefined ? {} : { device: flags.device }), ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.context === undefined ? {} : { context: flags.context }), ...(flags.exact === undefined ? {} : { exact: flags.exact }), ...(flags.force === undefined ? {} : { force: flags.force }),
    ...(process.env.PEEL_DEBUG ? { debug: (text: string): void => { process.stderr.write(`${text}\n`); } } : {}),
  };
}
