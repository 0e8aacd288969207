/** peel plan: what a model becomes on a device. */
import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { printGraph } from '../../compiler/graph/print.ts';
import { printPlan } from '../../compiler/print-plan.ts';
import { printSchedule } from '../../compiler/kernels/print.ts';
import { targets } from '../../compiler/targets.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import type { ExecutionPlan, Target } from '../../compiler/plan.ts';
import type { Fit } from '../../runtime/fit/fit.ts';
import { printFit } from '../../runtime/fit/print-fit.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import { hardwareTarget } from '../../runtime/webgpu/node.ts';
import { line, noteQuantisation, writeJson } from '../output.ts';
import { deviceOptions, modelOptions, quantiseOptions, toModelOptions, wholeNumber, type CommonFlags } from '../options.ts';
import type { Finish } from '../program.ts';
import { tapOption, type TapFlags } from '../taps.ts';
import { planDiffCommand } from './plan-diff.ts';

interface PlanFlags extends CommonFlags, TapFlags {
  readonly dump?: string;
  readonly fuse: boolean;
  readonly maxTokens?: number;
  readonly detail?: boolean;
  readonly fit?: boolean;
}

const stages = ['model', 'graph'];

/** What a token of the vocabulary takes in a tokenizer, measured. */
const tokenizerBytes = 320;

export function planCommand(finish: Finish): Command {
  const command = new Command('plan').description('Print the kernels of a model on a device, what was fused and why, buffers and bytes.').argument('<model>', 'spec, folder, GGUF file, or name');
  quantiseOptions(modelOptions(command)).addOption(new Option('--device <name>', 'the plan for this device; none is opened').choices(['cpu', 'webgpu', 'webgpu-software']).default('cpu'));
  tapOption(command, 'plan for values inside the model to be brought back');
  return deviceOptions(command, false)
    .option('--max-tokens <n>', 'most tokens of one step', wholeNumber(1, 65536))
    .option('--fit', 'only what it takes of memory, and whether that is free; exit code 13 where it is not')
    .option('--detail', 'every kernel with its expressions, no layers folded')
    .option('--no-fuse', 'one kernel an operator')
    .option('--dump <stage>', 'print a stage instead: model, graph, schedule, the name of a pass, or all')
    .option('--json', 'the plan as one JSON object')
    .addHelpText('after', `
Examples:
  $ peel plan nano-llama
  $ peel plan llama --weights ./SmolLM-135M --device webgpu
  $ peel plan model.gguf --context 32768 --fit
  $ peel plan my-spec.yaml --set layers=1 --dump graph
  $ peel plan nano-llama --json > plan.json
  $ peel plan diff HEAD~1:my-spec.yaml my-spec.yaml      what changed: peel plan diff --help`)
    .action(async (path: string, flags: PlanFlags) => finish(await plan(path, flags)))
    .enablePositionalOptions().helpCommand(false)
    .addCommand(planDiffCommand(finish));
}

function targetFor(name: string | undefined, threads: number | undefined): Target {
  switch (name) {
    case 'webgpu': return targets.webgpu;
    case 'webgpu-software': return targets.webgpuSoftware;
    default: return { ...targets.cpu, threads: threads ?? 1 };
  }
}

async function plan(path: string, flags: PlanFlags): Promise<ExitCode> {
  if (flags.fit && flags.dump !== undefined) throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: '--fit and --dump exclude each other' }]);
  const model = await loadModel({ ...toModelOptions(path, flags), headersOnly: true });
  try {
    noteQuantisation(model.quantisation);
    const dumps = new Map<string, () => string>([['model', () => JSON.stringify(model.model, null, 2)], ['graph', () => printGraph(model.graph)]]);
    const built = model.plan(targetFor(flags.device, flags.threads), {
      ...(flags.tap === undefined ? {} : { taps: flags.tap }),
      ...(flags.context === undefined ? {} : { context: flags.context }), ...(flags.maxTokens === undefined ? {} : { maxTokens: flags.maxTokens }),
      plan: {
        fuse: flags.fuse, onGraphPass: (name, graph) => dumps.set(name, () => printGraph(graph)),
        onPass: (name, schedule) => dumps.set(name, () => printSchedule(schedule)),
      },
    });
    if (flags.dump !== undefined) {
      dump(flags.dump, dumps, model, built);
      return ExitCode.done;
    }
    const fit = await fitHere(model, built, flags);
    if (flags.json) writeJson(flags.fit ? { ok: fit.fits, model: model.name, ...fit } : { ...built, fit });
    else line(flags.fit ? printFit(fit) : `${printPlan(built, { detail: flags.detail ?? false })}\n${printFit(fit)}`);
    return flags.fit && !fit.fits ? ExitCode.device : ExitCode.done;
  } finally {
    await model.dispose();
  }
}

/** What a running model would take here, on as many threads as it would have, or on the GPU that is here. */
async function fitHere(model: LoadedModel, built: ExecutionPlan, flags: PlanFlags): Promise<Fit> {
  const { target } = built;
  const here = target.device === 'cpu' ? { ...target, threads: flags.threads ?? Math.min(8, availableParallelism()) } : target.software ? target : (await hardwareTarget()) ?? target;
  const resident = process.memoryUsage().rss;
  return model.fit({ ...built, target: here }, {}, { resident, later: tokenizerBytes * model.model.embeddings.token.rows });
}

function dump(stage: string, dumps: ReadonlyMap<string, () => string>, model: LoadedModel, built: ExecutionPlan): void {
  if (stage === 'plan') { line(JSON.stringify(built, null, 2)); return; }
  if (stage === 'all') {
    for (const [name, text] of dumps) line(`=== ${name} of ${model.name}\n${text()}`);
    return;
  }
  const text = dumps.get(stage);
  if (!text) {
    const known = [...stages, ...[...dumps.keys()].filter((name) => !stages.includes(name)), 'plan', 'all'];
    throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: `there is no stage '${stage}'`, hint: `one of ${known.join(', ')}` }]);
  }
  line(text());
}
