/** peel diff: a model against a recording, or one device against another. */
import { Command } from 'commander';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { comparedOutputs } from '../../runtime/diff/outputs.ts';
import { record } from '../../runtime/diff/record.ts';
import { compareWithRecording } from '../../runtime/diff/recording.ts';
import type { ComparisonReport } from '../../runtime/diff/report.ts';
import { compareSessions } from '../../runtime/diff/sessions.ts';
import type { DeviceName } from '../../runtime/device.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import { randomSource } from '../../runtime/sampling/random.ts';
import type { Session } from '../../runtime/session.ts';
import { writeSafetensors } from '../../runtime/weights/writer.ts';
import { openSafetensors } from '../../runtime/weights/safetensors.ts';
import { line, noteQuantisation, quantisationResult, short, table, writeJson } from '../output.ts';
import { decimal, deviceList, deviceOptions, idList, modelOptions, quantiseOptions, toModelOptions, toSessionOptions, wholeNumber, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';

interface DiffFlags extends CommonFlags {
  readonly against?: string;
  readonly save?: string;
  readonly devices?: DeviceName[];
  readonly ids?: number[];
  readonly tokens: number;
  readonly tolerance: number;
}

export function diffCommand(finish: Finish): Command {
  const command = new Command('diff').description('Compare a model\'s embeddings, layers, logits and greedy tokens with a recording, or between devices.').argument('<model>', 'folder, GGUF file, spec, or name');
  quantiseOptions(modelOptions(command))
    .option('--against <file>', 'recording: input_ids, hidden.{i}, logits (or last_hidden), generated, gen_logits')
    .option('--devices <a,b>', 'compare device a with device b', deviceList)
    .option('--save <file>', 'record what the model computes, for --against later')
    .option('--ids <list>', 'with --devices or --save: ids to run; 21 random ones if absent', idList)
    .option('--tokens <n>', 'with --devices or --save: greedy tokens', wholeNumber(0, 4096), 12)
    .option('--tolerance <x>', 'largest difference of a logit', decimal(0, 1e9), 1e-4);
  return deviceOptions(command)
    .option('--json', 'one JSON object')
    .addHelpText('after', `
Exits with 1 where logits differ by more than the tolerance, a greedy token differs, or prefill and token-by-token decode disagree.

Examples:
  $ peel diff ./llama --against ./llama/golden.safetensors --device cpu --threads 2
  $ peel diff ./llama --devices webgpu,reference
  $ peel diff my-spec.yaml --random --devices cpu,reference`)
    .action(async (path: string, flags: DiffFlags) => finish(await diff(path, flags)));
}

async function diff(path: string, flags: DiffFlags): Promise<ExitCode> {
  if ([flags.against, flags.devices, flags.save].filter((flag) => flag !== undefined).length !== 1) {
    throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: 'give either --against FILE or --devices A,B, or --save FILE' }]);
  }
  const model = await loadModel(toModelOptions(path, flags));
  try {
    if (flags.save !== undefined) return await saveRecording(model, flags.save, flags);
    return flags.against === undefined ? await betweenDevices(model, flags) : await withRecording(model, flags.against, flags);
  } finally {
    await model.dispose();
  }
}

/** A session that brings every output back, for sequences of `length` tokens and some more. */
async function open(model: LoadedModel, flags: DiffFlags, length: number, device?: DeviceName): Promise<Session> {
  const context = flags.context ?? Math.min(length, Math.max(length, model.capacity().context));
  return model.session({ ...toSessionOptions(flags), ...(device === undefined ? {} : { device }), outputs: comparedOutputs(model.model.layers.length), context, maxTokens: 128, logitRows: 128 });
}

async function withRecording(model: LoadedModel, against: string, flags: DiffFlags): Promise<ExitCode> {
  const golden = await openSafetensors(against);
  try {
    const size = (name: string): number => golden.tensors.get(name)?.shape[0] ?? 0;
    const session = await open(model, flags, Math.max(1, size('input_ids') + size('generated')));
    const report = await compareWithRecording(session, golden, against, { tolerance: flags.tolerance });
    show(model, report, [session], flags, against);
    return report.passed ? ExitCode.done : ExitCode.failed;
  } finally {
    await golden.dispose();
  }
}

/** The ids given, or some that stay the same from run to run. */
function idsFor(model: LoadedModel, flags: DiffFlags): number[] {
  const random = randomSource(1);
  const count = Math.max(1, Math.min(21, model.capacity().context - flags.tokens));
  return flags.ids ?? Array.from({ length: count }, () => Math.floor(random() * model.model.embeddings.token.rows));
}

async function saveRecording(model: LoadedModel, file: string, flags: DiffFlags): Promise<ExitCode> {
  const ids = idsFor(model, flags);
  const session = await open(model, flags, ids.length + flags.tokens);
  const tensors = await record(session, ids, flags.tokens);
  await writeSafetensors(file, tensors, { model: model.name, device: session.device.description });
  if (flags.json) writeJson({ ok: true, model: model.name, device: session.device, file, tensors: [...tensors.keys()] });
  else line(`${tensors.size} tensors of ${model.name} on ${session.device.description} saved to ${file}`);
  return ExitCode.done;
}

async function betweenDevices(model: LoadedModel, flags: DiffFlags): Promise<ExitCode> {
  const [first, second] = flags.devices ?? [];
  const ids = idsFor(model, flags);
  const a = await open(model, flags, ids.length + flags.tokens, first);
  const b = await open(model, flags, ids.length + flags.tokens, second);
  const report = await compareSessions(a, b, ids, flags.tokens, { tolerance: flags.tolerance });
  show(model, report, [a, b], flags, 'the second device');
  return report.passed ? ExitCode.done : ExitCode.failed;
}

function show(model: LoadedModel, report: ComparisonReport, sessions: readonly Session[], flags: DiffFlags, against: string): void {
  const devices = sessions.map((s) => s.device);
  if (flags.json) {
    writeJson({ ok: report.passed, model: model.name, devices, device: devices[0], ...quantisationResult(model.quantisation), against, ...report });
    return;
  }
  for (const device of devices) line(`${model.name} on ${device.description}, ${device.reason}${device.variants === undefined ? '' : `; ${device.variants}`}`);
  noteQuantisation(model.quantisation);
  const rows = [...report.outputs, ...report.agreement.map((d) => ({ ...d, name: `logits ${d.name}` }))];
  for (const text of table(['output', 'elements', 'max abs', 'NMSE', ''], rows.map((d) => [d.name, d.elements, short(d.maxAbs), short(d.nmse), d.close ? '' : 'DIFFERS']))) line(text);
  const { tokens } = report;
  if (tokens) {
    const at = tokens.firstDifference;
    line(at < 0 ? `greedy tokens: all ${tokens.expected.length} equal` : `greedy tokens: number ${at} differs: expected ${tokens.expected[at]}, found ${tokens.found[at]}`);
  }
  if (report.firstDivergence !== undefined) line(`first divergence: ${report.firstDivergence}`);
  line(report.passed ? `passed: within ${report.tolerance}` : `FAILED: beyond ${report.tolerance}`);
}
