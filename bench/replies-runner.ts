/**
 * Peel's replies to prompts, as peers/llama-cpp-replies.mjs gives llama.cpp's. `--against a.json,b.json`: replies that others wrote; where one differs,
 * says how far apart the two tokens' logits are, and how far each token of the other reply is below the largest logit when Peel is fed that reply.
 */
import fs from 'node:fs';
import path from 'node:path';
import { loadModel } from '../runtime/model.ts';
import { options, print } from './peers/common.mjs';

interface Reply { readonly ids: number[]; readonly tokens: number[] }

const o = options();
const [limit, context] = [Number(o.tokens), Number(o.context)];
const device = o.device === 'webgpu' ? 'webgpu' : 'cpu';
const others = new Map((o.against ?? '').split(',').filter(Boolean).map((file) => [path.basename(file, '.json'), (JSON.parse(fs.readFileSync(file, 'utf8')) as { replies: Reply[] }).replies]));
const model = await loadModel({ path: o.model });
const tokenizer = await model.tokenizer();
const session = await model.session({ device, threads: o.threads, exact: o.exact === '1', context });

const feedOne = async (id: number): Promise<Float32Array> => (await session.feed([id], { outputs: ['logits'] })).outputs.get('logits') ?? new Float32Array(0);

/** The logits behind a prompt and so many tokens of its reply, computed as they were when it was written: the prompt in chunks, each token after it alone. */
async function logitsBehind({ ids, tokens }: Reply, count: number): Promise<Float32Array> {
  const all = [...ids, ...tokens.slice(0, count)];
  let from = session.commonPrefix(all);
  let row: Float32Array = new Float32Array(0);
  if (from < ids.length) {
    session.rewind(0);
    row = (await session.extendTo(ids, { outputs: ['logits'] }))?.outputs.get('logits') ?? row;
    from = ids.length;
  } else session.rewind(from);
  for (const id of all.slice(from)) row = await feedOne(id);
  return row;
}

function spread(row: Float32Array): { mean: number; deviation: number; least: number; most: number } {
  const mean = row.reduce((a, b) => a + b, 0) / row.length;
  const deviation = Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length);
  return { mean, deviation, least: row.reduce((a, b) => Math.min(a, b), Infinity), most: row.reduce((a, b) => Math.max(a, b), -Infinity) };
}

/** The first token that differs, of those that both wrote; undefined where there is none. */
async function difference(own: Reply, other: Reply): Promise<object | undefined> {
  const length = Math.min(own.tokens.length, other.tokens.length);
  let at = 0;
  while (at < length && own.tokens[at] === other.tokens[at]) at++;
  const [mine, theirs] = [own.tokens[at], other.tokens[at]];
  if (at === length || mine === undefined || theirs === undefined) return undefined;
  let row = await logitsBehind(own, at);
  const { deviation, least, most } = spread(row);
  const gap = (row[mine] ?? NaN) - (row[theirs] ?? NaN);
  // The other's reply from there on, fed to this model.
  const behind: number[] = [];
  for (const token of other.tokens.slice(at, limit)) {
    const s = spread(row);
    behind.push((s.most - (row[token] ?? NaN)) / s.deviation);
    row = await feedOne(token);
  }
  return { at, mine, theirs, pieces: [mine, theirs].map((id) => tokenizer.decode([id], { special: true })), gap, deviation, range: most - least, behind };
}

const replies: object[] = [];
const rows: Float32Array[] = [];
for (const [n, { text }] of (JSON.parse(fs.readFileSync(o.texts ?? '', 'utf8')) as { text: string }[]).entries()) {
  const ids = tokenizer.chat([{ role: 'user', content: text }]);
  const [tokens, begun]: [number[], number] = [[], performance.now()];
  session.rewind(0);
  for await (const id of session.generate(ids, { maxTokens: limit, stop: tokenizer.special.eos })) tokens.push(id);
  process.stderr.write(`prompt ${n + 1}: ${tokens.length} tokens after ${ids.length} in ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  const differences: Record<string, object> = {};
  for (const [name, list] of others) {
    const other = list[n];
    const found = other && other.ids.join() === ids.join() ? await difference({ ids, tokens }, other) : undefined;
    if (found) differences[name] = found;
  }
  session.rewind(ids.length - 1);
  const row = await feedOne(ids.at(-1) ?? 0);
  rows.push(row);
  replies.push({ ids, tokens, text: tokenizer.decode(tokens), differences });
}
if (o.logits !== undefined) fs.writeFileSync(o.logits, Buffer.concat(rows.map((row) => Buffer.from(row.buffer, row.byteOffset, row.byteLength))));
print({ version: session.device.description, replies });
await model.dispose();
process.exit(0);
