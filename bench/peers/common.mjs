/** What the runners share: arguments, the ids of prompts, one line of results. */
import { readFileSync } from 'node:fs';

/** `--name value` pairs; lists of numbers are separated by commas. */
export function options() {
  const given = Object.fromEntries(process.argv.slice(2).reduce((pairs, word, i, all) => (i % 2 === 0 ? [...pairs, [word.slice(2), all[i + 1]]] : pairs), []));
  const numbers = (name, otherwise) => (given[name] ?? otherwise).split(',').filter(Boolean).map(Number);
  return {
    ...given, model: given.model, threads: Number(given.threads ?? 1), prompts: numbers('prompts', '128'), pasts: numbers('pasts', '128'),
    decode: Number(given.decode ?? 32), rounds: Number(given.rounds ?? 3),
  };
}

/** Ids that differ between rounds, so that nobody has a prefix to reuse. */
export const promptIds = (count, round) => Array.from({ length: count }, (_, i) => ((i * 37 + round * 101) % 30000) + 300);

export const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;

/** Tokens written after the prompt of round 0, to be compared between peers, besides the first one of every round. */
export const checkTokens = 16;

/**
 * Runs every length once to warm up, then `rounds` times, and prints the result. `start(ids)` feeds a new sequence and gives the first token that
 * follows; `next()` feeds that token and gives the one after it; `end` frees the sequence.
 */
export async function measure(o, info, { start, next, end = async () => {} }, begun) {
  const prefill = {}, decode = {};
  // Processor time of all threads, in ms a token: what other programs' use of the machine changes least.
  const prefillCpu = {}, decodeCpu = {};
  const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
  const firsts = [];
  let tokens = [], firstTokenMs;
  for (let round = 0; round <= o.rounds; round++) {
    for (const length of [...new Set([...o.prompts, ...o.pasts])]) {
      let from = performance.now(), used = cpu();
      let token = await start(promptIds(length, round));
      firstTokenMs ??= Math.round(performance.now() - begun);
      const fed = performance.now() - from;
      if (length === o.pasts[0]) firsts.push([round, token]);
      if (round > 0 && o.prompts.includes(length)) {
        (prefill[length] ??= []).push((length / fed) * 1000);
        (prefillCpu[length] ??= []).push((cpu() - used) / length);
      }
      if (o.pasts.includes(length)) {
        const made = [token];
        from = performance.now();
        used = cpu();
        for (let n = 0; n < o.decode; n++) made.push(token = await next(token));
        if (round > 0) {
          (decode[length] ??= []).push((o.decode / (performance.now() - from)) * 1000);
          (decodeCpu[length] ??= []).push((cpu() - used) / o.decode);
        } else if (length === o.pasts[0]) tokens = made.slice(0, checkTokens);
      }
      await end();
    }
  }
  print({ ...info, threads: o.threads, prefill, decode, prefillCpu, decodeCpu, check: { length: o.pasts[0], firsts, tokens }, firstTokenMs });
}

export function print(result) {
  process.stdout.write(`${JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024, ...result })}\n`);
}
