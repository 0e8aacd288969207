/**
 * Speed of the CPU backend's products: decode as bytes of weights a second, beside a plain read of memory in the same run;
 * prefill as floating-point operations a second. Results are compared with plain JavaScript on a few rows.
 *
 *   npx esbuild bench/cpu.ts --bundle --platform=node --format=esm --outfile=.cache/bench-cpu.mjs && node .cache/bench-cpu.mjs [threads...]
 */
import { buildPlan } from '../compiler/build-plan.ts';
import { GraphBuilder } from '../compiler/graph/builder.ts';
import { createCpuBackend } from '../runtime/cpu/backend.ts';
import type { FunctionBuilder } from '../runtime/cpu/wasm/function.ts';
import { ModuleBuilder } from '../runtime/cpu/wasm/module.ts';
import { add, f32x4, i32, load, op } from '../runtime/cpu/wasm/value.ts';

interface Shape { readonly name: string; readonly width: number; readonly layers: number; readonly tokens: number }
const shapes: readonly Shape[] = [
  { name: 'width 576', width: 576, layers: 64, tokens: 8 },
  { name: 'width 2048', width: 2048, layers: 6, tokens: 8 },
  { name: 'width 576', width: 576, layers: 2, tokens: 64 },
  { name: 'width 2048', width: 2048, layers: 1, tokens: 32 },
];

/** Milliseconds: least and median of `count` runs after warming up. Runs are short, so that on a busy machine some are undisturbed. */
async function time(count: number, run: () => Promise<unknown>): Promise<{ least: number; median: number }> {
  const warm = performance.now();
  while (performance.now() - warm < 500) await run();
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { least: times[0] ?? NaN, median: times[Math.floor(count / 2)] ?? NaN };
}

/** Bytes a second of one thread that reads 256 MiB in order. */
async function bandwidth(): Promise<number> {
  const pages = 4096;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  new Float32Array(memory.buffer).fill(1);
  const module = new ModuleBuilder();
  const f = module.function('read', ['i32'], undefined);
  const builder = f as unknown as FunctionBuilder;
  const sums = [0, 1, 2, 3].map(() => builder.let(f32x4(0)));
  const at = f.local('i32');
  f.countedLoop(at, i32(64), f.params[0], 64, () => {
    sums.forEach((sum, n) => f.set(sum, op('f32x4.add', sum, load('v128.load', at, 16 * n))));
  });
  f.store('v128.store', i32(0), sums.reduce((a, b) => ({ ...a, emit: op('f32x4.add', a, b).emit })), 0);
  f.set(at, add(at, i32(0)));
  module.export('read', f.handle);
  const { instance } = await WebAssembly.instantiate(module.finish({ initial: pages, maximum: pages, shared: true }), { env: { memory } });
  const read = instance.exports['read'] as (bytes: number) => void;
  const { least } = await time(10, () => { read(pages * 65536 - 128); return Promise.resolve(); });
  return (pages * 65536) / (least / 1000);
}

const value = (layer: number, i: number): number => (((i * 7919 + layer * 104729) % 2003) / 2003 - 0.5) * 0.05;

async function measure(shape: Shape, threads: number, read: number): Promise<void> {
  const { width, layers, tokens } = shape;
  const b = new GraphBuilder('bench');
  let x = b.gather(b.weight('table', [16, width]), b.input('ids'));
  for (let l = 0; l < layers; l++) x = b.linear(x, b.weight(`w${l}`, [width, width]));
  b.output('out', x);
  const backend = await createCpuBackend({ threads });
  const plan = buildPlan(b.finish(), backend.target, { maxTokens: tokens, context: tokens, maxLogitRows: 1 });
  const started = performance.now();
  const executor = await backend.load(plan, {
    read: (slot) => Promise.resolve(Float32Array.from({ length: slot === 'table' ? 16 * width : width * width }, (_, i) => value(slot === 'table' ? -1 : Number(slot.slice(1)), i) * (slot === 'table' ? 1 : Math.sqrt(4800 / width)))),
  }, 'bench');
  const loaded = performance.now() - started;
  const bytes = 4 * width * width * layers;
  const decode = await time(60, () => executor.step({ ids: Int32Array.of(3), past: 0, logitRows: 1 }));
  const ids = Int32Array.from({ length: tokens }, (_, t) => t % 16);
  const prefill = await time(40, () => executor.step({ ids, past: 0, logitRows: 1 }));
  const flops = 2 * width * width * layers * tokens;
  const gb = (ms: number): string => (bytes / ms / 1e6).toFixed(1);
  const gflops = (ms: number): string => (flops / ms / 1e6).toFixed(1);
  process.stdout.write(`${shape.name} x ${layers}, ${executor.report.description}: load ${(loaded / 1000).toFixed(1)} s; ` +
    `decode ${gb(decode.least)} GB/s best, ${gb(decode.median)} median (${((100 * bytes) / (decode.least / 1000) / read).toFixed(0)}% of one thread's read); ` +
    `prefill of ${tokens}: ${gflops(prefill.least)} GFLOP/s best, ${gflops(prefill.median)} median\n`);
  await executor.dispose();
}

const read = await bandwidth();
process.stdout.write(`one thread reads ${(read / 1e9).toFixed(1)} GB/s\n`);
const threads = process.argv.slice(2).map(Number);
for (const shape of shapes) for (const n of threads.length > 0 ? threads : [1, 2]) await measure(shape, n, read);
