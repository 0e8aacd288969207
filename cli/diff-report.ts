/** What peel diff prints. */
import { line, short, table } from './output.ts';
import type { AgainstReport } from '../runtime/diff/against.ts';
import type { BetweenReport } from '../runtime/diff/between.ts';
import type { CauseReport, LikelyCause } from '../runtime/diff/causes/find.ts';
import type { FirstOperator, Inside } from '../runtime/diff/inside.ts';
import type { PassBlame } from '../runtime/diff/passes.ts';
import { isRounding, type ComparisonReport, type Difference } from '../runtime/diff/report.ts';

/** One row a value: how far it is from what was expected, and where most. */
export function differences(rows: readonly Difference[]): string[] {
  return table(['value', 'max abs', 'max rel', 'NMSE', 'cosine', 'worst at', 'found', 'expected', ''], rows.map((d) => [
    d.name, short(d.maxAbs), short(d.maxRel), short(d.nmse), cosine(d.cosine), d.worst ? `[${(d.worst.index ?? [d.worst.at]).join(', ')}]` : '-', d.worst ? short(d.worst.found) : '-', d.worst ? short(d.worst.expected) : '-', mark(d),
  ]));
}

/** Six digits tell 1 - 1e-6 from 1. */
function cosine(x: number): string {
  return x.toFixed(6);
}

function mark({ close, firstNotFinite: first }: Difference): string {
  if (first) return `DIFFERS: ${first.found} from [${(first.index ?? [first.at]).join(', ')}] on`;
  return close ? '' : 'DIFFERS';
}

/** What an output is, in words. */
function spoken(name: string): string {
  const layer = /^hidden\.(\d+)$/.exec(name)?.[1];
  if (layer !== undefined) return `${name}, the output of layer ${layer}`;
  return name === 'gen_logits' ? 'gen_logits, the logits of the tokens that follow' : name;
}

function writeComparison(report: ComparisonReport): void {
  for (const text of differences([...report.outputs, ...report.agreement.map((d) => ({ ...d, name: `logits ${d.name}` }))])) line(text);
  const { tokens } = report;
  if (!tokens) return;
  const at = tokens.firstDifference;
  line(at < 0 ? `greedy tokens: all ${tokens.expected.length} equal` : `greedy tokens: number ${at} differs: expected ${tokens.expected[at]}, found ${tokens.found[at]}`);
}

function writeInside({ values, first, vanished, stage, after }: Inside, rounded: boolean): void {
  line();
  line(`${after === undefined ? `up to ${stage}` : `between ${after}, which agrees, and ${stage}`}, in the order of computation:`);
  for (const text of differences(values)) line(text);
  if (vanished) line(`with these values kept ${stage} agrees: what is fused across them otherwise is wrong`);
  // Where numbers are rounded on purpose, errors grow bit by bit: no operator is wrong.
  if (first && rounded) line(`the first beyond the limit: ${first.name}`);
  else if (first) line(operatorLine(first));
}

function operatorLine({ name, operators, inputs, weights, location }: FirstOperator): string {
  const from = [...inputs.map((input) => `${input.name} (NMSE ${short(input.nmse)})`), ...some(weights)].join(', ');
  return `first wrong operator: ${name}${operators.length > 0 ? ` (${some([...new Set(operators)]).join(', ')})` : ''}${placed(location)}${from === '' ? '' : `, of ${from}`}${inputs.length > 0 ? ': what goes in agrees, what comes out does not' : ''}`;
}

function placed(location: FirstOperator['location']): string {
  return location ? ` at ${location.file}:${location.line}:${location.column}` : '';
}

/** The first few of a list. */
function some(list: readonly string[]): string[] {
  return list.length <= 6 ? [...list] : [...list.slice(0, 5), `${list.length - 5} more`];
}

function writeCauses(report: CauseReport): void {
  const { stage, likely, nearest, tried, untried } = report;
  line();
  const was = short(report.before?.nmse ?? NaN);
  if (report.tooLarge !== undefined) {
    line(`the likely cause is not looked for: the reference would hold ${report.tooLarge} weights up to ${stage}`);
    return;
  }
  if (report.agrees) {
    line(`the reference agrees about ${stage} (NMSE ${was}): the spec is right, the device is not; try --fused, or --devices with reference`);
    return;
  }
  const left = untried > 0 ? `, ${untried} left for want of time (--seconds)` : '';
  if (likely) {
    line(`likely cause: ${changes(likely)}, ${stage} agrees (NMSE ${was} -> ${short(likely.difference.nmse)})${likely.next === null ? ', and so does all that is behind it' : likely.next === undefined ? '' : `; the next to differ is ${likely.next}`}`);
    if (likely.alters !== undefined) line(`  it first changes ${likely.alters}${placed(likely.location)}`);
    for (const one of likely.same) line(`  the same effect has ${one.cause}: ${one.text}`);
    return;
  }
  line(`likely cause: none of ${tried} that were tried makes the difference vanish${left}`);
  if (nearest) line(`  nearest: ${changes(nearest)}, ${stage} differs less (NMSE ${was} -> ${short(nearest.difference.nmse)})`);
}

function changes({ changes: list }: LikelyCause): string {
  return list.map(({ cause, text }) => `${cause}: with ${text}`).join(', and ');
}

function writePass(pass: PassBlame): void {
  line();
  line(`the pass that changes the result: ${pass.pass} (${pass.description}); the passes before it together do not${pass.alone ? ', and without it alone all is well' : '; without it another one does'}`);
  const shown = pass.fusions.slice(0, 8);
  for (const { origin, reason } of shown) line(`  + ${origin}: ${reason}`);
  if (pass.fusions.length > shown.length) line(`  and ${pass.fusions.length - shown.length} more`);
}

function writeVerdict(report: ComparisonReport): void {
  const limit = report.nmse === undefined ? `${report.tolerance}` : `an NMSE of ${report.nmse}`;
  if (isRounding(report)) line(`no value differs by more than rounding does (NMSE ${short(Math.max(...report.outputs.map((d) => d.nmse)))}): is the --tolerance too small for numbers of this size?`);
  line(report.passed ? `passed: within ${limit}` : `FAILED: beyond ${limit}`);
}

export function writeAgainst(report: AgainstReport): void {
  writeComparison(report);
  if (report.unknown.length > 0) line(`not compared, as the model has no such values: ${report.unknown.slice(0, 8).join(', ')}${report.unknown.length > 8 ? ', ...' : ''}`);
  if (report.firstDivergence !== undefined) line(`first divergence: ${spoken(report.firstDivergence)}`);
  const atOnce = report.outputs.filter((d) => d.name !== 'gen_logits');
  if (!report.passed && atOnce.every((d) => d.close)) line('at once all outputs agree: what is wrong is how single tokens are computed, or a limit just passed; --fused and --devices look there');
  if (report.inside) writeInside(report.inside, report.nmse !== undefined);
  if (report.causes) writeCauses(report.causes);
  writeVerdict(report);
}

export function writeBetween(report: BetweenReport): void {
  writeComparison(report);
  if (report.stepwise) {
    line();
    line('at once all outputs agree; token by token:');
    for (const text of differences(report.stepwise)) line(text);
  }
  if (report.firstDivergence !== undefined) line(`first divergence: ${spoken(report.firstDivergence)}`);
  if (report.plain) {
    const { close, maxAbs } = report.plain;
    if (!close && report.firstDivergence === undefined) line(`where nothing but the result is kept, logits differ by ${short(maxAbs)}: with the outputs of layers kept the fault is not there`);
    else if (!close) line(`where nothing but the result is kept, logits differ by ${short(maxAbs)}`);
    else if (!report.passed) line('where nothing but the result is kept, logits agree');
  }
  if (report.inside) writeInside(report.inside, report.nmse !== undefined);
  if (report.wrong !== undefined) line(`by the reference, ${report.sides[report.wrong]} is the one that is wrong`);
  if (report.pass) writePass(report.pass);
  writeVerdict(report);
}
