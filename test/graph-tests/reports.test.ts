/** Every reporter on one run that has everything: exact texts. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CaseResult, PlacedFinding } from '../../runtime/graph-tests/case.ts';
import { githubAnnotations } from '../../runtime/graph-tests/report/github.ts';
import { jsonReport } from '../../runtime/graph-tests/report/json.ts';
import { junitReport } from '../../runtime/graph-tests/report/junit.ts';
import { exitCodeOf, type TestRun } from '../../runtime/graph-tests/report/run.ts';
import { fileLines, summaryLines } from '../../runtime/graph-tests/report/terminal.ts';

const at = (line: number, column: number, file = 'specs/a.test.yaml'): PlacedFinding['location'] => ({ file, line, column, offset: 0, length: 4 });

function result(name: string, line: number, status: CaseResult['status'], findings: readonly PlacedFinding[] = []): CaseResult {
  return { name, file: 'specs/a.test.yaml', location: at(line, 11), status, findings, milliseconds: line * 10, files: ['specs/a.test.yaml'] };
}

const results: readonly CaseResult[] = [
  result('is valid', 3, 'passed'),
  result('counts <weights> & "biases"', 4, 'failed', [
    { kind: 'failed', expectation: 'parameters', message: 'parameters: wanted 10, found 12', location: at(5, 27), sourceLine: '    expect: { parameters: 1e1 }' },
    { kind: 'failed', expectation: 'diagnostics', message: 'found one that is not wanted:\nE302, 100% wrong\u0007', location: at(5, 30), sourceLine: '    expect: { parameters: 1e1 }', spec: at(7, 9, 'specs/a.yaml') },
  ]),
  result('crashes', 6, 'error', [{ kind: 'error', expectation: '', message: 'the process that ran it ended with SIGSEGV before the case did', location: at(6, 11) }]),
  result('needs a GPU', 7, 'not run', [{ kind: 'not run', expectation: 'agree', message: 'there is no adapter', location: at(8, 12), sourceLine: '    expect: { agree: 1 }' }]),
  result('needs a GPU for a part', 9, 'passed', [{ kind: 'not run', expectation: 'agree', message: 'there is no adapter', location: at(10, 12), sourceLine: '    expect: { agree: 1 }' }]),
  result('has a snapshot', 11, 'passed', [{ kind: 'written', expectation: 'plan', message: '__snapshots__/a.txt', location: at(12, 12), sourceLine: 'plan: snapshot' }]),
];
const run: TestRun = {
  results, milliseconds: 1234, strict: false,
  diagnostics: [{ code: 'E201', severity: 'error', path: '/tests/0/x', message: '`x` is not a key of `tests[0]`', hint: 'did you mean `y`?', location: at(2, 3, 'specs/b.test.yaml') }],
};

it('reports to people', () => {
  expect([...fileLines(results, false), ...summaryLines(run)].join('\n')).toBe(`FAILED specs/a.test.yaml: 2 of 6 cases failed, 2 not run, 1 written, 400 ms
  FAILED counts <weights> & "biases"
    specs/a.test.yaml:5:27 parameters: wanted 10, found 12
    5 |     expect: { parameters: 1e1 }
                                  ^^^^
    specs/a.test.yaml:5:30 found one that is not wanted:
    E302, 100% wrong\\u{7}
  ERROR  crashes
    specs/a.test.yaml:6:11 the process that ran it ended with SIGSEGV before the case did
  ok     has a snapshot
    specs/a.test.yaml:12:12 written: __snapshots__/a.txt
not run here: there is no adapter (2 expectations, the first at specs/a.test.yaml:8)
3 passed (1 in part), 1 failed, 1 error, 1 not run, 1 file with mistakes, 1 written; 1 file, 1.2 s`);
  expect(fileLines(results.slice(3, 5), true).join('\n')).toBe(`ok     specs/a.test.yaml: 2 cases, 2 not run, 160 ms
  not run needs a GPU (70 ms)
    specs/a.test.yaml:8:12 not run: there is no adapter
  ok     needs a GPU for a part (90 ms)
    specs/a.test.yaml:10:12 not run: there is no adapter`);
});

it('reports as JUnit XML', () => {
  const xml = junitReport(run);
  expect(xml).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="peel test" tests="7" failures="1" errors="2" skipped="1" time="1.234">
  <testsuite name="specs/b.test.yaml" tests="1" failures="0" errors="1" skipped="0" time="0.000">
    <testcase name="the file is right" classname="specs/b.test.yaml" file="specs/b.test.yaml" time="0.000">
      <error message="1 mistake in specs/b.test.yaml" type="E201">specs/b.test.yaml:2:3 E201 /tests/0/x \`x\` is not a key of \`tests[0]\`; did you mean \`y\`?</error>
    </testcase>
  </testsuite>
  <testsuite name="specs/a.test.yaml" tests="6" failures="1" errors="1" skipped="1" time="0.400">
    <testcase name="is valid" classname="specs/a.test.yaml" file="specs/a.test.yaml" line="3" time="0.030"/>
    <testcase name="counts &lt;weights&gt; &amp; &quot;biases&quot;" classname="specs/a.test.yaml" file="specs/a.test.yaml" line="4" time="0.040">
      <failure message="parameters: wanted 10, found 12" type="parameters">specs/a.test.yaml:5:27 parameters: wanted 10, found 12
specs/a.test.yaml:5:30 found one that is not wanted:
E302, 100% wrong\ufffd</failure>
    </testcase>
    <testcase name="crashes" classname="specs/a.test.yaml" file="specs/a.test.yaml" line="6" time="0.060">
      <error message="the process that ran it ended with SIGSEGV before the case did" type="case">specs/a.test.yaml:6:11 the process that ran it ended with SIGSEGV before the case did</error>
    </testcase>
    <testcase name="needs a GPU" classname="specs/a.test.yaml" file="specs/a.test.yaml" line="7" time="0.070">
      <skipped message="there is no adapter"/>
    </testcase>
    <testcase name="needs a GPU for a part" classname="specs/a.test.yaml" file="specs/a.test.yaml" line="9" time="0.090">
      <system-out>not run: specs/a.test.yaml:10:12 there is no adapter</system-out>
    </testcase>
    <testcase name="has a snapshot" classname="specs/a.test.yaml" file="specs/a.test.yaml" line="11" time="0.110"/>
  </testsuite>
</testsuites>
`);
  expect(notWellFormed(xml)).toBeUndefined();
  expect(notWellFormed(xml.replace('</testcase>', ''))).toMatch(/closes/);
  const strict = junitReport({ ...run, strict: true });
  expect(strict).toContain('tests="7" failures="3" errors="2" skipped="0"');
  expect(strict.match(/<failure/g)).toHaveLength(3);
  expect(notWellFormed(strict)).toBeUndefined();
});

it('stays well-formed whatever names and messages hold', () => {
  const nasty = ']]> <!-- & " \' \u0000 \ud800 \udc00 \ufffe 🦙 \r\n\t </testcase>';
  const xml = junitReport({ ...run, results: [result(nasty, 1, 'failed', [{ kind: 'failed', expectation: 'x', message: nasty, location: at(1, 1, nasty) }])] });
  expect(notWellFormed(xml)).toBeUndefined();
  expect(xml).toContain('🦙');
});

it('annotates lines of the repository on GitHub', () => {
  expect(githubAnnotations(run, path.dirname(process.cwd())).map((line) => line.replaceAll(`${path.basename(process.cwd())}/`, 'repo/'))).toEqual([
    '::error file=repo/specs/b.test.yaml,line=2,col=3,title=E201::`x` is not a key of `tests[0]`; did you mean `y`?',
    '::error file=repo/specs/a.test.yaml,line=5,col=27,title=counts <weights> & "biases"::parameters: wanted 10, found 12',
    '::error file=repo/specs/a.yaml,line=7,col=9,title=counts <weights> & "biases"::found one that is not wanted:%0AE302, 100%25 wrong\\u{7}%0A(specs/a.test.yaml:5)',
    '::error file=repo/specs/a.test.yaml,line=6,col=11,title=crashes::the process that ran it ended with SIGSEGV before the case did',
    '::notice file=repo/specs/a.test.yaml,line=8,col=12,title=needs a GPU::not run: there is no adapter',
    '::notice file=repo/specs/a.test.yaml,line=10,col=12,title=needs a GPU for a part::not run: there is no adapter',
  ]);
  const [line] = githubAnnotations({ ...run, diagnostics: [], results: [result('a, b: c\nd', 1, 'failed', [{ kind: 'failed', expectation: 'x', message: 'm', location: at(1, 1) }])] }, process.cwd());
  expect(line).toBe('::error file=specs/a.test.yaml,line=1,col=1,title=a%2C b%3A c%0Ad::m');
});

it('reports to programs', () => {
  expect(jsonReport(run)).toMatchObject({ ok: false, exitCode: 10, counts: { passed: 3, failed: 1, errors: 1, notRun: 1, inPart: 1, written: 1 }, seconds: 1.234, diagnostics: [{ code: 'E201' }] });
  expect(jsonReport({ ...run, results: results.slice(3, 4) })['cases']).toEqual([{
    name: 'needs a GPU', file: 'specs/a.test.yaml', line: 7, status: 'not run', seconds: 0.07, findings: results[3]?.findings,
  }]);
});

describe('the exit code', () => {
  const of = (change: Partial<TestRun>): number => exitCodeOf({ ...run, diagnostics: [], ...change });
  it('is 0 where nothing failed, 1 where a case did or crashed', () => {
    expect(of({ results: [0, 3, 4, 5].flatMap((i) => results[i] ?? []) })).toBe(0);
    expect(of({ results: results.slice(0, 2) })).toBe(1);
    expect(of({ results: results.slice(2, 3) })).toBe(1);
    expect(of({ results: [] })).toBe(0);
  });
  it('counts what cannot run here with --strict', () => {
    expect(of({ results: results.slice(3, 4), strict: true })).toBe(1);
    expect(of({ results: results.slice(4, 5), strict: true })).toBe(1);
    expect(of({ results: results.slice(0, 1), strict: true })).toBe(0);
  });
  it('is 10 for a file that is wrong, 70 for a mistake in Peel', () => {
    expect(of({ results: results.slice(0, 2), diagnostics: run.diagnostics })).toBe(10);
    expect(of({ results: [{ ...result('x', 1, 'error'), internal: true }], diagnostics: run.diagnostics })).toBe(70);
  });
});

/** Why a text is no well-formed XML, as far as reports use it: a declaration, elements with attributes, text with entities. */
function notWellFormed(xml: string): string | undefined {
  const open: string[] = [];
  let roots = 0;
  const rest = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '');
  if (rest === xml) return 'there is no declaration';
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(xml) || Buffer.from(xml).toString() !== xml) return 'a character that XML lacks';
  for (const [token] of rest.matchAll(/<[^>]*>|[^<]+|</g)) {
    const tag = /^<(\/?)([a-z-]+)((?: [a-z]+="[^"<]*")*)(\/?)>$/.exec(token);
    if (!tag) {
      if (token.startsWith('<')) return `no tag: ${token}`;
      if (/&(?!(amp|lt|gt|quot|#\d+);)/.test(token) || token.includes(']]>')) return `no text: ${token}`;
      if (open.length === 0 && token.trim() !== '') return `text outside: ${token}`;
      continue;
    }
    const [, closing, name = '', attributes = '', empty] = tag;
    if (/&(?!(amp|lt|gt|quot|#\d+);)/.test(attributes)) return `no attributes: ${attributes}`;
    if (closing) {
      const last = open.pop();
      if (last !== name) return `</${name}> closes <${last ?? ''}>`;
      continue;
    }
    if (open.length === 0) roots++;
    if (!empty) open.push(name);
  }
  return open.length > 0 ? `${open.join(', ')} stay open` : roots === 1 ? undefined : `${roots} roots`;
}
