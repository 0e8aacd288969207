/** Files with graph tests under what a user names: *.test.yaml, and specs with `tests`. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { shown } from '../locate.ts';

/** Folders that hold no one's own tests. */
const LEFT_OUT = new Set(['node_modules', 'dist', '__snapshots__']);

/** Paths of the files, each once, in the order of their names. Throws PeelError (exit code 14) for a name of nothing. */
export function findTestFiles(names: readonly string[]): string[] {
  const found = new Set<string>();
  for (const name of names) {
    const stats = statSync(name, { throwIfNoEntry: false });
    if (!stats) throw new PeelError(ExitCode.fileSystem, [{ code: 'E721', severity: 'error', path: '', message: `there is no file or folder ${name} to look for tests in` }]);
    for (const file of stats.isDirectory() ? testsIn(name) : testsOf(name)) found.add(shown(path.resolve(file)));
  }
  return [...found];
}

/** A file that is named is read, whatever it holds; the tests of a spec may lie beside it. */
function testsOf(file: string): string[] {
  const beside = file.replace(/(\.ya?ml)$/, '.test$1');
  if (isTestFile(file) || beside === file || !existsSync(beside)) return [file];
  return hasTests(file) ? [file, beside] : [beside];
}

function testsIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name.startsWith('.') || LEFT_OUT.has(entry.name) ? [] : testsIn(file);
    if (!/\.ya?ml$/.test(entry.name)) return [];
    return isTestFile(entry.name) || hasTests(file) ? [file] : [];
  });
}

/** NAME.test.yaml, as opposed to a spec. */
export function isTestFile(file: string): boolean {
  return /\.test\.ya?ml$/.test(file);
}

/** Whether a YAML file may be a spec with tests: a quick look at its text. Other tools' files have no key `peel`. */
function hasTests(file: string): boolean {
  try {
    const text = readFileSync(file, 'utf8');
    return /^["']?peel["']?\s*:/m.test(text) && /^["']?tests["']?\s*:/m.test(text);
  } catch {
    return false;
  }
}
