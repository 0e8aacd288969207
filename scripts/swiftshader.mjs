/**
 * Runs a command with the software WebGPU driver that npm supplies: `npm run -s swiftshader -- COMMAND ARGS`.
 * The package @sparticuz/chromium carries Chromium's Vulkan loader and SwiftShader (Linux, x64) as a brotli-packed tar. They are
 * unpacked once into a cache folder; the dynamic linker reads LD_LIBRARY_PATH when a process starts, which is why it takes a new process.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';

const files = ['libvulkan.so.1', 'libvk_swiftshader.so', 'vk_swiftshader_icd.json'];
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** The files of a tar archive (POSIX ustar: a 512-byte header before each file, its data padded to 512 bytes), by name. */
export function untar(archive) {
  const text = (from, length) => {
    const field = archive.subarray(from, from + length);
    const end = field.indexOf(0);
    return field.subarray(0, end < 0 ? length : end).toString('utf8');
  };
  const result = new Map();
  for (let at = 0; at + 512 <= archive.length;) {
    const name = text(at, 100);
    if (name === '') break;
    const size = Number.parseInt(text(at + 124, 12).trim() || '0', 8);
    const type = text(at + 156, 1);
    if (!Number.isInteger(size) || at + 512 + size > archive.length) throw new Error(`damaged tar archive at byte ${at}`);
    if (type === '' || type === '0') result.set(name.replace(/^\.\//, ''), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return result;
}

/** Folders that may hold the unpacked driver, best first: beside the packages, or the user's own temporary folder. */
function cacheFolders() {
  const user = typeof process.getuid === 'function' ? process.getuid() : os.userInfo().username;
  return [path.join(root, 'node_modules', '.cache', 'peel'), path.join(os.tmpdir(), `peel-cache-${user}`)];
}

/** Unpacks into `folder`, complete or not at all: into a folder of this process's own, which is then renamed. */
function unpack(archive, folder) {
  fs.mkdirSync(path.dirname(folder), { recursive: true, mode: 0o700 });
  const owner = fs.lstatSync(path.dirname(folder));
  if (typeof process.getuid === 'function' && (owner.isSymbolicLink() || owner.uid !== process.getuid())) throw new Error(`${path.dirname(folder)} belongs to somebody else`);
  const own = fs.mkdtempSync(`${folder}.`);
  try {
    const content = untar(zlib.brotliDecompressSync(archive));
    for (const name of files) {
      const data = content.get(name);
      if (!data) throw new Error(`the driver archive holds no ${name}`);
      fs.writeFileSync(path.join(own, name), data, { mode: 0o755 });
    }
    fs.renameSync(own, folder);
  } catch (error) {
    fs.rmSync(own, { recursive: true, force: true });
    // Another process was first: its folder is complete.
    if (!(error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST'))) throw error;
  }
}

/** The folder of the unpacked driver; undefined where the package is absent or does not fit this machine. */
export function swiftshaderFolder() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const packed = path.join(root, 'node_modules', '@sparticuz', 'chromium', 'bin', 'swiftshader.tar.br');
  if (!fs.existsSync(packed)) return undefined;
  const archive = fs.readFileSync(packed);
  const name = `swiftshader-${createHash('sha256').update(archive).digest('hex').slice(0, 16)}`;
  let failure;
  for (const cache of cacheFolders()) {
    const folder = path.join(cache, name);
    try {
      if (!fs.existsSync(folder)) unpack(archive, folder);
      return folder;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * Environment variables that make Dawn find SwiftShader in a process started with them (merge over process.env); empty where
 * the driver is not available. A driver that the caller's environment names (VK_DRIVER_FILES or VK_ICD_FILENAMES) stays, unless
 * `force` is set; it still gets the Vulkan loader, which a bare machine lacks.
 */
export function swiftshaderEnvironment({ force = false, environment = process.env } = {}) {
  const folder = swiftshaderFolder();
  if (folder === undefined) return {};
  const driver = path.join(folder, 'vk_swiftshader_icd.json');
  const before = (environment.LD_LIBRARY_PATH ?? '').split(':').filter((part) => part !== '' && part !== folder);
  const chosen = environment.VK_DRIVER_FILES ?? environment.VK_ICD_FILENAMES;
  if (!force && chosen !== undefined && chosen !== '' && chosen !== driver) return { LD_LIBRARY_PATH: [...before, folder].join(':') };
  return { LD_LIBRARY_PATH: [folder, ...before].join(':'), VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver };
}

/**
 * Adds the software driver behind the machine's own drivers, so that WebGPU can be asked for on a machine without a GPU. Undefined where the caller's
 * environment says what drivers there are, or there is none to add.
 */
export function addedDriver(environment = process.env) {
  if (['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_ADD_DRIVER_FILES'].some((name) => environment[name])) return undefined;
  const folder = swiftshaderFolder();
  if (folder === undefined) return undefined;
  const before = (environment.LD_LIBRARY_PATH ?? '').split(':').filter((part) => part !== '');
  return { LD_LIBRARY_PATH: [...before, folder].join(':'), VK_ADD_DRIVER_FILES: path.join(folder, 'vk_swiftshader_icd.json') };
}

function main([command, ...args]) {
  if (command === undefined) {
    process.stderr.write('usage: npm run -s swiftshader -- COMMAND ARGS\nRuns a command with the software WebGPU driver from the package @sparticuz/chromium.\n');
    process.exit(2);
  }
  const environment = swiftshaderEnvironment({ force: true });
  if (Object.keys(environment).length === 0) process.stderr.write('swiftshader: no driver for this machine (Linux x64 and the development packages are needed); running with its own\n');
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`swiftshader: cannot run ${command}: ${error.message}\n`);
    process.exit('code' in error && error.code === 'ENOENT' ? 127 : 126);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0)));
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
