/** peel plan diff: what changed from one plan to another. */
import { Command, Option } from 'commander';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import type { ParamValue } from '../../compiler/model.ts';
import { diffSummaries } from '../../compiler/plan-diff.ts';
import { planDiffMarkdown, printPlanDiff } from '../../compiler/print-plan-diff.ts';
import { targets } from '../../compiler/targets.ts';
import { targetOf } from '../../runtime/graph-tests/target.ts';
import { planSides } from '../../runtime/plan-sides/side.ts';
import { settingOption, wholeNumber } from '../options.ts';
import { writeJson } from '../output.ts';
import type { Finish } from '../program.ts';

interface PlanDiffFlags {
  readonly set?: Record<string, ParamValue>;
  readonly config?: string;
  readonly weights?: string;
  readonly device?: string;
  readonly context?: number;
  readonly maxTokens?: number;
  readonly json?: boolean;
  readonly markdown?: boolean;
  readonly exitCode?: boolean;
}

export function planDiffCommand(finish: Finish): Command {
  const command = new Command('diff').description('What changed from plan A to plan B: parameters, bytes, FLOPs, kernels, fusions, memory.')
    .argument('<a>', 'before: a model as for `peel plan`, a file of `peel plan --json`, a snapshot, or REVISION:FILE of git').argument('<b>', 'after');
  return settingOption(command)
    .option('--config <file>', 'a config.json that gives the params of specs their values')
    .option('--weights <path>', 'weights of the specs: a folder, a .safetensors or a .gguf file')
    .addOption(new Option('--device <name>', 'plans for this device (cpu; where one plan is saved, its device)').choices(['cpu', 'webgpu', 'webgpu-software']))
    .option('--context <n>', 'most tokens of a sequence', wholeNumber(1, 1 << 24))
    .option('--max-tokens <n>', 'most tokens of one step', wholeNumber(1, 65536))
    .option('--markdown', 'for a comment on a pull request: a short table, details folded')
    .option('--json', 'the differences as one JSON object')
    .option('--exit-code', 'end with 1 where the plans differ')
    .exitOverride().showHelpAfterError('(add --help for the usage)').showSuggestionAfterError()
    .addHelpText('after', `
Examples:
  $ peel plan diff llama.yaml llama-next.yaml --set layers=2
  $ peel plan diff HEAD~1:models/llama.yaml models/llama.yaml --config ./SmolLM-135M/config.json
  $ peel plan diff main:my-spec.yaml my-spec.yaml --markdown > comment.md
  $ peel plan my-spec.yaml --json > before.json; ...; peel plan diff before.json my-spec.yaml --exit-code`)
    .action(async (a: string, b: string, flags: PlanDiffFlags, own: Command) => finish(await planDiff([a, b], flags, own)));
}

async function planDiff(names: readonly [string, string], flags: PlanDiffFlags, own: Command): Promise<ExitCode> {
  const wrong = (message: string, hint: string): never => { throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message, hint }]); };
  const before = own.parent?.options.filter((option) => own.parent?.getOptionValueSource(option.attributeName()) === 'cli') ?? [];
  if (before.length > 0) wrong(`${before.map((option) => option.long ?? option.flags).join(', ')} before \`diff\` would be lost`, 'options come after it: peel plan diff A B --device webgpu');
  if (flags.json && flags.markdown) wrong('--json and --markdown exclude each other', 'give one of them');
  const { set, config, weights, device, context, maxTokens } = flags;
  const [first, second] = await planSides(names, {
    ...(set === undefined ? {} : { set }), ...(config === undefined ? {} : { config }), ...(weights === undefined ? {} : { weights }),
  }, {
    ...(device === undefined ? {} : { target: targetOf(device) }), ...(context === undefined ? {} : { context }), ...(maxTokens === undefined ? {} : { maxTokens }),
  }, targets.cpu);
  const diff = diffSummaries(first, second);
  const sides = { before: names[0], after: names[1] };
  if (flags.json) writeJson({ names: sides, ...diff });
  else process.stdout.write(flags.markdown ? planDiffMarkdown(diff, sides) : printPlanDiff(diff, sides));
  return flags.exitCode && !diff.equal ? ExitCode.failed : ExitCode.done;
}
