/** Threads, barriers, limits and the end of it all. Numbers are the conformance suite's business. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import type { Graph, Node } from '../../compiler/graph/types.ts';
import type { Executor, WeightProvider } from '../../runtime/backend.ts';
import { createCpuBackend } from '../../runtime/cpu/backend.ts';
import { placeBuffers } from '../../runtime/cpu/place.ts';
import { writeProgram } from '../../runtime/cpu/program.ts';
import { control } from '../../runtime/cpu/control.ts';
import { startTeam } from '../../runtime/cpu/workers.ts';
import { ModuleBuilder } from '../../runtime/cpu/wasm/module.ts';
import { generator } from '../conformance/harness.ts';

/** Residual layers of norm, product and activation: many small kernels that depend on each other. */
function layers(count: number, width: number): Graph {
  const b = new GraphBuilder('layers');
  let x = b.gather(b.weight('table', [32, width]), b.input('ids'));
  for (let l = 0; l < count; l++) {
    const normed = b.mul(b.norm('rms', x, 1e-6), b.weight(`norm${l}`, [width]));
    x = b.add(x, b.linear(b.unary('tanh', b.linear(normed, b.weight(`up${l}`, [2 * width, width]))), b.weight(`down${l}`, [width, 2 * width])));
  }
  b.output('logits', b.linear(x, b.weight('table', [32, width])));
  return b.finish();
}

function randomWeights(graph: Graph): WeightProvider {
  return {
    read(name) {
      const shape = graph.weights.find((w) => w.slot === name)?.shape ?? [];
      const random = generator(name);
      return Promise.resolve(Float32Array.from({ length: shape.reduce((p, d) => p * d, 1) }, () => (random() - 0.5) * 0.4));
    },
  };
}

async function load(graph: Graph, threads: number): Promise<Executor> {
  const backend = await createCpuBackend({ threads });
  const plan = buildPlan(graph, backend.target, { maxTokens: 16, context: 64, maxLogitRows: 16 });
  return backend.load(plan, randomWeights(graph), 'test');
}

async function logits(executor: Executor, past: number, count: number): Promise<Float32Array> {
  const ids = Int32Array.from({ length: count }, (_, t) => (5 * (past + t) + 3) % 32);
  const { outputs } = await executor.step({ ids, past, logitRows: count }, ['logits']);
  return outputs.get('logits') ?? new Float32Array();
}

describe('threads', () => {
  test('1 to 8 threads give the same numbers, step after step', async () => {
    const graph = layers(6, 45);
    const one = await load(graph, 1);
    const expected: Float32Array[] = [];
    const steps = [7, 1, 1, 16, 1];
    for (const [n, count] of steps.entries()) expected.push(await logits(one, n, count));
    await one.dispose();
    for (let threads = 2; threads <= 8; threads++) {
      const executor = await load(graph, threads);
      expect(executor.report.threads).toBe(threads);
      for (const [n, count] of steps.entries()) {
        const found = await logits(executor, n, count);
        const worst = found.reduce((most, v, i) => Math.max(most, Math.abs(v - (expected[n]?.[i] ?? NaN))), 0);
        expect(worst, `${threads} threads, step ${n}`).toBeLessThan(1e-5);
      }
      await executor.dispose();
    }
  });

  test('attention gives the same bits whoever computes it', async () => {
    const graph = (): Graph => {
      const b = new GraphBuilder('attention');
      const row = (name: string, heads: number): Node => b.reshape(b.gather(b.weight(name, [32, heads * 8]), b.input('ids')), ['T', heads, 8]);
      const scores = b.node({ op: 'scores' }, [row('q', 4), b.cache('keys', row('k', 2))]);
      const shares = b.softmax(b.node({ op: 'mask', causal: true }, [scores]));
      b.output('out', b.node({ op: 'mix' }, [shares, b.cache('values', row('v', 2))]));
      return b.finish();
    };
    const results: Float32Array[][] = [];
    for (const threads of [1, 2, 3, 7]) {
      const backend = await createCpuBackend({ threads });
      const made = graph();
      const executor = await backend.load(buildPlan(made, backend.target, { maxTokens: 200, context: 300, maxLogitRows: 1 }), randomWeights(made), 'test');
      const found: Float32Array[] = [];
      let past = 0;
      for (const count of [200, 1, 1, 20, 1, 1]) {
        const ids = Int32Array.from({ length: count }, (_, t) => (5 * (past + t) + 3) % 32);
        found.push((await executor.step({ ids, past, logitRows: 1 }, ['out'])).outputs.get('out') ?? new Float32Array());
        past += count;
      }
      results.push(found);
      await executor.dispose();
    }
    for (const found of results) expect(found).toEqual(results[0]);
  });

  test('hundreds of steps on more threads than cores stay in step', async () => {
    const executor = await load(layers(3, 16), 8);
    const first = await logits(executor, 0, 1);
    for (let n = 0; n < 200; n++) expect(await logits(executor, 0, 1)).toEqual(first);
    await executor.dispose();
  });

  test('workers are gone after dispose, and a step after it is refused', async () => {
    const count = (): number => process.getActiveResourcesInfo().filter((r) => r === 'MessagePort' || r === 'Worker').length;
    const before = count();
    const executor = await load(layers(1, 8), 3);
    await logits(executor, 0, 1);
    await executor.dispose();
    await executor.dispose();
    expect(count()).toBe(before);
    await expect(executor.step({ ids: Int32Array.of(1), past: 0, logitRows: 1 })).rejects.toThrow('after dispose');
  });

  test('workers are gone when weights cannot be read', async () => {
    const count = (): number => process.getActiveResourcesInfo().filter((r) => r === 'MessagePort' || r === 'Worker').length;
    const before = count();
    const backend = await createCpuBackend({ threads: 3 });
    const plan = buildPlan(layers(1, 8), backend.target, { maxTokens: 4, context: 4, maxLogitRows: 1 });
    await expect(backend.load(plan, { read: () => Promise.reject(new Error('no such file')) }, 'test')).rejects.toThrow('no such file');
    expect(count()).toBe(before);
  });

  test('the failure of a worker is known to the others', async () => {
    const module = new ModuleBuilder();
    const serve = module.function('serve', ['i32'], undefined);
    serve.unreachable();
    module.export('serve', serve.handle);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const team = await startTeam(2, await WebAssembly.compile(module.finish({ initial: 1, maximum: 1, shared: true })), memory);
    const words = new Int32Array(memory.buffer);
    for (let n = 0; n < 5000 && Atomics.load(words, control.failed / 4) === 0; n++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(Atomics.load(words, control.failed / 4)).toBe(1);
    await team.dispose();
  });

  test('a process ends by itself, whether it has disposed of the executor or not', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'peel-'));
    try {
      const root = fileURLToPath(new URL('../..', import.meta.url));
      const entry = `
        import { buildPlan } from './compiler/build-plan.ts';
        import { GraphBuilder } from './compiler/graph/builder.ts';
        import { createCpuBackend } from './runtime/cpu/backend.ts';
        const b = new GraphBuilder('small');
        b.output('out', b.linear(b.gather(b.weight('table', [4, 8]), b.input('ids')), b.weight('w', [8, 8])));
        const backend = await createCpuBackend({ threads: 3 });
        const plan = buildPlan(b.finish(), backend.target, { maxTokens: 4, context: 4, maxLogitRows: 1 });
        const executor = await backend.load(plan, { read: (s) => Promise.resolve(new Float32Array(s === 'w' ? 64 : 32).fill(0.5)) }, 'test');
        const { outputs } = await executor.step({ ids: Int32Array.of(1), past: 0, logitRows: 1 }, ['out']);
        console.log(outputs.get('out').join());
        if (process.argv[2] === 'dispose') await executor.dispose();
      `;
      const file = path.join(folder, 'run.mjs');
      const built = buildSync({ stdin: { contents: entry, resolveDir: root, loader: 'ts' }, bundle: true, platform: 'node', format: 'esm', write: false });
      writeFileSync(file, built.outputFiles[0]?.text ?? '');
      for (const mode of ['dispose', 'forget']) {
        const { status, stdout, stderr } = spawnSync(process.execPath, [file, mode], { encoding: 'utf8', timeout: 150_000 });
        expect(stderr).toBe('');
        expect(stdout.trim()).toBe(new Array(8).fill(2).join());
        expect(status).toBe(0);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('limits', () => {
  test('more than 4 GiB is refused with both numbers', async () => {
    const b = new GraphBuilder('huge');
    b.output('out', b.gather(b.weight('table', [1_100_000, 1000]), b.input('ids')));
    const backend = await createCpuBackend({ threads: 1 });
    const plan = buildPlan(b.finish(), backend.target, { maxTokens: 1, context: 1, maxLogitRows: 1 });
    const failure = await backend.load(plan, { read: () => Promise.reject(new Error('never read')) }, 'test').catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(PeelError);
    expect(failure).toMatchObject({ exitCode: ExitCode.device });
    expect(String(failure)).toMatch(/needs 4\.1 GiB in one WebAssembly memory, which has at most 4\.0 GiB/);
  });

  test('steps outside the capacity are refused', async () => {
    const executor = await load(layers(1, 8), 1);
    const step = (count: number, past: number, logitRows: number): Promise<unknown> => executor.step({ ids: new Int32Array(count), past, logitRows });
    await expect(step(17, 0, 1)).rejects.toThrow('17 tokens');
    await expect(step(1, 64, 1)).rejects.toThrow('64 + 1');
    await expect(step(2, 0, 3)).rejects.toThrow('3 rows');
    await executor.dispose();
  });

  test('ids outside the table do not break the step', async () => {
    const executor = await load(layers(1, 8), 1);
    const { outputs } = await executor.step({ ids: Int32Array.of(99, -5), past: 0, logitRows: 2 }, ['logits']);
    expect(outputs.get('logits')?.every(Number.isFinite)).toBe(true);
    await executor.dispose();
  });
});

test('layers of the same shape share their code', () => {
  const plan = (count: number): { functions: number; bytes: number } => {
    const target = { device: 'cpu' as const, name: 'test', maxBindingBytes: 1e9, maxBufferBytes: 1e9, maxStorageBuffers: 64, maxWorkgroupSize: 1, maxWorkgroupBytes: 0, subgroups: false, f16: false, relaxedSimd: false, threads: 2, software: false, linearPrologue: true, int8Inputs: false, formats: [] };
    const made = buildPlan(layers(count, 45), target, { maxTokens: 16, context: 64, maxLogitRows: 16 });
    const program = writeProgram(made, placeBuffers(made, { relaxedSimd: false }), 2, { relaxedSimd: false });
    return { functions: program.kernelFunctions, bytes: program.bytes.length };
  };
  expect(plan(30).functions).toBe(plan(3).functions);
  expect(plan(30).bytes).toBeLessThan(1.5 * plan(3).bytes);
});
