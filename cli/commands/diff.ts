/** peel diff: a model against a recording, or one way of running it against another, to the first difference and why it is there. */
import { Command } from 'commander';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { compareAgainst } from '../../runtime/diff/against.ts';
import { compareSides, type BetweenOptions, type BetweenReport, type Side } from '../../runtime/diff/between.ts';
import { comparedOutputs } from '../../runtime/diff/outputs.ts';
import { record } from '../../runtime/diff/record.ts';
import type { Inside } from '../../runtime/diff/inside.ts';
import type { DeviceReport } from '../../runtime/backend.ts';
import type { DeviceName } from '../../runtime/device.ts';
import { loadModel, type LoadedModel, type SessionOptions } from '../../runtime/model.ts';
import { randomSource } from '../../runtime/sampling/random.ts';
import { openSafetensors } from '../../runtime/weights/safetensors.ts';
import { writeSafetensors } from '../../runtime/weights/writer.ts';
import { writeAgainst, writeBetween } from '../diff-report.ts';
import { line, note, noteQuantisation, quantisationResult, writeJson } from '../output.ts';
import { decimal, deviceList, deviceOptions, idList, modelOptions, quantiseOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';
import { tapOption, type TapFlags } from '../taps.ts';

interface DiffFlags extends CommonFlags, TapFlags {
  readonly against?: string;
  readonly save?: string;
  readonly devices?: DeviceName[];
  readonly fused?: boolean;
  readonly ids?: number[];
  readonly tokens: number;
  readonly tolerance: number;
  readonly nmse?: number;
  readonly seconds: number;
}

export function diffCommand(finish: Finish): Command {
  const command = new Command('diff')
    .description('Compare a model\'s embeddings, layers, logits and greedy tokens with a recording, or two ways of running it; where they part, name the operator, the pass, and the likely cause.')
    .argument('<model>', 'folder, GGUF file, spec, or name');
  tapOption(quantiseOptions(modelOptions(command)), 'with --save: record named values too')
    .option('--against <file>', 'recording: input_ids, hidden.{i}, logits (or last_hidden), generated, gen_logits, and any named value')
    .option('--devices <a,b>', 'compare device a with device b', deviceList)
    .option('--fused', 'compare fused kernels with one kernel an operator')
    .option('--save <file>', 'record what the model computes, for --against later')
    .option('--ids <list>', 'without --against: ids to run; 21 random ones if absent', idList)
    .option('--tokens <n>', 'without --against: greedy tokens', wholeNumber(0, 4096), 12)
    .option('--tolerance <x>', 'largest difference of a logit, and of other values in terms of their size', decimal(0, 1e9), 1e-4)
    .option('--nmse <x>', 'largest NMSE of each value, in place of the tolerance (0.02 for --exact, 0.1 for --quantize)', decimal(0, 1e9))
    .option('--seconds <n>', 'with --against: most seconds to look for the likely cause; 0: none', decimal(0, 1e6), 60);
  return deviceOptions(command)
    .option('--json', 'one JSON object')
    .addHelpText('after', `
One of --against, --devices, --fused and --save says what is done. Without them, --exact compares inputs rounded to 8 bits with exact ones, and
--quantize the quantised weights with those that the files hold.
Exits with 1 where logits differ by more than the tolerance, a greedy token differs, or prefill and token-by-token decode disagree.

Examples:
  $ peel diff ./llama --against ./llama/golden.safetensors --device cpu --threads 2
  $ peel diff ./llama --devices webgpu,reference
  $ peel diff ./llama --fused --device cpu
  $ peel diff ./llama --quantize q4_0
  $ peel diff my-spec.yaml --random --devices cpu,reference

A recording of any transformers model, for --against (README, "Finding the first difference"):
${snippet.split('\n').map((text) => `  ${text}`).join('\n')}`)
    .action(async (path: string, flags: DiffFlags) => finish(await diff(path, flags)));
}

/** In the README too. */
const snippet = `import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("./llama", dtype=torch.float32, attn_implementation="eager").eval()
ids = torch.arange(3, 20).unsqueeze(0)
with torch.no_grad():
    out = model(ids, output_hidden_states=True)
values = {f"hidden.{i}": h[0].contiguous() for i, h in enumerate(out.hidden_states)}
save_file({"input_ids": ids[0].int(), "logits": out.logits[0].contiguous(), **values}, "golden.safetensors")`;

function usage(message: string, hint?: string): PeelError {
  return new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message, ...(hint === undefined ? {} : { hint }) }]);
}

type Mode = 'against' | 'devices' | 'fused' | 'save' | 'exact' | 'quantize';

function modeOf(flags: DiffFlags): Mode {
  const given = (['against', 'devices', 'fused', 'save'] as const).filter((mode) => flags[mode] !== undefined);
  if (given.length > 1) throw usage(`${given.map((mode) => `--${mode}`).join(' and ')} each ask for something else: give one of them`);
  const mode = given[0] ?? (flags.exact === true ? 'exact' : flags.quantize !== undefined ? 'quantize' : undefined);
  if (mode === undefined) throw usage('say what to compare with: --against FILE, --devices A,B, --fused, --exact, or --quantize FORMAT; or --save FILE to record');
  if (flags.tap !== undefined && mode !== 'save') throw usage('--tap goes with --save', 'where values differ, those before them are looked at by themselves');
  if (flags.ids !== undefined && mode === 'against') throw usage('--ids does not go with --against: the recording has its own');
  if (mode === 'fused' && flags.device === 'reference') throw usage('the reference runs every operator by itself: there is nothing fused to compare', 'give --device cpu or --device webgpu');
  return mode;
}

async function diff(path: string, flags: DiffFlags): Promise<ExitCode> {
  const mode = modeOf(flags);
  const model = await loadModel(toModelOptions(path, flags));
  try {
    switch (mode) {
      case 'save': return await saveRecording(model, flags.save ?? '', flags);
      case 'against': return await withRecording(model, flags.against ?? '', flags);
      case 'devices': return await betweenDevices(model, flags);
      case 'fused': return await fusedAgainstUnfused(model, flags);
      case 'exact': return await roundedAgainstExact(model, flags);
      case 'quantize': return await quantisedAgainstStored(path, model, flags);
      default: throw mode satisfies never;
    }
  } finally {
    await model.dispose();
  }
}

/** For sequences of `length` tokens. */
function sessionFor(model: LoadedModel, flags: DiffFlags, length: number): SessionOptions {
  const context = flags.context ?? Math.min(length, Math.max(length, model.capacity().context));
  return { ...toSessionOptions(flags), context, maxTokens: 128, logitRows: 128, taps: [] };
}

async function withRecording(model: LoadedModel, against: string, flags: DiffFlags): Promise<ExitCode> {
  const golden = await openSafetensors(against);
  try {
    const size = (name: string): number => golden.tensors.get(name)?.shape.at(-1) ?? 0;
    const session = sessionFor(model, flags, Math.max(1, size('input_ids') + size('generated')));
    const report = await compareAgainst(model, golden, against, session, { tolerance: flags.tolerance, ...(flags.nmse === undefined ? {} : { nmse: flags.nmse }), seconds: flags.seconds });
    const placed = { ...report, ...(report.inside ? { inside: withPlace(model, report.inside) } : {}) };
    if (flags.json) writeJson({ ok: report.passed, model: model.name, devices: [report.device], ...quantisationResult(model.quantisation), against, ...placed });
    else {
      head(model, [report.device]);
      writeAgainst(placed);
    }
    return report.passed ? ExitCode.done : ExitCode.failed;
  } finally {
    await golden.dispose();
  }
}

/** Where the first wrong operator is written. */
function withPlace(model: LoadedModel, inside: Inside): Inside {
  const location = inside.first?.path === undefined ? undefined : model.placeOf(inside.first.path);
  return inside.first && location ? { ...inside, first: { ...inside.first, location } } : inside;
}

function head(model: LoadedModel, devices: readonly DeviceReport[]): void {
  for (const device of devices) line(`${model.name} on ${device.description}, ${device.reason}${device.variants === undefined ? '' : `; ${device.variants}`}`);
  noteQuantisation(model.quantisation);
}

/** The ids given, or some that stay the same from run to run. */
function idsFor(model: LoadedModel, flags: DiffFlags): number[] {
  const random = randomSource(1);
  const count = Math.max(1, Math.min(21, model.capacity().context - flags.tokens));
  return flags.ids ?? Array.from({ length: count }, () => Math.floor(random() * model.model.embeddings.token.rows));
}

async function saveRecording(model: LoadedModel, file: string, flags: DiffFlags): Promise<ExitCode> {
  const ids = idsFor(model, flags);
  const options = sessionFor(model, flags, ids.length + flags.tokens);
  const session = await model.session({ ...options, outputs: comparedOutputs(model.model.layers.length), ...(flags.tap ? { taps: flags.tap, maxTokens: Math.max(128, ids.length) } : {}) });
  const tensors = await record(session, ids, flags.tokens, session.taps);
  await writeSafetensors(file, tensors, { model: model.name, device: session.device.description });
  if (flags.json) writeJson({ ok: true, model: model.name, device: session.device, file, tensors: [...tensors.keys()] });
  else line(`${tensors.size} tensors of ${model.name} on ${session.device.description} saved to ${file}`);
  return ExitCode.done;
}

async function betweenDevices(model: LoadedModel, flags: DiffFlags): Promise<ExitCode> {
  const [a = 'cpu', b = 'reference'] = flags.devices ?? [];
  const ids = idsFor(model, flags);
  const session = sessionFor(model, flags, ids.length + flags.tokens);
  const side = (device: DeviceName): Side => ({ model, name: device, options: { ...session, device } });
  return between(model, side(a), side(b), flags, { ids, devices: true }, 'the second device');
}

async function fusedAgainstUnfused(model: LoadedModel, flags: DiffFlags): Promise<ExitCode> {
  const ids = idsFor(model, flags);
  const options = sessionFor(model, flags, ids.length + flags.tokens);
  return between(model, { model, name: 'fused', options }, { model, name: 'unfused', options: { ...options, plan: { fuse: false } } }, flags, { ids, fusion: true }, 'unfused');
}

async function roundedAgainstExact(model: LoadedModel, flags: DiffFlags): Promise<ExitCode> {
  const ids = idsFor(model, flags);
  const options = sessionFor(model, flags, ids.length + flags.tokens);
  return between(model, { model, name: '8-bit inputs', options: { ...options, exact: false } }, { model, name: 'exact inputs', options: { ...options, exact: true } }, flags, { ids, nmse: 0.02 }, 'exact inputs');
}

async function quantisedAgainstStored(path: string, model: LoadedModel, flags: DiffFlags): Promise<ExitCode> {
  const { quantize, keep: _keep, ...rest } = flags;
  const stored = await loadModel(toModelOptions(path, rest));
  try {
    const ids = idsFor(model, flags);
    const options = sessionFor(model, flags, ids.length + flags.tokens);
    return await between(model, { model, name: `${quantize}`, options }, { model: stored, name: 'as stored', options }, flags, { ids, nmse: 0.1 }, 'the weights as they are stored');
  } finally {
    await stored.dispose();
  }
}

async function between(model: LoadedModel, a: Side, b: Side, flags: DiffFlags, options: Omit<BetweenOptions, 'steps' | 'tolerance'>, against: string): Promise<ExitCode> {
  const nmse = flags.nmse ?? options.nmse;
  const found = await compareSides(a, b, { ...options, ...(nmse === undefined ? {} : { nmse }), steps: flags.tokens, tolerance: flags.tolerance });
  const report: BetweenReport = found.inside ? { ...found, inside: withPlace(model, found.inside) } : found;
  const { devices } = report;
  if (flags.json) writeJson({ ok: report.passed, model: model.name, device: devices[0], ...quantisationResult(model.quantisation), against, ...report });
  else {
    head(model, a.name === devices[0].device ? devices : [devices[0]]);
    if (options.devices !== true) line(`${a.name} against ${b.name}`);
    if (options.nmse !== undefined && report.outputs.every((d) => d.maxAbs === 0)) note('both are the same: no weights are quantised (a GGUF file, or --quantize), or the device keeps inputs in f32 anyway');
    writeBetween(report);
  }
  return report.passed ? ExitCode.done : ExitCode.failed;
}
