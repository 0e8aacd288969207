/**
 * npm run bench: Peel and its peers side by side. Every case runs in fresh processes, the peers in turn (A B C, A B C, ...), so that what
 * the machine does meanwhile hits all of them alike. Prints a table as Markdown, and keeps the raw lines in .cache/bench/results/.
 * `npm run bench -- --help` lists the options.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bundle, cache, installPeers, peersFolder, root, say, start as startWithin } from './processes.mjs';
import { markdown } from './table.mjs';

const help = `npm run bench -- [options]      (${os.cpus().length} processors here)

  --quick              135m in q4_0, prefill 128, decode 32 after 128, 3 processes each: under 5 minutes
  --shapes 135m,1.1b   made-up weights in these shapes; a path measures that GGUF file
  --formats f32,q8_0,q4_0,q4_K
  --threads 1,2
  --prompts 128,512    tokens of a prefill
  --pasts 128,1024     tokens before those that are decoded
  --decode 64          tokens decoded in a round
  --rounds 2           measured rounds of a process, after one that warms up
  --processes 5        fresh processes of a case
  --peers peel,llama-cpp,onnx,wllama,onnx-web    also: peel-webgpu, onnx-webgpu (whichever driver this process was started with);
                       onnx-web is an f32 product of 512 x 512 alone
  --limit 600          seconds that a process may take
  --table FILE         prints the table of an earlier run's lines

Peers are installed into bench/peers on first use. ONNX files need Python with bench/peers/requirements.txt (PYTHON names it); without, that peer is left out.`;

const { values: flags } = parseArgs({ options: {
  quick: { type: 'boolean' }, help: { type: 'boolean' }, table: { type: 'string' },
  ...Object.fromEntries(['shapes', 'formats', 'threads', 'prompts', 'pasts', 'decode', 'rounds', 'processes', 'peers', 'limit'].map((name) => [name, { type: 'string' }])),
} });
if (flags.help) { console.log(help); process.exit(0); }
const lines = (file) => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
if (flags.table) { console.log(markdown(lines(flags.table))); process.exit(0); }

const quick = { shapes: '135m', formats: 'q4_0', prompts: '128', pasts: '128', decode: '32', rounds: '2', processes: '3', peers: 'peel,llama-cpp,onnx,wllama,onnx-web', limit: '60' };
const full = { shapes: '135m,1.1b', formats: 'f32,q8_0,q4_0,q4_K', prompts: '128,512', pasts: '128,1024', decode: '64', rounds: '2', processes: '5', peers: 'peel,llama-cpp,onnx,wllama,onnx-web', limit: '600' };
const o = { threads: '1,2', ...(flags.quick ? quick : full), ...flags };
const list = (text) => text.split(',').filter(Boolean);
const start = (script, args) => startWithin(script, args, { limit: Number(o.limit) });
fs.mkdirSync(path.join(cache, 'results'), { recursive: true });
const results = path.join(cache, 'results', `${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}.jsonl`);
const keep = (result) => fs.appendFileSync(results, `${JSON.stringify(result)}\n`);

/** The GGUF file of a shape and format, written if it is not there. */
function modelFile(shape, format) {
  if (fs.existsSync(shape)) return path.resolve(shape);
  const file = path.join(cache, `${shape}-${format}.gguf`);
  if (!fs.existsSync(file)) {
    const done = spawnSync(process.execPath, [randomModel, shape, format, file], { stdio: ['ignore', 2, 2] });
    if (done.status !== 0) throw new Error(`no model of shape ${shape} in ${format}`);
  }
  return file;
}

/** The same weights as an ONNX file; undefined where none can be written. */
function onnxFile(gguf, format) {
  if (!['f32', 'q8_0', 'q4_0'].includes(format)) return undefined;
  const file = path.join(cache, `${path.basename(gguf, '.gguf')}.onnx`);
  if (fs.existsSync(file)) return file;
  say(`writing ${path.basename(file)}`);
  const python = process.env.PYTHON ?? 'python3';
  const done = spawnSync(python, [path.join(peersFolder, 'onnx-model.py'), gguf, file], { encoding: 'utf8' });
  if (done.status === 0) return file;
  say(`no ONNX file: ${done.error ? done.error.message : done.stderr.trim().split('\n').at(-1)}`);
  return undefined;
}

const [peelRunner, matmulRunner, randomModel] = await bundle('peel-runner.ts', 'matmul-runner.ts', 'random-model.ts');
const scripts = { 'peel': 'peel', 'peel-webgpu': 'peel', 'llama-cpp': 'llama-cpp.mjs', 'onnx': 'onnx.mjs', 'onnx-webgpu': 'onnx.mjs', 'wllama': 'wllama.mjs' };
const lengths = ['--prompts', o.prompts, '--pasts', o.pasts, '--decode', o.decode, '--rounds', o.rounds];

function runPeer(peer, model, format, threads) {
  const script = scripts[peer];
  if (script === undefined) throw new Error(`no peer '${peer}'; one of ${Object.keys(scripts).join(', ')}`);
  const file = peer.startsWith('onnx') ? onnxFile(model, format) : model;
  if (file === undefined) return undefined;
  const provider = peer.endsWith('webgpu') ? ['--provider', 'webgpu'] : [];
  return start(script === 'peel' ? peelRunner : path.join(peersFolder, script), ['--model', file, '--threads', threads, ...lengths, ...provider]);
}

if (list(o.peers).some((p) => !p.startsWith('peel'))) installPeers();
const dead = new Set();
const modelPeers = list(o.peers).filter((p) => p !== 'onnx-web');
for (let n = 1; n <= Number(o.processes); n++) {
  for (const threads of list(o.peers).includes('onnx-web') ? list(o.threads) : []) {
    for (const script of [matmulRunner, path.join(peersFolder, 'onnx-web-matmul.mjs')]) keep({ kind: 'matmul', process: n, ...await start(script, ['--threads', threads]) });
  }
  for (const shape of list(o.shapes)) {
    for (const format of fs.existsSync(shape) ? ['as it is'] : list(o.formats)) {
      if (format === 'f32' && shape !== '135m') continue; // 4.4 GB: more than one WebAssembly memory holds.
      const model = modelFile(shape, format);
      for (const threads of list(o.threads)) {
        const name = fs.existsSync(shape) ? path.basename(shape, '.gguf') : shape;
        const about = { shape: name, format, threads: Number(threads), process: n, fileBytes: fs.statSync(model).size };
        keep({ kind: 'probe', ...about, ...await start(peelRunner, ['--probe', '1', '--threads', threads]) });
        for (const peer of modelPeers) {
          const key = `${peer} ${name} ${format} ${threads}`;
          if (dead.has(key)) continue;
          const result = await runPeer(peer, model, format, threads);
          if (!result) { dead.add(key); continue; }
          if (result.failed) dead.add(key);
          say(`${n}/${o.processes} ${key}${result.failed ? ` FAILED: ${result.failed}` : ''}`);
          keep({ kind: 'run', id: peer, ...about, ...result });
          if (n === 1 && result.check && !peer.startsWith('peel')) {
            const checked = await start(peelRunner, ['--model', model, '--threads', threads, ...lengths, '--check', JSON.stringify([result.check])]);
            keep({ kind: 'check', id: peer, ...about, ...(checked.results?.[0] ?? { failed: checked.failed ?? 'no result' }) });
          }
        }
      }
    }
  }
}
say(`raw lines: ${path.relative(root, results)}`);
console.log(markdown(lines(results)));
