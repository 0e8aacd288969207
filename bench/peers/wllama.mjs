/** llama.cpp in WebAssembly: wllama 2.3.1 in headless Chromium (CHROMIUM names another than the one of the packages). */
import { createReadStream, existsSync, statSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import chromium from '@sparticuz/chromium';
import { chromium as driver } from 'playwright-core';
import { checkTokens, options, print, promptIds, versionOf } from './common.mjs';

const o = options();
const root = fileURLToPath(new URL('node_modules/wllama2/', import.meta.url));
// Threads in a page need it to be isolated from other origins.
const server = http.createServer((request, response) => {
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
  const url = (request.url ?? '').split('?')[0] ?? '';
  if (url === '/') { response.setHeader('content-type', 'text/html'); response.end('<!doctype html><title>wllama</title>'); return; }
  const file = url === '/model.gguf' ? o.model : url.startsWith('/package/') ? path.join(root, url.slice(9)) : '';
  if (!existsSync(file)) { response.statusCode = 404; response.end(); return; }
  const type = { '.js': 'text/javascript', '.wasm': 'application/wasm' }[path.extname(file)] ?? 'application/octet-stream';
  response.writeHead(200, { 'content-type': type, 'content-length': statSync(file).size });
  createReadStream(file).pipe(response);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));

const browser = await driver.launch({
  executablePath: process.env.CHROMIUM ?? await chromium.executablePath(), headless: true,
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-gpu'],
});
let failed = false;
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => process.stderr.write(`page: ${error.message}\n`));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const lengths = [...new Set([...o.prompts, ...o.pasts])];
  const prompts = Array.from({ length: o.rounds + 1 }, (_, round) => lengths.map((length) => ({ length, ids: promptIds(length, round) })));
  const result = await page.evaluate(async ({ o, prompts, checkTokens, longest }) => {
    const { Wllama } = await import('/package/esm/index.js');
    const quiet = { debug() {}, log() {}, warn() {}, error: console.error };
    const w = new Wllama({ 'single-thread/wllama.wasm': '/package/esm/single-thread/wllama.wasm', 'multi-thread/wllama.wasm': '/package/esm/multi-thread/wllama.wasm' }, { logger: quiet, suppressNativeLog: true });
    const begun = performance.now();
    const blob = await (await fetch('/model.gguf')).blob();
    await w.loadModel([blob], { n_ctx: longest, n_batch: 512, n_threads: o.threads });
    const loadMs = Math.round(performance.now() - begun);
    const prefill = {}, decode = {}, firsts = [];
    let tokens = [];
    for (const [round, lengths] of prompts.entries()) {
      for (const { length, ids } of lengths) {
        await w.kvClear();
        await w.samplingInit({ temp: 0 });
        let from = performance.now();
        await w.decode(ids, {});
        let { token } = await w.samplingSample();
        const fed = performance.now() - from;
        if (length === o.pasts[0]) firsts.push([round, token]);
        if (round > 0 && o.prompts.includes(length)) (prefill[length] ??= []).push((length / fed) * 1000);
        if (!o.pasts.includes(length)) continue;
        const made = [token];
        from = performance.now();
        for (let n = 0; n < o.decode; n++) {
          await w.samplingAccept([token]);
          await w.decode([token], {});
          ({ token } = await w.samplingSample());
          made.push(token);
        }
        if (round > 0) (decode[length] ??= []).push((o.decode / (performance.now() - from)) * 1000);
        else if (length === o.pasts[0]) tokens = made.slice(0, checkTokens);
      }
    }
    return { loadMs, prefill, decode, check: { length: o.pasts[0], firsts, tokens }, threads: w.getNumThreads() };
  }, { o, prompts, checkTokens, longest: Math.max(...lengths) + o.decode + 8 });
  print({ peer: 'wllama', version: `wllama ${versionOf('wllama2')}`, detail: `WebAssembly in Chromium ${browser.version()}`, ...result, peakBytes: undefined });
} catch (error) {
  process.stderr.write(`${String(error instanceof Error ? error.message : error).slice(0, 2000)}\n`);
  failed = true;
}
await browser.close();
server.close();
process.exit(failed ? 1 : 0);
