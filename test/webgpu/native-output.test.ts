/** What drivers print by themselves does not reach people, and what we print does. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(path.join(os.tmpdir(), 'peel-native-output-'));
const script = path.join(folder, 'script.mjs');
// Native code and children write to the same number as this does.
const program = `
  import { readdirSync, writeSync } from 'node:fs';
  import { withoutNativeOutput } from ${JSON.stringify(path.resolve('runtime/webgpu/native-output.ts'))};
  const open = () => readdirSync('/proc/self/fd').length;
  writeSync(2, 'first\\n');
  const before = open();
  const result = withoutNativeOutput(() => { writeSync(2, 'lost\\n'); return 7; });
  let failure;
  try { withoutNativeOutput(() => { writeSync(2, 'lost as well\\n'); throw new Error('passed on'); }); } catch (error) { failure = error; }
  // The stream takes a number of its own when it is first used.
  const left = open() - before;
  console.error(failure.message);
  process.stderr.write(\`last \${result} \${left}\\n\`);
`;

beforeAll(async () => {
  await build({ stdin: { contents: program, resolveDir: path.resolve('.'), loader: 'ts' }, bundle: true, platform: 'node', format: 'esm', outfile: script });
});
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

const shell = (command: string): string => {
  const done = spawnSync('sh', ['-c', command, 'sh', process.execPath, script, path.join(folder, 'log')], { encoding: 'utf8' });
  expect(done.status, done.stderr).toBe(0);
  return done.stdout;
};

describe.skipIf(process.platform !== 'linux')('standard error (on Linux alone: elsewhere nothing is diverted)', () => {
  test('a pipe', () => { expect(shell('"$1" "$2" 2>&1 | cat')).toBe('first\npassed on\nlast 7 0\n'); });

  test('a file that is appended to', () => {
    shell('echo begin > "$3"; "$1" "$2" 2>> "$3"; echo end >> "$3"');
    expect(readFileSync(path.join(folder, 'log'), 'utf8')).toBe('begin\nfirst\npassed on\nlast 7 0\nend\n');
  });

  test('a file with a place of its own, which the shell writes to afterwards, keeps everything in order', () => {
    shell('{ "$1" "$2"; echo end; } > "$3" 2>&1');
    expect(readFileSync(path.join(folder, 'log'), 'utf8')).toBe('first\nlost\nlost as well\npassed on\nlast 7 0\nend\n');
  });

  test('closed', () => { expect(shell('"$1" "$2" 2>&- ; echo end')).toBe('end\n'); });
});
