/** `plan: snapshot`: the plan is what it was when the snapshot was written, but for what nobody sees (ids, places in memory). `--update` writes it anew. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { compareSnapshot, snapshotOf } from '../../../compiler/plan-snapshot.ts';
import { printPlanDiff } from '../../../compiler/print-plan-diff.ts';
import type { CaseContext } from '../case.ts';
import { expectation, failed } from './expectation.ts';

type WantedPlan = 'snapshot' | { readonly file: string };

/** Most lines of a difference that a report shows. */
const MOST_LINES = 80;

export const plan = expectation<WantedPlan>('plan', async (context, wanted) => {
  const [file, at] = wanted === 'snapshot' ? [snapshotFile(context), ''] : [context.file(wanted.file), '/file'];
  const found = await context.plan();
  const known = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  if (context.update) {
    const text = snapshotOf(found);
    if (text === known?.replaceAll('\r\n', '\n')) return [];
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return [{ kind: 'written', at, message: file }];
  }
  if (known === undefined) return [failed(`there is no snapshot ${file}; \`peel test --update\` writes it`, at)];
  const diff = compareSnapshot(known, found, file);
  if (diff.equal) return [];
  const lines = printPlanDiff(diff, { before: file, after: 'this plan' }).trimEnd().split('\n');
  const more = lines.length > MOST_LINES ? [`… and ${lines.length - MOST_LINES} more lines`] : [];
  return [failed(['the plan is not that of the snapshot (peel test --update takes the new one)', ...lines.slice(0, MOST_LINES), ...more].join('\n'), at)];
});

/** `__snapshots__/NAME OF THE FILE.name-of-the-case.plan.yaml` beside the file; with a few digits where the name holds more than letters, digits and spaces. */
function snapshotFile(context: CaseContext): string {
  const { name, file } = context.test;
  const digits = /^[A-Za-z0-9 ]+$/.test(name) ? '' : `-${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
  const short = name.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 80);
  const stem = path.basename(file).replace(/(\.test)?\.ya?ml$/, '');
  return context.file(path.join('__snapshots__', `${stem}.${short}${digits}.plan.yaml`));
}
