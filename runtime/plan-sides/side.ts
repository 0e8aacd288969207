/** The two sides of a comparison of plans: models, saved plans, snapshots, and each of these as it was in a git revision. */
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import { compileSpec } from '../../compiler/compile.ts';
import { ExitCode, PeelError, type Diagnostic } from '../../compiler/diagnostics.ts';
import { readSummary } from '../../compiler/plan-snapshot.ts';
import { summarise, type PlanSummary } from '../../compiler/plan-summary.ts';
import { planFromJson } from '../../compiler/verify-plan.ts';
import type { Capacity, Target } from '../../compiler/plan.ts';
import { isHubName } from '../hub/name.ts';
import { configBeside, locate, maxSpecBytes, modelsFolder, type Located } from '../locate.ts';
import { compileInput, loadCompiled, loadModel, type LoadedModel, type ModelOptions } from '../model.ts';
import { statIfThere } from '../weights/files.ts';
import { readJsonObject } from '../weights/json.ts';
import { openRevision, revisionAndFile, type RevisionFile } from './revision.ts';

/** What a side that is a model is planned for; what a saved plan on the other side was made for, or the model's own, where absent. */
export interface Circumstances {
  readonly target?: Target;
  readonly context?: number;
  readonly maxTokens?: number;
}

export type SideOptions = Omit<ModelOptions, 'path' | 'headersOnly'>;

/**
 * Summaries of the plans that two names stand for. A name is a model (as `peel plan` takes it), a file of `peel plan --json`, a snapshot, or
 * `REVISION:FILE`. Throws PeelError for what cannot be found, read or compiled.
 */
export async function planSides(names: readonly [string, string], options: SideOptions, wanted: Circumstances, fallback: Target): Promise<readonly [PlanSummary, PlanSummary]> {
  const opened: Side[] = [];
  try {
    for (const name of names) opened.push(await openSide(name, options));
    const saved = opened.flatMap((side) => ('summary' in side ? [side.summary] : []));
    if (saved.length === names.length && Object.keys({ ...wanted, ...options }).length > 0) {
      throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: 'both plans are saved: what they were made of and for is settled', hint: 'leave --set, --config, --weights, --device, --context and --max-tokens out' }]);
    }
    const unused = (['config', 'weights'] as const).find((key) => options[key] !== undefined);
    if (unused && opened.every((side) => 'summary' in side || side.hasOwn)) {
      throw new PeelError(ExitCode.usage, [{ code: 'E012', severity: 'error', path: '', message: `--${unused} goes with specs, and neither side is one`, hint: 'folders and GGUF files have their own' }]);
    }
    const target = wanted.target ?? saved[0]?.target ?? fallback;
    const capacity = capacityFor(wanted, saved[0]?.capacity);
    const [before, after] = opened.map((side) => ('summary' in side ? side.summary : summarise(side.model.plan(target, capacity), side.model.model))) as [PlanSummary, PlanSummary];
    return [before, after];
  } finally {
    for (const side of opened) if ('model' in side) await side.model.dispose();
  }
}

type Side = { readonly summary: PlanSummary } | { readonly model: LoadedModel; readonly hasOwn?: boolean };

function capacityFor({ context, maxTokens }: Circumstances, saved: Capacity | undefined): { context?: number; maxTokens?: number; logitRows?: number } {
  const [tokens, step] = [context ?? saved?.context, maxTokens ?? saved?.maxTokens];
  return { ...(tokens === undefined ? {} : { context: tokens }), ...(step === undefined ? {} : { maxTokens: step }), ...(saved ? { logitRows: saved.maxLogitRows } : {}) };
}

async function openSide(name: string, options: SideOptions): Promise<Side> {
  const revision = isHubName(name) || existsSync(name) ? undefined : revisionAndFile(name);
  if (revision) {
    const opened = openRevision(name, revision);
    const summary = savedPlan(name, Buffer.from(opened.content.subarray(0, HEAD_BYTES)).toString(), () => Buffer.from(opened.content).toString());
    return summary ? { summary } : { model: await modelOfRevision(opened, options) };
  }
  const summary = statIfThere(name)?.isFile() ? savedPlan(name, headOf(name), () => readFileSync(name, 'utf8')) : undefined;
  if (summary) return { summary };
  // A folder or a GGUF file has a config and weights of its own.
  const { config: _config, weights: _weights, ...rest } = options;
  const hasOwn = (await locate(name, options.models === undefined ? {} : { models: options.models })).weights !== undefined;
  return { model: await loadModel({ ...(hasOwn ? rest : options), path: name, headersOnly: true }), hasOwn };
}

const HEAD_BYTES = 4096;

function headOf(file: string): string {
  const opened = openSync(file, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(opened, head, 0, HEAD_BYTES, 0)).toString();
  } finally {
    closeSync(opened);
  }
}

/** The plan that a file holds, if its beginning says that it does. */
function savedPlan(name: string, head: string, text: () => string): PlanSummary | undefined {
  if (/^\s*\{[^[{]*"kind"\s*:\s*"plan"/.test(head)) return summarise(planFromJson(text(), name));
  return /^kind: plan-summary\s*$/m.test(head) ? readSummary(text(), name) : undefined;
}

/** A spec as it was, with what it extended then; what lies outside of the repository (the specs that come with Peel) as it is now. */
async function modelOfRevision(opened: RevisionFile, options: SideOptions): Promise<LoadedModel> {
  const { name, revision, root } = opened;
  const { config, weights } = options;
  const located: Located = {
    spec: name, ...(weights === undefined ? {} : { weights, ...await configBeside(weights) }),
    ...(config === undefined ? {} : { configFile: config, config: await readJsonObject(config) }),
  };
  const shipped = path.resolve(options.models ?? modelsFolder());
  const inRepository = path.relative(root, shipped);
  const isInside = inRepository !== '' && !inRepository.startsWith('..') && !path.isAbsolute(inRepository) && !inRepository.split(path.sep).includes('node_modules');
  const all = { ...options, path: name };
  const input = compileInput(located, all);
  const compiled = compileSpec({
    ...input, spec: opened.file, modelsFolder: isInside ? inRepository.split(path.sep).join('/') : shipped,
    readFile: (file) => {
      const content = path.isAbsolute(file) ? input.readFile(file) : opened.read(file);
      if (content !== undefined && content.length > maxSpecBytes) {
        throw new PeelError(ExitCode.spec, [{ code: 'E109', severity: 'error', path: '', message: `${revision}:${file} has ${content.length} bytes, at most ${maxSpecBytes} are read` }]);
      }
      return content;
    },
  });
  const place = (d: Diagnostic): Diagnostic => (d.location && !path.isAbsolute(d.location.file) ? { ...d, location: { ...d.location, file: `${revision}:${d.location.file}` } } : d);
  return loadCompiled(located, { ...compiled, diagnostics: compiled.diagnostics.map(place) }, { ...all, headersOnly: true });
}
