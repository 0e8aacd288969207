/**
 * Bundles the library and the command line from TypeScript into dist/: two files, each complete, packages left outside.
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

/** The code of compiler/schema-check.ts with the schema compiled. */
async function schemaCheck() {
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  const { default: standalone } = await import('ajv/dist/standalone/index.js');
  const read = (file) => JSON.parse(fs.readFileSync(path.join(root, 'schema', file), 'utf8'));
  const ajv = new Ajv2020({ ...read('ajv.json'), code: { source: true, esm: true } });
  const code = (standalone.default ?? standalone)(ajv, ajv.compile(read('spec.schema.json')))
    .replaceAll('require("ajv/dist/runtime/ucs2length").default', '((text) => [...text].length)');
  if (code.includes('require(')) throw new Error('the compiled schema needs a part of ajv that the bundle has not');
  return { contents: `${code}\nexport { validate as check };`, loader: 'js' };
}

export async function build() {
  const now = stamp();
  const { build: bundle } = await import('esbuild');
  const entries = ['index.ts', 'cli/main.ts'].filter((file) => fs.existsSync(path.join(root, file)));
  const result = await bundle({
    absWorkingDir: root, entryPoints: entries, outdir: 'dist', outbase: '.', bundle: true, packages: 'external', platform: 'node',
    target: 'node20', format: 'esm', sourcemap: 'linked', sourcesContent: false, write: false, logLevel: 'error', legalComments: 'none',
    loader: { '.json': 'json' }, plugins: [{ name: 'schema', setup: (on) => on.onLoad({ filter: /compiler[\\/]schema-check\.ts$/ }, schemaCheck) }],
  });
  for (const file of result.outputFiles) writeWhole(file.path, file.contents);
  writeWhole(stampFile, now);
}

function writeWhole(file, content) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, content, { mode: file.endsWith('main.js') ? 0o755 : 0o644 });
  fs.renameSync(temporary, file);
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await build();
