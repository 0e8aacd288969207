/**
 * Plants deliberate faults, one at a time, in a copy of the sources, and sees that each is found: that a named test of the suite, which
 * passes without the fault, fails with it, and that `peel diff` says where. Ends with 1 if a fault survives or the wrong place is named.
 *
 *   npm run faults               all of them, a quarter of a minute each
 *   npm run faults -- WORDS      those with WORDS in their name
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * @typedef {object} Fault
 * @property {string} name
 * @property {string} file the file to change, from the root of the project
 * @property {string} find what to replace; it must be in the file exactly once
 * @property {string} replace
 * @property {{ file: string, test: string | RegExp }} kills a test file, and part of the full name of the test in it that must fail
 * @property {{ args: string[], says: RegExp | RegExp[] }} [diff] arguments of `peel diff`, and what it must say from its line `first divergence` on; absent for
 *   faults that change no numbers
 */

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const lists = ['spec-faults.mjs', 'source-faults.mjs'].map((file) => path.join(root, 'test', 'faults', file)).filter((file) => fs.existsSync(file));
/** Longest that a test or a comparison may take: a fault may also make it never end. */
const timeout = 300_000;

class FaultError extends Error {}

/** A copy of what git knows of the project, with the packages linked. */
function copyTree() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'peel-faults-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 1e8 });
  if (listed.status !== 0) throw new FaultError(`git ls-files failed: ${listed.stderr}`);
  for (const file of listed.stdout.split('\0')) {
    const from = path.join(root, file);
    if (file === '' || !fs.existsSync(from)) continue;
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.copyFileSync(from, path.join(folder, file));
  }
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  return folder;
}

/** The text of a fault's file with the fault in it. */
function planted(fault, text) {
  const found = text.split(fault.find).length - 1;
  if (found !== 1) throw new FaultError(`${fault.name}: ${fault.file} has what is to be replaced ${found} times, not once:\n${fault.find}`);
  if (fault.find === fault.replace) throw new FaultError(`${fault.name}: replaces by the same`);
  return text.replace(fault.find, () => fault.replace);
}

const pattern = (test) => typeof test === 'string' ? test.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : test.source;

/** The full names and outcomes of the tests of a file that match; undefined if it did not come to running them. */
function runTests(folder, file, names) {
  const report = path.join(folder, 'faults-report.json');
  fs.rmSync(report, { force: true });
  const args = [path.join('node_modules', 'vitest', 'vitest.mjs'), 'run', file, '-t', names, '--reporter=json', `--outputFile=${report}`];
  const done = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout, maxBuffer: 1e8 });
  if (!fs.existsSync(report)) return { tests: [], broken: done.stderr.trim() || `no report within ${timeout / 1000} s` };
  const { testResults } = JSON.parse(fs.readFileSync(report, 'utf8'));
  const tests = testResults.flatMap((result) => result.assertionResults)
    .filter(({ status }) => status === 'passed' || status === 'failed')
    .map(({ fullName, status }) => ({ name: fullName, passed: status === 'passed' }));
  return { tests, broken: tests.length === 0 ? testResults.map((result) => result.message).join('\n').trim() : '' };
}

/** That each named test is there and passes in the sources as they are: otherwise its failing would prove nothing. */
function checkBefore(folder, faults) {
  for (const file of new Set(faults.map((fault) => fault.kills.file))) {
    const here = faults.filter((fault) => fault.kills.file === file);
    const { tests, broken } = runTests(folder, file, here.map((fault) => `(${pattern(fault.kills.test)})`).join('|'));
    for (const fault of here) {
      const own = tests.filter(({ name }) => new RegExp(pattern(fault.kills.test)).test(name));
      if (own.length === 0) throw new FaultError(`${fault.name}: ${file} has no test '${String(fault.kills.test)}' ${broken}`);
      const failing = own.find(({ passed }) => !passed);
      if (failing) throw new FaultError(`${fault.name}: '${failing.name}' of ${file} fails without the fault`);
    }
  }
}

/** What `peel diff` says from its line `first divergence` on. */
function peelDiff(folder, args) {
  const done = spawnSync(process.execPath, ['scripts/launch.mjs', 'peel', 'diff', ...args], { cwd: folder, encoding: 'utf8', timeout, maxBuffer: 1e8 });
  const from = done.stdout.indexOf('first divergence');
  return from < 0 ? { all: '', lines: (done.stderr.trim() || done.stdout.trim()).split('\n').slice(-1) }
    : { all: done.stdout.slice(from), lines: done.stdout.slice(from).split('\n').filter((line) => /^(first divergence|likely cause|the pass)/.test(line)) };
}

/** Plants a fault, looks whether it is found, and takes it out. */
function tryFault(folder, fault) {
  const file = path.join(folder, fault.file);
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, planted(fault, text));
  try {
    const { tests, broken } = runTests(folder, fault.kills.file, pattern(fault.kills.test));
    const failed = tests.filter(({ passed }) => !passed).map(({ name }) => name);
    const problems = [];
    if (broken !== '') problems.push(`the test file did not run: ${broken.split('\n')[0]}`);
    else if (failed.length === 0) problems.push('no test fails');
    let said = ['changes no numbers'];
    if (fault.diff) {
      const { all, lines } = peelDiff(folder, fault.diff.args);
      said = lines;
      const missing = [fault.diff.says].flat().filter((says) => !says.test(all));
      if (missing.length > 0) problems.push(`peel diff does not say ${missing.map(String).join(' and ')}`);
    }
    return { fault: fault.name, test: failed.join(', ') || '-', said: said.join('; '), verdict: problems.join('; ') || 'found', survives: problems.length > 0 };
  } finally {
    fs.writeFileSync(file, text);
  }
}

async function main() {
  const all = (await Promise.all(lists.map((file) => import(pathToFileURL(file).href)))).flatMap((list) => list.faults);
  const words = process.argv.slice(2).join(' ').toLowerCase();
  const faults = all.filter((fault) => fault.name.toLowerCase().includes(words));
  if (faults.length === 0) throw new FaultError(`no fault is named '${words}'; there are:\n${all.map((fault) => `  ${fault.name}`).join('\n')}`);
  const folder = copyTree();
  // Every patch is tried on the text alone first, so that one that no longer fits is said at once.
  for (const fault of faults) planted(fault, fs.readFileSync(path.join(folder, fault.file), 'utf8'));
  process.stderr.write('without faults ...');
  checkBefore(folder, faults);
  process.stderr.write(' the tests pass\n');
  const rows = faults.map((fault, i) => {
    process.stderr.write(`${i + 1}/${faults.length} ${fault.name} ...`);
    const row = tryFault(folder, fault);
    process.stderr.write(` ${row.verdict}\n`);
    return row;
  });
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  console.log('\n| fault | test that failed | what peel diff said | verdict |\n|---|---|---|---|');
  for (const row of rows) console.log(`| ${[row.fault, row.test, row.said, row.verdict].map(cell).join(' | ')} |`);
  const survivors = rows.filter((row) => row.survives);
  console.log(`\n${rows.length - survivors.length} of ${rows.length} faults found`);
  if (survivors.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof FaultError)) throw error;
  process.stderr.write(`\n${error.message}\n`);
  process.exitCode = 1;
}
