/** The report as JUnit XML, which CI systems read: a suite a file, a test case a case. */
import { formatDiagnostic, type Diagnostic } from '../../../compiler/diagnostics.ts';
import type { CaseResult, PlacedFinding } from '../case.ts';
import { count, plural, reasons, type TestRun } from './run.ts';

export function junitReport({ results, diagnostics, milliseconds, strict }: TestRun): string {
  const wrong = groups(diagnostics, fileOf);
  const suites = [
    ...[...wrong].map(([file, found]) => suite(file, { tests: 1, failures: 0, errors: 1, skipped: 0 }, 0, [
      `    <testcase${attributes({ name: 'the file is right', classname: file, file, time: '0.000' })}>`,
      `      <error${attributes({ message: `${plural(found.length, 'mistake')} in ${file}`, type: found[0]?.code ?? '' })}>${text(found.map((d) => formatDiagnostic(d)).join('\n'))}</error>`,
      '    </testcase>',
    ])),
    ...[...groups(results, ({ file }) => file)].map(([file, cases]) => {
      const found = count(cases);
      const absent = found['not run'] + (strict ? found.inPart : 0);
      const totals = { tests: cases.length, failures: found.failed + (strict ? absent : 0), errors: found.error, skipped: strict ? 0 : absent };
      return suite(file, totals, cases.reduce((sum, one) => sum + one.milliseconds, 0), cases.flatMap((one) => caseLines(one, strict)));
    }),
  ];
  const found = count(results);
  const absent = found['not run'] + (strict ? found.inPart : 0);
  const totals = {
    tests: results.length + wrong.size, failures: found.failed + (strict ? absent : 0), errors: found.error + wrong.size, skipped: strict ? 0 : absent, time: seconds(milliseconds),
  };
  return ['<?xml version="1.0" encoding="UTF-8"?>', `<testsuites${attributes({ name: 'peel test', ...totals })}>`, ...suites.flat(), '</testsuites>', ''].join('\n');
}

function suite(file: string, totals: Readonly<Record<string, number>>, milliseconds: number, lines: readonly string[]): string[] {
  return [`  <testsuite${attributes({ name: file, ...totals, time: seconds(milliseconds) })}>`, ...lines, '  </testsuite>'];
}

function caseLines(result: CaseResult, strict: boolean): string[] {
  const { name, file, location, milliseconds, findings } = result;
  const head = `    <testcase${attributes({ name, classname: file, file, line: location.line, time: seconds(milliseconds) })}`;
  const found = reasons(result);
  const absent = findings.filter(({ kind }) => kind === 'not run');
  const element = (tag: string, of: readonly PlacedFinding[]): string =>
    `      <${tag}${attributes({ message: firstLine(of[0]?.message ?? ''), type: of[0]?.expectation === '' ? 'case' : of[0]?.expectation ?? 'case' })}>${text(of.map(placedText).join('\n'))}</${tag}>`;
  const body = found.length > 0 ? [element(result.status === 'error' ? 'error' : 'failure', found)]
    : absent.length === 0 ? []
      : strict ? [element('failure', absent)]
        : result.status === 'not run' ? [`      <skipped${attributes({ message: firstLine(absent[0]?.message ?? '') })}/>`]
          : [`      <system-out>${text(absent.map((finding) => `not run: ${placedText(finding)}`).join('\n'))}</system-out>`];
  return body.length === 0 ? [`${head}/>`] : [`${head}>`, ...body, '    </testcase>'];
}

function placedText({ location: { file, line, column }, message }: PlacedFinding): string {
  return `${file}:${line}:${column} ${message}`;
}

function fileOf({ location }: Diagnostic): string {
  return location?.file ?? 'peel test';
}

function groups<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) found.set(keyOf(item), [...found.get(keyOf(item)) ?? [], item]);
  return found;
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? '';
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values).map(([name, value]) => ` ${name}="${text(String(value)).replace(/"/g, '&quot;').replace(/\n/g, '&#10;').replace(/\t/g, '&#9;')}"`).join('');
}

/** Text for XML 1.0, which has no place for control characters and half surrogate pairs. */
function text(value: string): string {
  return value.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd')
    .replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\r/g, '&#13;');
}
