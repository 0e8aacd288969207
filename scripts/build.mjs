/**
 * Bundles the library and the command line from TypeScript into dist/: two files, each complete. The library leaves packages outside; the
 * command line has those in it that it always needs (finding their many files took longer than running them), with their licences beside it.
 * Files are written whole or not at all (several processes may build at once), and not at all where nothing changed.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');
const stampFile = path.join(dist, '.stamp');
const sources = ['index.ts', 'schema', 'compiler', 'runtime', 'cli', 'scripts/build.mjs', 'package.json'];

/** A digest of the names, sizes and times of all sources. */
function stamp() {
  const hash = createHash('sha256');
  const visit = (name) => {
    const stats = fs.statSync(path.join(root, name), { throwIfNoEntry: false });
    if (!stats) return;
    if (stats.isDirectory()) {
      for (const entry of fs.readdirSync(path.join(root, name)).sort()) visit(`${name}/${entry}`);
    } else hash.update(`${name}\0${stats.size}\0${stats.mtimeMs}\n`);
  };
  sources.forEach(visit);
  return hash.digest('hex');
}

export function isStale() {
  try {
    return fs.readFileSync(stampFile, 'utf8') !== stamp();
  } catch {
    return true;
  }
}

/** The code of compiler/schema-check.ts with the schemas compiled. */
async function schemaCheck() {
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  const { default: standalone } = await import('ajv/dist/standalone/index.js');
  const read = (file) => JSON.parse(fs.readFileSync(path.join(root, 'schema', file), 'utf8'));
  const ajv = new Ajv2020({ ...read('ajv.json'), code: { source: true, esm: true } });
  for (const file of ['test.schema.json', 'spec.schema.json']) ajv.addSchema(read(file), file);
  const code = (standalone.default ?? standalone)(ajv, { check: 'spec.schema.json', checkTests: 'test.schema.json' })
    .replaceAll('require("ajv/dist/runtime/ucs2length").default', '((text) => [...text].length)');
  if (code.includes('require(')) throw new Error('the compiled schema needs a part of ajv that the bundle has not');
  return { contents: code, loader: 'js' };
}

/** Packages with parts of their own that a bundle cannot hold, or that most commands do without. */
const loadedWhenNeeded = ['webgpu', '@mlc-ai/web-xgrammar', '@viz-js/viz', '@huggingface/hub'];
/** CommonJS packages ask for Node's own modules by `require`. */
const banner = "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);";

/** The licences of the packages that files of a bundle come from. */
function licences(files) {
  const folders = new Set(files.flatMap((file) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  const read = (folder) => {
    const { name, version, license } = JSON.parse(fs.readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
    const file = fs.readdirSync(path.join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name} ${version} (${license})\n\n${file === undefined ? '' : fs.readFileSync(path.join(root, folder, file), 'utf8').trim()}\n`;
  };
  return [...folders].sort().map(read).join(`\n${'-'.repeat(80)}\n\n`);
}

export async function build() {
  const now = stamp();
  const { build: bundle } = await import('esbuild');
  const options = {
    absWorkingDir: root, outdir: 'dist', outbase: '.', bundle: true, platform: 'node',
    target: 'node20', format: 'esm', sourcemap: 'linked', sourcesContent: false, write: false, logLevel: 'error', legalComments: 'none',
    loader: { '.json': 'json' }, plugins: [{ name: 'schema', setup: (on) => on.onLoad({ filter: /compiler[\\/]schema-check\.ts$/ }, schemaCheck) }],
  };
  const [library, commandLine] = await Promise.all([
    bundle({ ...options, entryPoints: ['index.ts'], packages: 'external' }),
    bundle({ ...options, entryPoints: ['cli/main.ts'], external: loadedWhenNeeded, banner: { js: banner }, metafile: true }),
  ]);
  for (const file of [...library.outputFiles, ...commandLine.outputFiles]) writeWhole(file.path, file.contents);
  writeWhole(path.join(dist, 'cli', 'LICENSES.txt'), licences(Object.keys(commandLine.metafile.inputs)));
  writeWhole(stampFile, now);
}

function writeWhole(file, content) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, content, { mode: file.endsWith('main.js') ? 0o755 : 0o644 });
  fs.renameSync(temporary, file);
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await build();
