/** What changed between two plans, for reading: as text, and as Markdown for a comment on a pull request. */
import type { ParamValue } from './model.ts';
import type { BufferChange, FusionChange, KernelChange, PlanDiff, TotalChange } from './plan-diff.ts';
import { layersText, type BufferGroup, type KernelLine, type PlanSummary } from './plan-summary.ts';
import { bytes, count } from './print-plan.ts';

/** What the two sides are called: a file, a revision. */
export interface SideNames { readonly before: string; readonly after: string }

type Sign = '-' | '+' | '~' | ' ';
interface Line { readonly sign: Sign; readonly text: string }
interface Block { readonly title: string; readonly lines: readonly Line[] }

/** Totals that stand for others, or follow from them: not in the short table. */
const minor: ReadonlySet<string> = new Set(['activations unshared', 'shared slots', 'largest slot', 'nests', 'products', 'attentions', 'topk', 'argmax']);
/** Most lines of a folded part in Markdown, and characters of a line: a comment on GitHub has at most 65,536, in six parts. */
const MOST_LINES = 60, LONGEST = 170;
/** Most characters of an expression. */
const WIDEST = 150;

export function printPlanDiff(diff: PlanDiff, names: SideNames): string {
  if (diff.equal) return `no change: the plans of ${names.before} and ${names.after} are equal\n`;
  const totals = diff.totals.map(totalRow);
  return [
    `plan of ${diff.after.model} for ${diff.after.target.name}: from ${names.before} to ${names.after}`,
    ...(totals.length === 0 ? [] : ['', ...columns([['', 'before', 'after', 'change'], ...totals])]),
    ...blocks(diff).flatMap(({ title, lines }) => ['', title, ...lines.map(({ sign, text }) => `  ${sign} ${text}`.trimEnd())]),
    ...unchanged(diff, ''),
  ].join('\n') + '\n';
}

export function planDiffMarkdown(diff: PlanDiff, names: SideNames): string {
  const { model, target, capacity } = diff.after;
  const title = `### Plan of \`${model}\` for ${target.name}, context ${capacity.context}`;
  const sides = `\`${names.before}\` → \`${names.after}\``;
  if (diff.equal) return `${title}\n\n${sides}: no change.\n`;
  const totals = diff.totals.filter((c) => !minor.has(c.name)).map(totalRow);
  const rows = [['', 'before', 'after', 'change'], ['---', '--:', '--:', '--:'], ...totals].map((row) => `| ${row.join(' | ')} |`);
  return [
    title, '', sides,
    ...(totals.length === 0 ? [] : ['', ...rows]),
    ...blocks(diff).flatMap((block) => ['', '<details>', `<summary>${block.title}</summary>`, '', '```diff', ...foldedLines(block), '```', '', '</details>']),
    ...unchanged(diff, '*'),
  ].join('\n') + '\n';
}

/** Of a diff on GitHub, lines with `!` are marked as changed. */
function foldedLines({ lines }: Block): string[] {
  const shown = lines.slice(0, MOST_LINES).map(({ sign, text }) => `${sign === '~' ? '!' : sign} ${text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text}`.trimEnd());
  return lines.length > MOST_LINES ? [...shown, `  … and ${lines.length - MOST_LINES} more lines, which \`peel plan diff\` prints`] : shown;
}

function unchanged(diff: PlanDiff, around: string): string[] {
  const same = (['kernels', 'fusions', 'weights', 'buffers'] as const).filter((part) => diff[part].length === 0);
  return same.length === 0 ? [] : ['', `${around}no change of ${same.join(', ')}${around}`];
}

function blocks(diff: PlanDiff): Block[] {
  return [
    { title: 'settings', lines: diff.settings.map(({ name, before, after }): Line => ({ sign: '~', text: `${name}: ${before} -> ${after}` })) },
    { title: `params: ${diff.params.length} changed`, lines: diff.params.map(({ name, before, after }): Line => (
      before === undefined ? { sign: '+', text: `${name}: ${value(after)}` } : after === undefined ? { sign: '-', text: `${name}: ${value(before)}` }
        : { sign: '~', text: `${name}: ${value(before)} -> ${value(after)}` })) },
    kernelBlock(diff),
    fusionBlock(diff),
    bufferBlock('weights', diff.weights),
    bufferBlock('buffers', diff.buffers),
  ].filter((block) => block.lines.length > 0);
}

function value(x: ParamValue | undefined): string {
  const text = JSON.stringify(x);
  return text.length > WIDEST ? `${text.slice(0, WIDEST)}…` : text;
}

/** `2 removed, 1 added`, of what there is. */
function counted(parts: readonly (readonly [number, string])[]): string {
  return parts.filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`).join(', ');
}
interface Sides { readonly before?: unknown; readonly after?: unknown; readonly layers: readonly number[] }
/** How many there are, each layer's for itself. */
const times = (changes: readonly Sides[]): number => changes.reduce((n, { layers }) => n + Math.max(1, layers.length), 0);
const sides = (changes: readonly Sides[]): string => counted([
  [times(changes.filter((c) => c.after === undefined)), 'removed'], [times(changes.filter((c) => c.before === undefined)), 'added'],
  [times(changes.filter((c) => c.before !== undefined && c.after !== undefined)), 'changed'],
]);

function kernelBlock({ kernels }: PlanDiff): Block {
  const lines = kernels.flatMap(({ where, kernels: changes, order }): Line[] => [
    { sign: ' ', text: `${where}${where.startsWith('layers') ? ', each' : ''}:` },
    ...changes.flatMap(kernelLines),
    ...(order ? [{ sign: '~' as const, text: `  in another order: ${order.join(', ')}` }] : []),
  ]);
  const all = kernels.flatMap(({ kernels: changes, layers }) => changes.map((change) => ({ ...change, layers })));
  return { title: `kernels: ${sides(all) || 'in another order'}`, lines };
}

function kernelLines({ before, after, fields }: KernelChange): Line[] {
  const whole = (k: KernelLine): string => `  ${k.kind.padEnd(9)} ${k.label}  ${k.shape}, ${count(k.flops)}FLOP, ${bytes(k.bytes)}`;
  if (!before || !after) return [...(before ? [{ sign: '-' as const, text: whole(before) }] : []), ...(after ? [{ sign: '+' as const, text: whole(after) }] : [])];
  const changed = [
    ...(before.shape === after.shape ? [] : [`${before.shape} -> ${after.shape}`]),
    ...(fields.includes('flops') ? [pair(before.flops, after.flops, 'FLOP').join(' -> ')] : []),
    ...(fields.includes('bytes') ? [pair(before.bytes, after.bytes, 'bytes').join(' -> ')] : []),
  ];
  const kind = before.kind === after.kind ? after.kind.padEnd(9) : `${before.kind} -> ${after.kind}`;
  const head: Line = { sign: '~', text: `  ${kind} ${after.label}${changed.length === 0 ? '' : `  ${changed.join(', ')}`}` };
  return [head, ...codeLines(before, after)];
}

/** A line without what its sizes are: indices and whole numbers. */
function withoutSizes(line: string): string {
  let text = line;
  for (let shorter = text.replace(/\[[^[\]]*\]/g, ''); shorter !== text; shorter = text.replace(/\[[^[\]]*\]/g, '')) text = shorter;
  return text.replace(/f32\([^()]*\)/g, 'f32()').replace(/\d+(?:\.\d+)?e[-+]?\d+|\d+\.\d+|\d+/g, (number) => (/^\d+$/.test(number) ? '#' : number));
}

/** The lines that differ, each cut to where it does. */
function codeLines(before: KernelLine, after: KernelLine): Line[] {
  // Where the kernel's size changed, the same text with other sizes is no news.
  const key = before.shape === after.shape ? (line: string): string => line : withoutSizes;
  const [old, now] = [before, after].map((k) => k.code.split('\n')) as [string[], string[]];
  const [oldKeys, nowKeys] = [old.map(key), now.map(key)];
  const gone = old.filter((line) => !nowKeys.includes(key(line)));
  const come = now.filter((line) => !oldKeys.includes(key(line)));
  const pairs = gone.length === come.length;
  return [
    ...gone.map((line, n): Line => ({ sign: '-', text: `      ${around(line, pairs ? come[n] : undefined)}` })),
    ...come.map((line, n): Line => ({ sign: '+', text: `      ${around(line, pairs ? gone[n] : undefined)}` })),
  ];
}

function around(line: string, other: string | undefined): string {
  if (line.length <= WIDEST) return line;
  let same = 0;
  while (other !== undefined && same < line.length && line[same] === other[same]) same++;
  const start = Math.max(0, Math.min(same - WIDEST / 3, line.length - WIDEST));
  return `${start > 0 ? '…' : ''}${line.slice(start, start + WIDEST)}${start + WIDEST < line.length ? '…' : ''}`;
}

function fusionKind({ before, after }: FusionChange): 'lost' | 'new' | 'other' | 'missed' | 'missed no more' {
  if ((before?.fired ?? false) !== (after?.fired ?? false)) return after?.fired ? 'new' : 'lost';
  return before && after ? 'other' : after ? 'missed' : 'missed no more';
}

function fusionBlock({ fusions, before, after }: PlanDiff): Block {
  const number = (wanted: ReturnType<typeof fusionKind>): number => times(fusions.filter((c) => fusionKind(c) === wanted));
  const [old, now] = [layersOf(before), layersOf(after)];
  // Layers that only one side has: there is no more to say than that.
  const isGone = ({ layers }: FusionChange): boolean => layers.length > 0 && layers.every((layer) => !now.has(layer));
  const isNew = ({ layers }: FusionChange): boolean => layers.length > 0 && layers.every((layer) => !old.has(layer));
  const together = (sign: Sign, changes: readonly FusionChange[], what: string): Line[] => (changes.length === 0 ? [] : [
    { sign, text: `all ${times(changes.filter((c) => ['lost', 'new'].includes(fusionKind(c))))} of ${layersText(changes.flatMap((c) => c.layers))} (${what})` },
  ]);
  return {
    title: `fusions: ${counted([
      [number('lost'), 'no longer done'], [number('new'), 'done now'], [number('other'), 'with other sizes or reasons'],
      [number('missed'), 'more near misses'], [number('missed no more'), 'fewer near misses'],
    ])}`,
    lines: [
      ...together('-', fusions.filter(isGone), 'gone'), ...together('+', fusions.filter(isNew), 'new'),
      ...fusions.filter((change) => !isGone(change) && !isNew(change)).flatMap(fusionLines),
    ],
  };
}

const layersOf = (summary: PlanSummary): Set<number> => new Set(summary.sections.flatMap((section) => section.layers));

function fusionLines(change: FusionChange): Line[] {
  const { pass, origin, before, after, layers } = change;
  const head = `${pass.padEnd(16)} ${origin}${layers.length === 0 ? '' : ` (${layersText(layers)})`}: `;
  const more = (word: string, text: string): Line => ({ sign: ' ', text: `${' '.repeat(17)}${word}: ${text}` });
  switch (fusionKind(change)) {
    case 'lost': return [{ sign: '-', text: head + (before?.reason ?? '') }, ...(after ? [more('now', after.reason)] : [])];
    case 'new': return [{ sign: '+', text: head + (after?.reason ?? '') }, ...(before ? [more('before', before.reason)] : [])];
    case 'other': return [{ sign: '~', text: head + (before?.reason ?? '') }, more('now', after?.reason ?? '')];
    case 'missed': return [{ sign: ' ', text: `${head}near miss: ${after?.reason ?? ''}` }];
    case 'missed no more': return [{ sign: ' ', text: `${head}no longer a near miss: ${before?.reason ?? ''}` }];
  }
}

function bufferBlock(title: string, changes: readonly BufferChange[]): Block {
  const what = (b: BufferGroup): string => `${b.role === 'weight' ? '' : `${b.role} `}${b.name}`;
  const size = (b: BufferGroup, n: number): string => `${b.type}, ${bytes(b.bytes * Math.max(1, n))}`;
  return {
    title: `${title}: ${sides(changes)}`,
    lines: changes.map(({ before, after, layers }): Line => {
      const where = layers.length === 0 ? '' : ` (${layersText(layers)})`;
      if (before && after) {
        const parts = [
          ...(before.type === after.type ? [] : [`${before.type} -> ${after.type}`]),
          ...(before.bytes === after.bytes ? [] : [pair(before.bytes * Math.max(1, layers.length), after.bytes * Math.max(1, layers.length), 'bytes').join(' -> ')]),
          ...(before.values === after.values ? [] : [`${before.values ?? ''} -> ${after.values ?? ''}`]),
        ];
        return { sign: '~', text: `${what(after)}: ${parts.join(', ')}${where}` };
      }
      return before ? { sign: '-', text: `${what(before)}: ${size(before, layers.length)}${where}` } : { sign: '+', text: after ? `${what(after)}: ${size(after, layers.length)}${where}` : '' };
    }),
  };
}

/** Both numbers, in as few digits as tell them apart. */
function pair(before: number, after: number, unit: TotalChange['unit']): [string, string] {
  const whole = (n: number): string => `${n.toLocaleString('en')}${unit === 'number' ? '' : unit === 'bytes' ? ' B' : ' FLOP'}`;
  const write = unit === 'bytes' ? bytes : (n: number, digits?: number): string => `${count(n, digits)}FLOP`;
  for (let digits = 1; unit !== 'number' && digits <= 3; digits++) {
    const [old, now] = [write(before, digits), write(after, digits)];
    if (old !== now) return [old, now];
  }
  return [whole(before), whole(after)];
}

function totalRow({ name, unit, before, after }: TotalChange): string[] {
  const difference = after - before;
  const sign = difference > 0 ? '+' : '−';
  const percent = before === 0 ? '' : ` (${sign}${percentText(Math.abs(difference) / before)})`;
  const [amount = ''] = unit === 'number' ? [Math.abs(difference).toLocaleString('en')] : unit === 'bytes' ? [bytes(Math.abs(difference))] : [`${count(Math.abs(difference))}FLOP`];
  return [name, ...pair(before, after, unit), `${sign}${amount}${percent}`];
}

const percentText = (share: number): string => `${share >= 0.1 ? Math.round(share * 100) : share >= 0.0005 ? (share * 100).toFixed(1) : '<0.1'}%`;

/** Names to the left, numbers to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2, 3].map((n) => Math.max(...rows.map((row) => (row[n] ?? '').length)));
  return rows.map((row) => row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join('  ').trimEnd());
}
