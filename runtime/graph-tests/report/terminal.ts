/** The report for people: a line a file, and all that did not pass, with its place. */
import { printable } from '../../../compiler/diagnostics.ts';
import type { CaseResult, PlacedFinding } from '../case.ts';
import { count, duration, plural, reasons, type TestRun } from './run.ts';

/** Lines for the cases of one file; with `verbose`, a line for each case. */
export function fileLines(results: readonly CaseResult[], verbose: boolean): string[] {
  const [first] = results;
  if (!first) return [];
  const found = count(results);
  const wrong = found.failed + found.error;
  const parts = [
    wrong > 0 ? `${wrong} of ${plural(results.length, 'case')} failed` : plural(results.length, 'case'),
    ...(found['not run'] + found.inPart > 0 ? [`${found['not run'] + found.inPart} not run${found['not run'] === 0 ? ' in full' : ''}`] : []),
    ...(found.written > 0 ? [`${found.written} written`] : []),
    duration(results.reduce((sum, { milliseconds }) => sum + milliseconds, 0)),
  ];
  const shown = results.filter((result) => verbose || reasons(result).length > 0 || result.findings.some(({ kind }) => kind === 'written'));
  return [`${wrong > 0 ? 'FAILED' : found.passed > 0 ? 'ok    ' : 'not run'} ${first.file}: ${parts.join(', ')}`, ...shown.flatMap((result) => caseLines(result, verbose))];
}

const WORDS = { passed: 'ok', failed: 'FAILED', error: 'ERROR', 'not run': 'not run' } as const;

function caseLines(result: CaseResult, verbose: boolean): string[] {
  const time = verbose ? ` (${duration(result.milliseconds)})` : '';
  const findings = result.findings.filter(({ kind }) => verbose || kind !== 'not run');
  return [`  ${WORDS[result.status].padEnd(6)} ${printable(result.name)}${time}`, ...findings.flatMap((finding, at) => findingLines(finding, findings[at - 1]))];
}

/** The line of the file is shown where it is not that of the finding before. */
function findingLines({ kind, message, location, sourceLine }: PlacedFinding, before: PlacedFinding | undefined): string[] {
  const [head = '', ...more] = message.split('\n');
  const says = kind === 'not run' ? `not run: ${head}` : kind === 'written' ? `written: ${head}` : head;
  const lines = [`${location.file}:${location.line}:${location.column} ${says}`, ...more];
  const again = before?.location.line === location.line && before.location.file === location.file;
  return [...lines, ...(sourceLine === undefined || again || kind === 'not run' || kind === 'written' ? [] : excerpt(location, sourceLine))].map((line) => `    ${printable(line)}`);
}

function excerpt({ line, column, length = 1 }: PlacedFinding['location'], sourceLine: string): string[] {
  const gutter = `${line} | `;
  return [gutter + sourceLine, ' '.repeat(gutter.length + column - 1) + '^'.repeat(Math.max(1, Math.min(length, sourceLine.length - column + 1)))];
}

/** What the whole comes to; what could not be looked at here is said once for each reason. */
export function summaryLines({ results, diagnostics, milliseconds, strict }: TestRun): string[] {
  const found = count(results);
  const wrongFiles = new Set(diagnostics.filter(({ severity }) => severity === 'error').map(({ location }) => location?.file)).size;
  const absent = new Map<string, PlacedFinding[]>();
  for (const finding of results.flatMap(({ findings }) => findings)) {
    if (finding.kind === 'not run') absent.set(finding.message, [...absent.get(finding.message) ?? [], finding]);
  }
  const parts = [
    `${found.passed.toLocaleString('en')} passed${found.inPart > 0 ? ` (${found.inPart} in part)` : ''}`,
    ...(found.failed > 0 ? [`${found.failed} failed`] : []), ...(found.error > 0 ? [plural(found.error, 'error')] : []),
    ...(found['not run'] > 0 ? [`${found['not run']} not run`] : []), ...(wrongFiles > 0 ? [`${plural(wrongFiles, 'file')} with mistakes`] : []), ...(found.written > 0 ? [`${found.written} written`] : []),
  ];
  return [
    ...[...absent].map(([message, findings]) => {
      const at = findings[0]?.location;
      return `${strict ? 'FAILED ' : ''}not run here: ${printable(message)} (${plural(findings.length, 'expectation')}${at ? `, the first at ${at.file}:${at.line}` : ''})`;
    }),
    `${parts.join(', ')}; ${plural(new Set(results.map(({ file }) => file)).size, 'file')}, ${duration(milliseconds)}`,
  ];
}
