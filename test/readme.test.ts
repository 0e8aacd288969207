/** Runs what the README shows: its specs, its commands, its programs. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { transformSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, isStale, root } from '../scripts/build.mjs';

interface Block { readonly language: string; readonly name: string; readonly text: string }

const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const blocks: Block[] = [...readme.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm)].map(([, language = '', name = '', text = '']) => ({ language, name, text }));
const folder = mkdtempSync(path.join(tmpdir(), 'peel-readme-'));

beforeAll(async () => {
  if (isStale()) await build();
  for (const { language, name, text } of blocks) {
    if (language !== 'yaml') continue;
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  // What a reader has around: the clone's models and golden files, and the package by its name.
  symlinkSync(path.join(root, 'models'), path.join(folder, 'models'));
  mkdirSync(path.join(folder, 'test'));
  for (const name of ['golden', 'gguf']) symlinkSync(path.join(root, 'test', name), path.join(folder, 'test', name));
  cpSync(path.join(root, 'README.md'), path.join(folder, 'README.md'));
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(root, path.join(folder, 'node_modules', 'peel'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { cwd: folder, maxBuffer: 1 << 24 }, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, out, err });
    });
  });
}

/** The words of a command line, quotes taken off. */
const words = (text: string): string[] => [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

describe('the README', () => {
  const commands = blocks.filter((b) => b.language === 'sh').flatMap((b) => b.text.trim().split('\n'));
  it('shows specs, commands and programs', () => {
    expect(blocks.filter((b) => b.language === 'yaml').map((b) => b.name)).toEqual(['tiny.yaml', 'mine.yaml', 'tiny.test.yaml', '.github/workflows/specs.yaml']);
    expect(blocks.find((b) => b.name === 'tiny.yaml')?.text.trim().split('\n').length).toBeLessThanOrEqual(20);
    expect(commands.length).toBeGreaterThan(8);
  });
  it.each(commands)('%s', async (command) => {
    const [npm, runWord, silent, peel, dashes, ...args] = words(command);
    expect([npm, runWord, silent, peel, dashes]).toEqual(['npm', 'run', '-s', 'peel', '--']);
    const { code, out, err } = await run([path.join(root, 'dist', 'cli', 'main.js'), ...args]);
    expect(`${code} ${code === 0 ? '' : err}`).toBe('0 ');
    expect(out.length).toBeGreaterThan(0);
  });
  const programs = blocks.filter((b) => b.language === 'ts');
  it.each(programs.map((b, i) => [i, b.text] as const))('program %i', async (i, text) => {
    const file = path.join(folder, `program-${i}.mjs`);
    writeFileSync(file, transformSync(text, { loader: 'ts', format: 'esm', target: 'node20' }).code);
    const { code, out, err } = await run([file]);
    expect(`${code} ${code === 0 ? '' : err}`).toBe('0 ');
    expect(out.trim()).not.toBe('');
  });
});
