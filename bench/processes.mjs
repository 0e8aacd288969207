/** What the benchmarks share: the peers' packages, our bundled runners, fresh processes that end in one line of JSON. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const peersFolder = path.join(root, 'bench', 'peers');
export const cache = path.join(root, '.cache', 'bench');
export const say = (text) => process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`);

/** The peers' packages, where one of `names` (all, if absent) is missing. */
export function installPeers(names = Object.keys(JSON.parse(fs.readFileSync(path.join(peersFolder, 'package.json'), 'utf8')).dependencies)) {
  if (names.every((name) => fs.existsSync(path.join(peersFolder, 'node_modules', name)))) return;
  say('installing the peers into bench/peers');
  // Their binaries come in packages of their own: no scripts are needed.
  const done = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'], { cwd: peersFolder, stdio: ['ignore', 2, 2] });
  if (done.status !== 0) say('the peers could not all be installed: those that are missing will fail');
}

/** Bundles files of bench/ into the cache; gives where they are, in the same order. */
export async function bundle(...files) {
  fs.mkdirSync(cache, { recursive: true });
  await build({
    absWorkingDir: root, entryPoints: files.map((file) => path.join(root, 'bench', file)), outbase: path.join(root, 'bench'), outdir: cache, outExtension: { '.js': '.mjs' },
    bundle: true, packages: 'external', platform: 'node', target: 'node20', format: 'esm', logLevel: 'error',
  });
  return files.map((file) => path.join(cache, file.replace(/\.ts$/, '.mjs')));
}

/** Runs a script in a fresh process, at most `limit` seconds; gives its last line as JSON, or { failed }. `progress` shows what it says meanwhile. */
export function start(script, args, { limit, environment = {}, progress = false }) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    let out = '', err = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { err = (err + data).slice(-2000); if (progress) process.stderr.write(data); });
    const timer = setTimeout(() => child.kill('SIGKILL'), limit * 1000);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const last = out.trim().split('\n').at(-1) ?? '';
      if (code === 0 && last.startsWith('{')) resolve(JSON.parse(last));
      else resolve({ failed: signal === 'SIGKILL' ? `took more than ${limit} s` : (err.match(/^\w*Error\b.*$/m) ?? err.match(/.*[Ee]rror.*/))?.[0].trim() ?? `exit code ${code}` });
    });
  });
}
