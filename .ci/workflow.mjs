/**
 * Runs the steps of the README's GitHub workflow, in a new repository that holds the README's specs and has Peel from a file that `npm pack`
 * made: once as they are, once with a spec that breaks a test. Usage: node .ci/workflow.mjs PACKAGE.tgz
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const tarball = path.resolve(process.argv[2] ?? '');
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
const block = (name) => {
  const text = new RegExp(`^\`\`\`yaml ${name.replaceAll('.', '\\.')}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(readme)?.[1];
  if (text === undefined) throw new Error(`the README has no block ${name}`);
  return text;
};
const workflow = '.github/workflows/specs.yaml';
const { jobs: { test: { steps } } } = parse(block(workflow));

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'peel-workflow-'));
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));
const repository = path.join(scratch, 'specs');
const tools = path.join(scratch, 'tools');
const write = (file, text, mode) => {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text, { mode: mode ?? 0o644 });
};
// The runner has sudo and GitHub's command line; here root needs none, and a comment is kept in a file.
const comment = path.join(scratch, 'comment.md');
if (process.getuid?.() === 0) write(path.join(tools, 'sudo'), '#!/bin/sh\nexec "$@"\n', 0o755);
write(path.join(tools, 'gh'), `#!/bin/sh\n[ "$1 $2 $3 $4" = "pr comment 7 --body-file" ] && cat "$5" > ${comment}\n`, 0o755);

const git = (...args) => execFileSync('git', ['-c', 'user.name=ci', '-c', 'user.email=ci@example.org', ...args], { cwd: repository, encoding: 'utf8' }).trim();
for (const name of ['tiny.yaml', 'tiny.test.yaml', workflow]) write(path.join(repository, name), block(name));
write(path.join(repository, '.gitignore'), 'node_modules\nplans.md\n');
git('init', '-q');
git('add', '-A');
git('commit', '-q', '-m', 'Specs');
const base = git('rev-parse', 'HEAD');

const values = { 'github.token': 'none', 'github.event.number': '7', 'github.event.pull_request.base.sha': base };
const fill = (text) => String(text).replace(/\$\{\{ *([^} ]+) *\}\}/g, (all, name) => values[name] ?? all);

/** The steps of the job, until one fails; what they printed and how the job ends. */
function job() {
  let out = '';
  for (const step of steps) {
    // What the actions do has been done: the files are there, and so is Node.
    if (step.uses !== undefined) continue;
    const script = fill(step.run).replace(/^npm install (.*)peel$/m, (_all, flags) => `npm install ${flags}--no-audit --no-fund ${tarball}`);
    console.log(`--- ${step.name ?? step.run}`);
    const environment = Object.fromEntries(Object.entries(step.env ?? {}).map(([name, value]) => [name, fill(value)]));
    const done = spawnSync('bash', ['-e', '-o', 'pipefail', '-c', script], {
      cwd: repository, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PATH: `${tools}:${process.env.PATH}`, CI: 'true', GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: repository, ...environment },
    });
    process.stdout.write(done.stdout);
    out += done.stdout;
    if (done.status !== 0) return { out, code: done.status };
  }
  return { out, code: 0 };
}

const problems = [];
const expect = (what, holds) => { if (!holds) problems.push(what); };
const right = job();
expect('the tests of the README pass', right.code === 0 && / passed/.test(right.out) && !right.out.includes('::error'));

write(path.join(repository, 'tiny.yaml'), block('tiny.yaml').replace('hidden: 4 * dim', 'hidden: 3 * dim'));
git('commit', '-q', '-a', '-m', 'Make the network narrower');
const wrong = job();
const line = block('tiny.test.yaml').split('\n').findIndex((text) => text.includes('parameters:')) + 1;
expect('a spec that breaks a test fails the job', wrong.code === 1);
expect(`line ${line} of tiny.test.yaml is marked`, wrong.out.includes(`::error file=tiny.test.yaml,line=${line},`));
if (steps.some(({ run }) => run?.includes('plan diff'))) {
  write(path.join(repository, 'tiny.test.yaml'), 'peel: 1\ntests: [{ name: is valid }]\n');
  expect('a change that passes is commented on', job().code === 0 && fs.existsSync(comment) && fs.readFileSync(comment, 'utf8').includes('tiny.yaml'));
  if (fs.existsSync(comment)) process.stdout.write(fs.readFileSync(comment, 'utf8'));
}
for (const problem of problems) console.log(`NOT SO: ${problem}`);
console.log(problems.length === 0 ? 'the workflow does what the README says' : `${problems.length} of the workflow's promises do not hold`);
process.exitCode = problems.length === 0 ? 0 : 1;
