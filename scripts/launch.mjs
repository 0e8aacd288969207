/**
 * What `npm start`, `npm test` and `npm run -s peel -- ARGS` run, from an empty clone on. Installs the packages if they are missing
 * or not those of package-lock.json, bundles the sources if they changed, then starts. Says what it does on stderr: stdout is the result.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const [mode, ...args] = process.argv.slice(2);

const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 20) {
  process.stderr.write(`peel: Node 20 or later is needed, this is ${process.versions.node}\n`);
  process.exit(1);
}

/** The packages that package-lock.json names and node_modules lacks, or has in another version. */
function missingPackages(withDevelopment) {
  const read = (file) => {
    try {
      return JSON.parse(fs.readFileSync(path.join(root, file), 'utf8')).packages ?? {};
    } catch {
      return {};
    }
  };
  const wanted = read('package-lock.json');
  const present = read('node_modules/.package-lock.json');
  return Object.entries(wanted).filter(([name, entry]) =>
    name !== '' && !entry.optional && !entry.devOptional && !entry.peer && (withDevelopment || !entry.dev) && present[name]?.version !== entry.version,
  ).map(([name]) => name);
}

function install(withDevelopment) {
  const missing = missingPackages(withDevelopment);
  if (missing.length === 0) return;
  process.stderr.write(`peel: installing packages (npm ci): ${missing.length} are missing or out of date\n`);
  const npm = process.env.npm_execpath;
  const [command, first] = npm === undefined ? [process.platform === 'win32' ? 'npm.cmd' : 'npm', []] : [process.execPath, [npm]];
  // npm's own output goes to stderr, where progress belongs.
  const done = spawnSync(command, [...first, 'ci', '--no-audit', '--no-fund'], { cwd: root, stdio: ['ignore', 2, 2], shell: npm === undefined && process.platform === 'win32' });
  if (done.status !== 0) {
    process.stderr.write(`peel: npm ci failed${done.error ? `: ${done.error.message}` : ''}; is the package registry reachable?\n`);
    process.exit(done.status ?? 1);
  }
}

async function ready() {
  const { build, isStale } = await import('./build.mjs');
  if (!isStale()) return;
  try {
    await build();
  } catch (error) {
    process.stderr.write(`peel: the sources do not build\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

/** Runs another program in this one's place: same streams, same signals, same exit code. */
function become(command, commandArgs, environment) {
  const child = spawn(command, commandArgs, { stdio: 'inherit', env: { ...process.env, ...environment } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0)));
}

/**
 * Where WebGPU is asked for by name, or may be by a graph test, the software driver of the development packages is added behind the machine's own drivers, so
 * that `--device webgpu` works in a checkout on a machine without a GPU. The dynamic linker reads this when a process starts.
 */
async function softwareDriver(peelArgs) {
  const asked = peelArgs[0] === 'test' || peelArgs.some((arg, i) => /^--devices?=.*webgpu/.test(arg) || (/^--devices?$/.test(peelArgs[i - 1] ?? '') && arg.includes('webgpu')));
  if (!asked) return undefined;
  const { addedDriver } = await import('./swiftshader.mjs');
  return addedDriver();
}

async function peel(peelArgs) {
  install(false);
  await ready();
  const main = path.join(root, 'dist', 'cli', 'main.js');
  const environment = await softwareDriver(peelArgs);
  // npm runs scripts in the project's folder; paths are meant from where the user stands.
  if (process.env.npm_lifecycle_event === 'peel' && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);
  if (environment) {
    become(process.execPath, [main, ...peelArgs], environment);
    return;
  }
  process.argv = [process.execPath, main, ...peelArgs];
  await import(pathToFileURL(main).href);
}

switch (mode) {
  case 'peel':
    await peel(args);
    break;
  case 'start': {
    install(false);
    await ready();
    const nano = path.join(root, 'models', 'nano', 'nano-llama');
    process.stderr.write('nano-llama, a small LLaMA that learned from Shakespeare, compiled from models/llama.yaml, writes:\n\n');
    await peel(['run', nano, '--prompt', 'ROMEO:\n', '--max-tokens', '240', '--temperature', '0.8', '--seed', '1', ...args]);
    break;
  }
  case 'test': {
    install(true);
    await ready();
    const { swiftshaderEnvironment } = await import('./swiftshader.mjs');
    become(process.execPath, [path.join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', ...args], swiftshaderEnvironment());
    break;
  }
  default:
    process.stderr.write('usage: node scripts/launch.mjs start|test|peel [ARGS]\n');
    process.exitCode = 2;
}
