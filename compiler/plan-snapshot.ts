/** A plan's summary as YAML that is read, reviewed and compared: what `plan: snapshot` of a graph test keeps. */
import { Document, isMap, isScalar, isSeq, parse } from 'yaml';
import { ExitCode, PeelError } from './diagnostics.ts';
import type { ExecutionPlan } from './plan.ts';
import { diffSummaries, type PlanDiff } from './plan-diff.ts';
import { ranges } from './print-plan.ts';
import { summarise, type BufferGroup, type FusionGroup, type KernelSection, type PlanSummary } from './plan-summary.ts';

const heading = ' What a plan was when this was saved. Do not edit: it is written anew where a change is wanted.';

/** Stable text of a plan: the same for equal plans on every machine. */
export const snapshotOf = (plan: ExecutionPlan): string => writeSummary(summarise(plan));

export function writeSummary(summary: PlanSummary): string {
  const withRanges = <T extends { readonly layers: readonly number[] }>({ layers, ...rest }: T): object => (layers.length === 0 ? rest : { ...rest, layers: ranges(layers) });
  const document = new Document({
    peel: 1, kind: 'plan-summary', ...summary,
    sections: summary.sections.map(({ where, layers, kernels }) => ({ where, ...(layers.length === 0 ? {} : { layers: ranges(layers) }), kernels })),
    fusions: summary.fusions.map(withRanges), buffers: summary.buffers.map(withRanges),
  });
  document.commentBefore = heading;
  // A decision or a buffer is a line; only kernels, whose text has lines of its own, take several.
  for (const [key, value] of entries(document.contents)) {
    if (key === 'sections') continue;
    if (isMap(value) || (isSeq(value) && !isMap(value.items[0]))) value.flow = true;
    if (isSeq(value)) for (const item of value.items) if (isMap(item)) item.flow = true;
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

const entries = (node: unknown): [string, unknown][] => (isMap(node) ? node.items.map((pair) => [isScalar(pair.key) ? String(pair.key.value) : '', pair.value]) : []);

/** As a file holds it: `layers` as text. */
type Written<T> = Omit<T, 'layers'> & { readonly layers?: unknown };
interface WrittenSummary extends Omit<PlanSummary, 'sections' | 'fusions' | 'buffers'> {
  readonly sections: readonly Written<KernelSection>[];
  readonly fusions: readonly Written<FusionGroup>[];
  readonly buffers: readonly Written<BufferGroup>[];
}

/** Reads what `writeSummary` wrote. Throws PeelError for a text that is something else. */
export function readSummary(text: string, file = 'snapshot'): PlanSummary {
  const fail = (message: string): never => {
    throw new PeelError(ExitCode.spec, [{ code: 'E906', severity: 'error', path: '', message: `${file}: ${message}`, hint: 'write it anew with --update' }]);
  };
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    return fail('this is no saved plan: it cannot be read as YAML');
  }
  if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'plan-summary') return fail('this is no saved plan');
  if (!('peel' in value) || value.peel !== 1) return fail('this was written by another version');
  const { peel: _version, kind: _kind, ...saved } = value as Record<string, unknown>;
  try {
    const { sections, fusions, buffers, ...rest } = saved as unknown as WrittenSummary;
    const read: PlanSummary = { ...rest, sections: sections.map(withNumbers), fusions: fusions.map(withNumbers), buffers: buffers.map(withNumbers) };
    // What is missing shows as soon as it is compared.
    diffSummaries(read, read);
    return read;
  } catch {
    return fail('parts of it are missing');
  }
}

const withNumbers = <T extends object>(item: T): Omit<T, 'layers'> & { readonly layers: number[] } => ({ ...item, layers: numbers('layers' in item ? item.layers : undefined) });

/** `0..2, 5` -> 0, 1, 2, 5 */
function numbers(text: unknown): number[] {
  if (text === undefined) return [];
  return String(text).split(', ').flatMap((part) => {
    const [first = 0, last = first] = part.split('..').map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
}

/** What changed since the snapshot was written: equal where nothing did. Throws PeelError for a text that is no snapshot. */
export const compareSnapshot = (text: string, plan: ExecutionPlan, file?: string): PlanDiff => diffSummaries(readSummary(text, file), summarise(plan));
