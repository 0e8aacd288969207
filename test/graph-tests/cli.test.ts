/** peel test as users run it: exit codes, shards, reports in files, --watch. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { root } from '../../scripts/build.mjs';
import { prepare, type Ran } from '../cli/peel.ts';
import { folderWith, tiny } from './files.ts';

beforeAll(prepare);

function start(folder: string, args: readonly string[]): ReturnType<typeof spawn> {
  return spawn(process.execPath, [path.join(root, 'dist', 'cli', 'main.js'), 'test', ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PEEL_DEBUG: '', GITHUB_WORKSPACE: '' } });
}

function peelTest(folder: string, ...args: string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = start(folder, args);
    let out = '', err = '';
    child.stdout?.on('data', (data: Buffer) => { out += data.toString(); });
    child.stderr?.on('data', (data: Buffer) => { err += data.toString(); });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, out: out.replace(/\d+(\.\d+)? m?s\b/g, 'TIME'), err }));
  });
}

const right = `peel: 1
spec: tiny
tests:
  - name: is valid
  - { name: counts its weights, expect: { parameters: 8272 } }
  - { name: is twice as large with twice the layers, with: { layers: 4 }, expect: { parameters: { near: 8272 * 2, within: vocab * dim + dim } } }
  - name: needs heads that can share
    with: { heads: 1 }
    expect: { diagnostics: [{ code: E302, path: /layers/residual/0/attention/kv_heads }] }
`;

it('ends with 0 where everything holds, and with 1 where one case does not', async () => {
  const folder = folderWith({ 'a.test.yaml': right, 'sub/b.test.yaml': right.replace('8272 }', '8273 }').replace('spec: tiny', 'spec: ../tiny') });
  expect(await peelTest(folder, 'a.test.yaml')).toEqual({ code: 0, err: '', out: 'ok     a.test.yaml: 4 cases, TIME\n4 passed; 1 file, TIME\n' });
  expect(await peelTest(folder)).toEqual({ code: 1, err: '', out: `ok     a.test.yaml: 4 cases, TIME
FAILED sub/b.test.yaml: 1 of 4 cases failed, TIME
  FAILED counts its weights
    sub/b.test.yaml:5:55 parameters: wanted 8,273, found 8,272
    5 |   - { name: counts its weights, expect: { parameters: 8273 } }
                                                              ^^^^
7 passed, 1 failed; 2 files, TIME
` });
});

it('runs each case in one shard', async () => {
  const folder = folderWith({ 'a.test.yaml': right, 'b.yaml': `${tiny}tests: [{ name: b }, { name: c }]\n` });
  const names = async (...args: string[]): Promise<string[]> => {
    const { out } = await peelTest(folder, '--json', '--workers', '0', ...args);
    const { cases } = JSON.parse(out.replace(/TIME/g, '0')) as { cases: { file: string; name: string; status: string }[] };
    return cases.map(({ file, name, status }) => `${file} ${name} ${status}`);
  };
  const [all, ...shards] = await Promise.all([names(), names('--shard', '1/3'), names('--shard', '2/3'), names('--shard', '3/3')]);
  expect(all).toHaveLength(6);
  expect(shards.flat().sort()).toEqual([...all].sort());
  expect(shards.map((shard) => shard.length)).toEqual([2, 2, 2]);
  expect(await names('--filter', 'B.YAML')).toEqual(['b.yaml b passed', 'b.yaml c passed']);
});

it('writes reports for programs to a file, and the one for people to the terminal', async () => {
  const folder = folderWith({ 'a.test.yaml': right.replace('8272 }', '1 }') });
  const { code, out } = await peelTest(folder, '--reporter', 'junit', '--output', 'reports/junit.xml');
  expect(code).toBe(1);
  expect(out).toContain('3 passed, 1 failed');
  expect(readFileSync(path.join(folder, 'reports/junit.xml'), 'utf8')).toMatch(/^<\?xml[^]*<testsuites name="peel test" tests="4" failures="1"[^]*<\/testsuites>\n$/);
  const github = await peelTest(folder, '--reporter', 'github', 'a.test.yaml');
  expect(github.out.trim().split('\n').at(-1)).toBe('::error file=a.test.yaml,line=5,col=55,title=counts its weights::parameters: wanted 1, found 8,272');
});

it('says what is wrong with its arguments and files', async () => {
  const folder = folderWith({ 'bad.test.yaml': 'peel: 1\nspec: tinny\ntests: [{ name: a }]\n', 'a.test.yaml': right, 'empty/x.yaml': 'a: 1\n' });
  const says = async (...args: string[]): Promise<string> => {
    const { code, err } = await peelTest(folder, ...args);
    return `${code} ${err.split('\n')[0] ?? ''}`;
  };
  const said = await Promise.all([
    says('empty'), says('none.yaml'), says('tiny.yaml'), says('a.test.yaml', '--filter', 'zzz'), says('--shard', '5/4'), says('--reporter', 'xml'),
    says('--output', 'x.xml'), says('a.test.yaml', '--reporter', 'junit', '--output', 'a.test.yaml/x'), says('--watch', '--json'), says('--watch', '--update'),
  ]);
  expect(said).toEqual([
    '2 E012 / no tests are in empty; tests are a list `tests` in a spec, or files called NAME.test.yaml',
    '14 E721 / there is no file or folder none.yaml to look for tests in',
    '10 tiny.yaml:1:1 E202 / the spec has no `tests`; write them in it, or in tiny.test.yaml',
    "2 E012 / none of 4 cases in 1 file holds 'zzz' in its name or file",
    "2 error: option '--shard <i/n>' argument '5/4' is invalid. A part and how many there are was expected, such as 1/4 to 4/4.",
    "2 error: option '--reporter <name>' argument 'xml' is invalid. Allowed choices are terminal, junit, json, github.",
    '2 E012 / --output goes with --reporter junit or json',
    expect.stringMatching(/^14 E721 \/ a\.test\.yaml\/x cannot be written/),
    '2 E012 / --watch is for people: it goes with neither --reporter nor --shard',
    '2 E012 / --watch would run again for what --update writes: give one of them',
  ]);
  // The other files' cases run all the same.
  const { code, out, err } = await peelTest(folder);
  expect([code, err.split('\n')[0]]).toEqual([10, expect.stringMatching(/^bad\.test\.yaml:2:7 E120 \/spec no spec `tinny` is beside bad\.test\.yaml or in /)]);
  expect(out).toContain('4 passed, 1 file with mistakes; 1 file');
});

it('runs again what depends on a file that changed', async () => {
  const folder = folderWith({ 'base.yaml': tiny, 'tiny.yaml': 'peel: 1\nname: over\nextends: ./base.yaml\n', 'other.yaml': tiny, 'tiny.test.yaml': 'peel: 1\ntests: [{ name: a }]\n', 'other.test.yaml': 'peel: 1\ntests: [{ name: b }]\n' });
  const child = start(folder, ['--watch']);
  onTestFinished(() => { child.kill(); });
  let text = '';
  let waiting: (() => void) | undefined;
  const hear = (data: Buffer): void => { text += data.toString(); waiting?.(); };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  /** What is written until the next run has ended. */
  const run = async (): Promise<string> => {
    while (!/watching \d+ files[^\n]*\n/.test(text)) await new Promise<void>((resolve) => { waiting = resolve; });
    const all = text.replace(/\d+(\.\d+)? m?s\b/g, 'TIME');
    text = '';
    return all;
  };
  expect(await run()).toContain('2 passed; 2 files');
  writeFileSync(path.join(folder, 'base.yaml'), tiny.replace('rmsnorm', 'rmsnrm'));
  const failing = await run();
  expect(failing).toContain('base.yaml changed');
  expect(failing).toContain('did you mean `rmsnorm`?');
  expect(failing).toContain('0 passed, 1 failed; 1 file');
  writeFileSync(path.join(folder, 'base.yaml'), tiny);
  expect(await run()).toContain('ok     tiny.test.yaml: 1 case, TIME\n1 passed; 1 file');
  writeFileSync(path.join(folder, 'more.test.yaml'), 'peel: 1\nspec: other\ntests: [{ name: c }]\n');
  expect(await run()).toContain('ok     more.test.yaml: 1 case, TIME\n1 passed; 1 file');
});
