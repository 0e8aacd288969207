/** `fusions: { fired: [attention, { pass: epilogue, at: 'layers.*.ffn*' }], not_fired: [gated-product] }`: what passes did on the case's target. */
import { expandBraces } from '../../../compiler/braces.ts';
import { matchesGlob } from '../../../compiler/glob.ts';
import { nearest } from '../../../compiler/nearest.ts';
import { kernelPasses } from '../../../compiler/passes/index.ts';
import type { FusionRecord } from '../../../compiler/plan.ts';
import { pointer } from '../../../compiler/source.ts';
import type { CaseContext, Finding } from '../case.ts';
import { checkBound, type Bound } from './bound.ts';
import { expectation, failed } from './expectation.ts';
import { several } from './where.ts';

type WantedFusion = string | {
  readonly pass: string;
  /** Pattern of the labels of what was fused. */
  readonly at?: string;
  /** How often it fires; at least once if absent. */
  readonly times?: Bound;
  /** Words that the reason holds. */
  readonly reason?: string;
};
interface WantedFusions { readonly fired?: readonly WantedFusion[]; readonly not_fired?: readonly WantedFusion[] }

export const fusions = expectation<WantedFusions>('fusions', async (context, wanted) => {
  const { fusions: records } = await context.plan();
  const findings: Finding[] = [];
  for (const [index, one] of (wanted.fired ?? []).entries()) findings.push(...await fired(context, records, one, pointer('/fired', index)));
  for (const [index, one] of (wanted.not_fired ?? []).entries()) findings.push(...notFired(records, one, pointer('/not_fired', index)));
  return findings;
});

async function fired(context: CaseContext, records: readonly FusionRecord[], wanted: WantedFusion, at: string): Promise<readonly Finding[]> {
  const unknown = unknownPass(wanted, at);
  if (unknown) return [unknown];
  const matching = records.filter((r) => fits(r, wanted));
  const done = matching.filter((r) => r.fired && hasReason(r, wanted));
  const refused = matching.filter((r) => !r.fired);
  const why = refused[0] ? `\n${refused[0].pass} did not fire at ${several(refused.map((r) => r.origin))}: ${refused[0].reason}` : '';
  const times = typeof wanted === 'object' ? wanted.times : undefined;
  if (times !== undefined) return (await checkBound(context, times, done.length, `fusions by ${describe(wanted)}`, { at: `${at}/times` })).map((f) => ({ ...f, message: f.message + why }));
  return done.length > 0 ? [] : [failed(`wanted ${describe(wanted)} to fire, it did not${why || elsewhere(records, wanted)}`, at)];
}

/** Where the pass fired, where its pattern fits nothing that it did. */
function elsewhere(records: readonly FusionRecord[], wanted: WantedFusion): string {
  if (typeof wanted === 'string') return ': nothing in the model is of its kind';
  const others = records.filter((r) => r.fired && r.pass === wanted.pass);
  return others.length === 0 ? ', nowhere' : `; it fired at ${several(others.map((r) => r.origin))}${wanted.reason === undefined || !others[0] ? '' : `: ${others[0].reason}`}`;
}

function notFired(records: readonly FusionRecord[], wanted: WantedFusion, at: string): readonly Finding[] {
  const unknown = unknownPass(wanted, at);
  if (unknown) return [unknown];
  const done = records.filter((r) => r.fired && fits(r, wanted));
  const [first] = done;
  if (first) return [failed(`wanted ${describe(wanted)} not to fire, it did at ${several(done.map((r) => r.origin))}\n${first.reason}`, at)];
  // Whoever says why it did not fire means a place where it was tried.
  if (typeof wanted === 'string' || wanted.reason === undefined || records.some((r) => fits(r, wanted) && hasReason(r, wanted))) return [];
  const refused = records.filter((r) => fits(r, wanted));
  return [failed(`wanted ${describe(wanted)} not to fire because of '${wanted.reason}', found ${refused[0]?.reason ?? 'that it was not tried'}`, at)];
}

function fits(record: FusionRecord, wanted: WantedFusion): boolean {
  if (typeof wanted === 'string') return record.pass === wanted;
  return record.pass === wanted.pass && (wanted.at === undefined || expandBraces(wanted.at).some(({ text }) => matchesGlob(text, record.origin)));
}

function hasReason(record: FusionRecord, wanted: WantedFusion): boolean {
  return typeof wanted === 'string' || wanted.reason === undefined || record.reason.includes(wanted.reason);
}

function describe(wanted: WantedFusion): string {
  return typeof wanted === 'string' ? wanted : `${wanted.pass}${wanted.at === undefined ? '' : ` at ${wanted.at}`}`;
}

function unknownPass(wanted: WantedFusion, at: string): Finding | undefined {
  const name = typeof wanted === 'string' ? wanted : wanted.pass;
  const known = kernelPasses.map((pass) => pass.name);
  if (known.includes(name)) return undefined;
  const close = nearest(name, known);
  return failed(`no pass is called \`${name}\`; ${close === undefined ? `there are ${known.join(', ')}` : `did you mean \`${close}\`?`}`, typeof wanted === 'string' ? at : `${at}/pass`);
}
