/** Whether a model fits its device and this machine, told from its plan before its weights are read, and what would fit where it does not. */
import { bytes as byteText } from '../../compiler/print-plan.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import type { Capacity, ExecutionPlan } from '../../compiler/plan.ts';
import type { Quantisation } from '../../compiler/quantise-choice.ts';
import { limitOf, limitProblem, mainParts, type Limit } from './limits.ts';
import type { MachineMemory } from './machine.ts';
import { memoryNeed, referenceNeed, type MemoryNeed, type NeedOptions } from './need.ts';
import { planOtherwise, type Otherwise } from './otherwise.ts';

export interface FitOptions extends NeedOptions {
  /** What may still be taken; nothing is compared with it if absent. */
  readonly machine?: MachineMemory | undefined;
  /** What the process has at present, of `process`: it is free for the model no more, but not to be found either. */
  readonly resident: number;
  /** The weights with each `--quantize` that changes something, best first. */
  readonly quantised?: () => ReadonlyMap<Quantisation, Otherwise>;
}

/** What V8 reserves for a WebAssembly memory of any size. */
const reservedAddresses = 10 * 2 ** 30;

/** A model on a device, as it is or otherwise. */
interface Subject {
  readonly model: string;
  readonly context: number;
  readonly at: (change: Otherwise) => { readonly need: MemoryNeed; readonly problem: string | undefined; readonly limit?: Limit; readonly parts: string };
}

export interface Fit {
  readonly fits: boolean;
  readonly need: MemoryNeed;
  /** What is nearest to what the device holds in one piece; the reference interpreter has no such limit. */
  readonly limit?: Limit;
  /** What is free for all of `need`, and of how much. */
  readonly free?: number;
  readonly total?: number;
  readonly limitedBy?: MachineMemory['limitedBy'];
  /** Why it does not fit. E902: the device could never hold it. E903: there is too little memory at present. */
  readonly problem?: { readonly code: 'E902' | 'E903'; readonly message: string };
  /** What would fit. */
  readonly instead: readonly { readonly context?: number; readonly quantize?: Quantisation }[];
}

/** A plan on its target. */
export function fitOf(plan: ExecutionPlan, options: FitOptions): Fit {
  return fitting({
    model: plan.model, context: plan.capacity.context,
    at: (change) => {
      const other = change.context === undefined && change.formats === undefined ? plan : planOtherwise(plan, change);
      const need = memoryNeed(other, change.weights === undefined ? options : { ...options, weights: change.weights });
      return { need, limit: limitOf(other, need), problem: limitProblem(other, need), parts: mainParts(need, other.capacity.context) };
    },
  }, options);
}

/** A graph in the reference interpreter, which has no limits of its own, and f32 weights. */
export function fitReference(graph: Graph, capacity: Capacity, { quantised: _none, ...options }: FitOptions): Fit {
  return fitting({
    model: graph.name, context: capacity.context,
    at: ({ context = capacity.context }) => {
      const need = referenceNeed(graph, { ...capacity, context, maxTokens: Math.min(capacity.maxTokens, context) }, options);
      return { need, problem: undefined, parts: mainParts(need, context) };
    },
  }, options);
}

function fitting(subject: Subject, options: FitOptions): Fit {
  const { machine, resident } = options;
  const { need, limit } = subject.at({});
  const problem = problemOf(subject, {}, options);
  const place = { ...(limit ? { limit } : {}), ...(machine === undefined ? {} : { free: machine.free + resident, total: machine.total, limitedBy: machine.limitedBy }) };
  return problem === undefined ? { fits: true, need, ...place, instead: [] } : { fits: false, need, ...place, problem, instead: whatFits(subject, options) };
}

function problemOf({ model, at }: Subject, change: Otherwise, { machine, resident }: FitOptions): Fit['problem'] {
  const { need, problem, parts } = at(change);
  if (problem !== undefined) return { code: 'E902', message: problem };
  // Beside the memory itself, room behind it, where addresses that are wrong end up.
  const reserved = need.device === 'cpu' && machine?.limitedBy === 'address space' ? reservedAddresses : 0;
  return machine && need.peak + reserved > machine.free + resident ? { code: 'E903', message: lack(model, need, parts, machine, machine.free + resident, reserved) } : undefined;
}

/** The sentence for memory that is not there. */
function lack(model: string, need: MemoryNeed, parts: string, machine: MachineMemory, free: number, reserved: number): string {
  const loading = need.peakLoad > need.peakRunning ? `, ${byteText(need.loading)} of it only while it is loaded` : '';
  const inside = need.adapter > 0 ? 'beside the GPU' : parts;
  const addresses = reserved > 0 ? ` and ${byteText(reserved)} of addresses that WebAssembly reserves` : '';
  return `${model} needs ${byteText(need.peak)} (${inside}${loading})${addresses}, and ${freeText(free, machine)}`;
}

function freeText(free: number, { total, limitedBy }: MachineMemory): string {
  switch (limitedBy) {
    case 'machine': return `${byteText(free)} of ${byteText(total)} are free`;
    case 'container': return `${byteText(free)} of the ${byteText(total)} that this container may have are free`;
    case 'address space': return `${byteText(free)} of the ${byteText(total)} of address space that this process may have are free (ulimit -v)`;
    default: return limitedBy satisfies never;
  }
}

/** `1.2 GiB of 22.9 GiB free`. */
export function verdict({ need, free, limitedBy, problem }: Fit): string {
  if (problem) return `does not fit: ${problem.message}`;
  if (free === undefined) return 'fits the device; how much memory is free is not known';
  const where = limitedBy === 'container' ? ' in this container' : limitedBy === 'address space' ? ' of this process\'s address space' : '';
  const gpu = need.adapter > 0 ? `; whether ${byteText(need.adapter)} are free on the GPU is not known` : '';
  return `fits${need.peak > 0.9 * free ? ', but only just' : ''}: ${byteText(need.peak)} of ${byteText(free)} free${where}${gpu}`;
}

/** Throws PeelError (exit code 13) with all numbers where the model does not fit. `force`: only what the device could never hold is refused. */
export function refuse(fit: Fit, force: boolean): void {
  const { problem } = fit;
  if (!problem || (force && problem.code === 'E903')) return;
  const hint = `${adviceText(fit)}${problem.code === 'E903' ? '; --force tries all the same' : ''}`;
  throw new PeelError(ExitCode.device, [{ code: problem.code, severity: 'error', path: '', message: problem.message, hint }]);
}

/** `--context 2048 would fit, as would --quantize q8_0`. */
export function adviceText({ instead, need, problem }: Fit): string {
  const texts = instead.map(({ context, quantize }) => [...(quantize === undefined ? [] : [`--quantize ${quantize}`]), ...(context === undefined ? [] : [`--context ${context}`])].join(' '));
  const [first, ...others] = texts;
  if (first !== undefined) return [`${first} would fit`, ...others.map((text) => `as would ${text}`)].join(', ');
  return `no shorter --context${need.device === 'reference' ? '' : ' and no --quantize'} would fit${need.device === 'cpu' && problem?.code === 'E902' ? '; a GPU (--device webgpu) has no such limit' : ''}`;
}

/** The shortest context that is worth a proposal, where the one that was asked for is not shorter. */
const leastContext = 256;

/** The longest context that fits, the best form of the weights that fits, or, where one of them is not enough, both. */
function whatFits(subject: Subject, options: FitOptions): Fit['instead'] {
  const fits = (change: Otherwise): boolean => problemOf(subject, change, options) === undefined;
  const longest = (change: Otherwise): number | undefined => {
    const least = Math.min(subject.context - 1, leastContext);
    if (least < 1 || !fits({ ...change, context: least })) return undefined;
    // In whole units, so that the proposal is a round number.
    const unit = subject.context > 2 * leastContext ? leastContext : 1;
    let [low, high] = [Math.floor(least / unit), Math.ceil(subject.context / unit)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (fits({ ...change, context: middle * unit })) low = middle;
      else high = middle;
    }
    return low * unit;
  };
  const found: { context?: number; quantize?: Quantisation }[] = [];
  const context = longest({});
  if (context !== undefined) found.push({ context });
  const quantised = [...options.quantised?.() ?? []];
  const whole = quantised.find(([, change]) => fits(change));
  if (whole) found.push({ quantize: whole[0] });
  if (found.length > 0) return found;
  for (const [quantize, change] of quantised) {
    const shorter = longest(change);
    if (shorter !== undefined) return [{ quantize, context: shorter }];
  }
  return [];
}
