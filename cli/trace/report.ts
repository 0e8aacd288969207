/** A trace as text, up to 120 columns wide. */
import type { BranchTrace, StepTrace } from '../../runtime/trace/layers.ts';
import type { LensLayer } from '../../runtime/trace/lens.ts';
import type { Entropy, Extreme } from '../../runtime/trace/measures.ts';
import type { Trace } from '../../runtime/trace/trace.ts';
import { short, table } from '../output.ts';
import { kernelLines } from './kernel-lines.ts';
import { cut, percent } from './text.ts';

const width = 120;
/** More heads than this have no numbers of their own. */
const mostHeads = 24;
/** Experts that a line names. */
const namedExperts = 8;

export function traceReport(trace: Trace): string[] {
  const { model, device, tokens } = trace;
  return [
    `${model} on ${device.description}, ${device.reason}${device.variants === undefined ? '' : `; ${device.variants}`}`,
    ...wrapped(`${tokens.length} ${tokens.length === 1 ? 'token' : 'tokens'}: `, tokens.map(({ text }) => text)),
    ...streamLines(trace), ...entropyLines(trace), ...expertLines(trace), ...lensLines(trace), ...(trace.kernels ? kernelLines(trace.kernels) : []),
  ];
}

/** Words with bars between them, in lines. */
function wrapped(head: string, words: readonly string[]): string[] {
  const lines: string[] = [];
  let text = head;
  words.forEach((word, n) => {
    const next = `${cut(word, 40)}${n === words.length - 1 ? '' : '|'}`;
    if (text.length + next.length > width) {
      lines.push(text);
      text = '  ';
    }
    text += next;
  });
  return [...lines, text];
}

/** A layer's number in the first of its lines. */
function byStep(trace: Trace, rows: (step: StepTrace) => readonly (readonly (string | number)[])[]): (string | number)[][] {
  return trace.layers.flatMap(({ layer, steps }) => steps.flatMap(rows).map((row, n) => [n === 0 ? layer : '', ...row]));
}

function streamLines(trace: Trace): string[] {
  const at = ({ token, channel }: Extreme): string => `${token}:${channel}`;
  const sparse = ({ branches }: StepTrace): string[] => {
    const all = branches.flatMap(({ hidden }) => hidden);
    const text = (pick: 'zeros' | 'small'): string => all.map(({ sparsity }) => percent(sparsity[pick])).join(' ');
    return [text('zeros'), text('small')];
  };
  // Of parallel branches, what each gives comes before their sum.
  const parts = ({ branches }: StepTrace): string[][] => (branches.length < 2 ? [] : branches.flatMap(({ id, out }) => (out ? [[cut(id, 20), short(out.rms), '', '', '', '', '', '', '']] : [])));
  const rows = (step: StepTrace): string[][] => {
    const { added, stream } = step;
    return [...parts(step), [cut(step.id, 20), short(added.rms), short(stream.rms), short(stream.min.value), at(stream.min), short(stream.max.value), at(stream.max), ...sparse(step)]];
  };
  const { embeddings } = trace;
  const first = embeddings ? [['', 'embeddings', '', short(embeddings.rms), short(embeddings.min.value), at(embeddings.min), short(embeddings.max.value), at(embeddings.max), '', '']] : [];
  const apart = trace.layers.some((l) => l.steps.some((s) => s.branches.some((b) => b.hidden.length > 1)));
  const threshold = trace.layers.flatMap((l) => l.steps.flatMap((s) => s.branches.flatMap((b) => b.hidden)))[0]?.sparsity.threshold;
  return [
    '', 'residual stream: root mean square of what each step adds and of the sum; extremes with their token:channel',
    ...(threshold === undefined ? [] : [`hidden activations of feed-forwards: % that are 0, and % below ${threshold} of their root mean square${apart ? '; of routed and shared experts apart' : ''}`]),
    ...table(['layer', 'step', 'adds', 'stream', 'least', 'at', 'largest', 'at', ...(threshold === undefined ? [] : ['% zero', '% small'])],
      [...first, ...byStep(trace, rows)].map((row) => (threshold === undefined ? row.slice(0, 8) : row))),
  ];
}

function entropyLines(trace: Trace): string[] {
  const rows = trace.layers.flatMap(({ layer, steps }) => steps.flatMap(({ branches }) => branches.flatMap((branch) => branch.attention.map(({ heads }) => entropyRow(layer, branch, heads)))));
  if (rows.length === 0) return [];
  return ['', 'attention: entropy in bits, mean over queries and heads; each head in % of what it would be if every visible key weighed the same', ...table(['layer', 'branch', 'bits', '%', 'heads'], rows)];
}

function entropyRow(layer: number, { id }: BranchTrace, heads: readonly Entropy[]): (string | number)[] {
  const mean = (of: (e: Entropy) => number): number => heads.reduce((sum, e) => sum + of(e), 0) / heads.length;
  const shares = heads.map(({ share }) => share);
  const each = heads.length <= mostHeads ? shares.map((s) => percent(s).padStart(3)).join(' ') : `${heads.length} heads from ${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`;
  return [layer, cut(id, 20), mean((e) => e.bits).toFixed(2), percent(mean((e) => e.share)), each];
}

function expertLines(trace: Trace): string[] {
  const rows = trace.layers.flatMap(({ layer, steps }) => steps.flatMap(({ branches }) => branches.flatMap(({ id, experts }) => {
    if (!experts) return [];
    const order = experts.counts.map((count, expert) => ({ count, expert })).filter(({ count }) => count > 0).sort((a, b) => b.count - a.count || a.expert - b.expert);
    const named = order.slice(0, namedExperts).map(({ count, expert }) => `${expert} (${count})`).join(', ');
    return [[layer, cut(id, 20), `${order.length} of ${experts.experts}`, `${named}${order.length > namedExperts ? ', ...' : ''}`]];
  })));
  return rows.length === 0 ? [] : ['', 'experts: how many were chosen, and by how many tokens', ...table(['layer', 'branch', 'chosen', 'expert (tokens)'], rows)];
}

function lensLines({ lens, tokens }: Trace): string[] {
  if (!lens || lens.length === 0) return [];
  const last = tokens.length - 1;
  const count = Math.max(...lens.map(({ guesses }) => guesses[last]?.length ?? 0));
  const room = Math.max(8, Math.floor((width - 7) / Math.max(1, count)) - 8);
  const row = ({ layer, guesses }: LensLayer): (string | number)[] => [layer, ...(guesses[last] ?? []).map(({ text, probability }) => `${percent(probability).padStart(3)}% ${cut(text, room)}`)];
  return ['', `logit lens: what follows "${cut(tokens[last]?.text ?? '', 40)}", the last token, if the model stopped after a layer`, ...table(['layer', ...Array.from({ length: count }, (_, n) => (n === 0 ? 'most likely' : ''))], lens.map(row))];
}
