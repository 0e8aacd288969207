/** The invariants of a plan, and its way to JSON and back. */
import { ExitCode, InternalError, PeelError } from './diagnostics.ts';
import { formatBlock, holds } from './formats.ts';
import { verifySchedule } from './kernels/verify.ts';
import { buffersRead, buffersWritten } from './kernels/sources.ts';
import { storedBytesOn } from './stored-bytes.ts';
import type { ExecutionPlan } from './plan.ts';

/** What is wrong with the plan; empty where all is well. */
export function verifyPlan(plan: ExecutionPlan): string[] {
  const problems = verifySchedule(plan);
  const { capacity } = plan;
  for (const [name, value] of Object.entries(capacity)) if (!Number.isInteger(value) || value < 1) problems.push(`capacity ${name} is ${value}`);
  if (capacity.maxTokens > capacity.context) problems.push(`steps of ${capacity.maxTokens} tokens do not fit a context of ${capacity.context}`);
  const stored = storedBytesOn(plan.target, plan.kernels);
  const slots = new Map(plan.slots.map((s) => [s.slot, s.bytes]));
  const placements = new Map(plan.placements.map((p) => [p.buffer, p]));
  const uses = new Map<number, { first: number; last: number }>();
  plan.kernels.forEach((k, at) => {
    if (k.id !== at) problems.push(`kernel ${at} has the id ${k.id}`);
    for (const id of [...buffersRead(k, false), ...buffersWritten(k)]) {
      const use = uses.get(id);
      if (use) use.last = at;
      else uses.set(id, { first: at, last: at });
    }
  });
  for (const b of plan.buffers) {
    const p = placements.get(b.id);
    const bytes = stored(b, capacity);
    if (!p) { problems.push(`buffer ${b.name} has no place`); continue; }
    if (p.bytes !== bytes) problems.push(`buffer ${b.name} needs ${bytes} bytes, has ${p.bytes}`);
    if ((slots.get(p.slot) ?? -1) < bytes) problems.push(`slot ${p.slot} is too small for ${b.name}`);
    const use = uses.get(b.id);
    if (p.first !== undefined && use && (p.first > use.first || (p.last ?? -1) < use.last)) problems.push(`buffer ${b.name} is used outside of its lifetime`);
    if ((p.first === undefined) !== (b.role !== 'activation' && b.role !== 'output')) problems.push(`buffer ${b.name} (${b.role}) has the wrong kind of lifetime`);
    if (b.format !== undefined && b.format !== 'f32') {
      if (b.role !== 'weight' || !plan.target.formats.includes(b.format)) problems.push(`${plan.target.name} cannot read ${b.name} as ${b.format}`);
      else if (!holds(b.format, b.shape.map(Number))) problems.push(`rows of ${b.name} are no whole blocks of ${formatBlock(b.format).elements} as ${b.format} needs`);
    }
    if (b.role === 'constant' && b.data === undefined) problems.push(`constant ${b.name} has no data`);
  }
  problems.push(...overlaps(plan));
  const weightNames = new Set(plan.weights.map((w) => w.slot));
  const stateNames = new Set(plan.states.map((s) => s.name));
  for (const b of plan.buffers) {
    if (b.role === 'weight' && !weightNames.has(b.name)) problems.push(`weight ${b.name} has no slot`);
    if (b.role === 'state' && !stateNames.has(b.name)) problems.push(`state ${b.name} is not listed`);
  }
  return problems;
}

/** Buffers in one slot at one time. */
function overlaps(plan: ExecutionPlan): string[] {
  const bySlot = new Map<number, ExecutionPlan['placements'][number][]>();
  for (const p of plan.placements) bySlot.set(p.slot, [...(bySlot.get(p.slot) ?? []), p]);
  const problems: string[] = [];
  for (const [slot, held] of bySlot) {
    const sorted = [...held].sort((a, b) => (a.first ?? -1) - (b.first ?? -1));
    sorted.forEach((p, n) => {
      const next = sorted[n + 1];
      if (next && (p.last ?? Infinity) >= (next.first ?? -1)) problems.push(`buffers ${p.buffer} and ${next.buffer} share slot ${slot} at the same time`);
    });
  }
  return problems;
}

export function checkPlan(plan: ExecutionPlan): ExecutionPlan {
  const problems = verifyPlan(plan);
  if (problems.length > 0) throw new InternalError('plan', problems.slice(0, 5).join('; '));
  return plan;
}

export const planToJson = (plan: ExecutionPlan): string => JSON.stringify(plan);

/** Reads a plan written by `planToJson`. A file that is no plan, or a plan that does not hold together, is the user's problem: PeelError. */
export function planFromJson(text: string, file = 'plan'): ExecutionPlan {
  const fail = (message: string): never => {
    throw new PeelError(ExitCode.spec, [{ code: 'E906', severity: 'error', path: '', message: `${file}: ${message}` }]);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('this is no JSON');
  }
  if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'plan') return fail('this is no plan');
  if (!('peel' in value) || value.peel !== 1) return fail('this plan was written by another version');
  const plan = value as ExecutionPlan;
  let problems: string[];
  try {
    problems = verifyPlan(plan);
  } catch {
    return fail('parts of the plan are missing');
  }
  return problems.length > 0 ? fail(`the plan does not hold together: ${problems[0] ?? ''}`) : plan;
}
