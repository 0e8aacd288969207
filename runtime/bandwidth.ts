/** How fast this machine reads memory now, from WebAssembly on some threads at once: what decoding is held against. */
import { ModuleBuilder } from './cpu/wasm/module.ts';
import type { FunctionBuilder } from './cpu/wasm/function.ts';
import { f32x4, load, op } from './cpu/wasm/value.ts';

/** Beyond the caches of most machines, or a good part of them. */
const probeBytes = 192 << 20;
const windows = 4;
const windowMilliseconds = 120;

/** `read(from, to)` sums the bytes of a range, a multiple of 64, as f32. */
function probeModule(memory: { initial: number; maximum: number; shared: boolean }): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const f = module.function('read', ['i32', 'i32'], undefined);
  const builder = f as unknown as FunctionBuilder;
  const sums = [0, 1, 2, 3].map(() => builder.let(f32x4(0)));
  const at = f.local('i32');
  f.countedLoop(at, f.params[0], f.params[1], 64, () => {
    sums.forEach((sum, n) => f.set(sum, op('f32x4.add', sum, load('v128.load', at, 16 * n))));
  });
  f.store('v128.store', f.params[0], sums.reduce((a, b) => ({ ...a, emit: op('f32x4.add', a, b).emit })), 0);
  module.export('read', f.handle);
  return new Uint8Array(module.finish(memory));
}

/** Reads its part again and again in each window, which all threads begin together, and says how many bytes a second that was. */
const program = `
  const { parentPort, workerData: { module, memory, from, to, start, windows, milliseconds } } = require('node:worker_threads');
  const { read } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  new Float32Array(memory.buffer, from, (to - from) / 4).fill(1);
  const words = new Int32Array(start);
  const rates = [];
  for (let n = 0; n < windows; n++) {
    Atomics.add(words, n, 1);
    while (Atomics.load(words, n) < words[windows]) Atomics.wait(words, n, Atomics.load(words, n), 1);
    const begin = performance.now();
    let bytes = 0;
    const step = Math.min(to - from, 16 << 20);
    for (let at = from; performance.now() - begin < milliseconds; at = at + 2 * step > to ? from : at + step) { read(at, at + step); bytes += step; }
    rates.push(bytes / (performance.now() - begin) * 1000);
  }
  parentPort.postMessage(rates);
`;

/** Bytes a second that `threads` threads read together: the best of a few tenths of a second. */
export async function readBandwidth(threads: number): Promise<number> {
  const { Worker } = await import('node:worker_threads');
  const pages = probeBytes / 65536;
  const limits = { initial: pages, maximum: pages, shared: true };
  const memory = new WebAssembly.Memory(limits);
  const module = await WebAssembly.compile(probeModule(limits));
  const start = new SharedArrayBuffer(4 * (windows + 1));
  new Int32Array(start)[windows] = threads;
  const part = Math.floor(probeBytes / threads / 65536) * 65536;
  const rates = await Promise.all(Array.from({ length: threads }, (_, n) => new Promise<number[]>((resolve, reject) => {
    const worker = new Worker(program, { eval: true, execArgv: [], workerData: { module, memory, from: n * part, to: (n + 1) * part, start, windows, milliseconds: windowMilliseconds } });
    worker.once('message', resolve);
    worker.once('error', reject);
  })));
  return Math.max(...Array.from({ length: windows }, (_, w) => rates.reduce((sum, r) => sum + (r[w] ?? 0), 0)));
}
