/** Annotations for GitHub Actions: workflow commands, which mark the line of the spec or test file in a pull request. */
import path from 'node:path';
import { printable, type Diagnostic, type Location } from '../../../compiler/diagnostics.ts';
import { reasons, type TestRun } from './run.ts';

/** Lines for standard output. `root` is the folder of the repository, in which annotated files are. */
export function githubAnnotations({ results, diagnostics, strict }: TestRun, root: string): string[] {
  return [
    ...diagnostics.map((d: Diagnostic) => command(d.severity === 'error' ? 'error' : 'warning', d.location, d.code, `${d.message}${d.hint === undefined ? '' : `; ${d.hint}`}`, root)),
    ...results.flatMap((result) => [
      ...reasons(result).map(({ message, location, spec }) => {
        // On the spec's line the test is named, as it stands elsewhere.
        const from = spec === undefined ? '' : `\n(${location.file}:${location.line})`;
        return command('error', spec ?? location, result.name, message + from, root);
      }),
      ...result.findings.filter(({ kind }) => kind === 'not run').map(({ message, location }) => command(strict ? 'error' : 'notice', location, result.name, `not run: ${message}`, root)),
    ]),
  ];
}

function command(kind: 'error' | 'warning' | 'notice', location: Location | undefined, title: string, message: string, root: string): string {
  const at = location === undefined ? [] : [
    `file=${property(path.relative(root, path.resolve(location.file)).split(path.sep).join('/'))}`, `line=${location.line}`, `col=${location.column}`,
  ];
  return `::${kind} ${[...at, `title=${property(title)}`].join(',')}::${data(message)}`;
}

function data(text: string): string {
  return text.replace(/%/g, '%25').split('\n').map(printable).join('%0A');
}

function property(text: string): string {
  return data(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
}
