/** What only some adapters need, forced on whatever adapter there is: kernels for hardware, small bindings, devices that fail. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { printPlan } from '../../compiler/print-plan.ts';
import { GraphBuilder } from '../../compiler/graph/builder.ts';
import { ExitCode, PeelError } from '../../compiler/diagnostics.ts';
import { WebGpuBackend } from '../../runtime/webgpu/index.ts';
import { layoutWeights } from '../../runtime/webgpu/layout.ts';
import { emitKernel } from '../../runtime/webgpu/programs.ts';
import type { ExecutionPlan } from '../../compiler/plan.ts';
import type { WeightProvider } from '../../runtime/backend.ts';
import { conformanceCases } from '../conformance/cases.ts';
import type { ConformanceCase } from '../conformance/case.ts';
import { weightsOf, worstError } from '../conformance/harness.ts';
import { llamaGraph } from '../support/hand-graphs.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

function caseNamed(name: string): ConformanceCase {
  const found = conformanceCases().find((c) => c.name === name);
  if (!found) throw new Error(`no conformance case ${name}`);
  return found;
}

async function agrees(backend: WebGpuBackend, c: ConformanceCase): Promise<void> {
  const capacity = { maxTokens: Math.max(...c.steps), context: c.steps.reduce((a, b) => a + b), maxLogitRows: c.logitRows ?? 1 };
  const executor = await backend.load(buildPlan(c.graph, backend.target, capacity), weightsOf(c), 'test');
  const { error, where } = await worstError(c, executor);
  expect(error, where).toBeLessThanOrEqual(c.limit);
  await executor.dispose();
}

async function failure(work: Promise<unknown>): Promise<PeelError> {
  const error: unknown = await work.then(() => undefined, (e: unknown) => e);
  if (!(error instanceof PeelError)) throw new Error(`expected a PeelError, found ${String(error)}`);
  return error;
}

// Every driver that the tests run on has subgroups: of 4 lanes on SwiftShader, of 8 on lavapipe.
describe.each([true, false])('kernels for hardware, subgroups: %s', (subgroups) => {
  let backend: WebGpuBackend;
  beforeAll(async () => {
    backend = await openTestWebGpu({ kernels: 'hardware', ...(subgroups ? {} : { without: ['subgroups'] }) });
    expect(backend.target.subgroups).toBe(subgroups);
  });
  afterAll(() => backend.dispose());

  const names = [
    'linear 33x65 after a norm, with bias and residual', 'linear 130x31', 'gated pair 96x128', 'linear per head 7x13', 'linear per expert 16x32',
    'more rows than one chunk', 'softcapped tied head', 'attention: rotated halves', 'attention: sinks', 'attention: values of another width',
    'softmax of 130 with sinks', 'layer norm per head of 130',
  ];
  test.each(names)('%s', (name) => agrees(backend, caseNamed(name)));

  /** Extrema of rows that are long enough for a workgroup, of a table's rows `ids`. */
  const extrema = (): ConformanceCase => {
    const b = new GraphBuilder('extrema');
    const x = b.gather(b.weight('table', [5, 300]), b.input('ids'));
    for (const fn of ['max', 'min', 'sum'] as const) b.output(fn, b.reduce(fn, x, 1));
    return { name: 'extrema', graph: b.finish(), steps: [4, 1], limit: 1e-9, vocab: 5 };
  };
  test('extrema of long rows', () => agrees(backend, extrema()));

  test('a NaN anywhere makes its row NaN, and no other', async () => {
    const c = { ...extrema(), values: (_: string, i: number) => (i === 300 + 171 ? NaN : (i % 97) - 48) };
    const executor = await backend.load(buildPlan(c.graph, backend.target, { maxTokens: 4, context: 4, maxLogitRows: 1 }), weightsOf(c), 'test');
    const { outputs } = await executor.step({ ids: Int32Array.of(0, 1, 2), past: 0, logitRows: 1 }, ['max', 'min', 'sum']);
    for (const [name, values] of outputs) expect([...values].map(Number.isNaN), name).toEqual([false, true, false]);
    expect(outputs.get('max')?.[0]).toBe(48);
    expect(outputs.get('min')?.[2]).toBe(-48);
    await executor.dispose();
  });

  test('are what the report says', async () => {
    const c = caseNamed('linear 130x31');
    const made = buildPlan(c.graph, backend.target, { maxTokens: 4, context: 4, maxLogitRows: 1 });
    const layout = layoutWeights(made, backend.target.maxBindingBytes);
    const code = made.kernels.flatMap((k) => emitKernel(k, made.buffers, layout, backend.target).variants.map((v) => v.program.code)).join('\n');
    expect(code.includes('enable subgroups;')).toBe(subgroups);
    expect(code.includes('subgroupAdd')).toBe(subgroups);
    const executor = await backend.load(made, weightsOf(c), 'test');
    expect(executor.report.variants).toContain(subgroups ? 'subgroup operations, because the adapter has them' : 'workgroup memory, because the adapter has no subgroups');
    expect(printPlan(made)).toContain(`variants: ${executor.report.variants}`);
    await executor.dispose();
  });
});

describe('weights larger than a binding', () => {
  let backend: WebGpuBackend;
  const bytes = 9216;
  beforeAll(async () => { backend = await openTestWebGpu({ limits: { maxStorageBufferBindingSize: bytes } }); });
  afterAll(() => backend.dispose());

  test.each(['linear 130x31', 'linear 96x128 after a norm, with bias and residual', 'gated pair 96x128', 'attention: wide'])('%s', (name) => agrees(backend, caseNamed(name)));

  test('a table that is gathered from and multiplied with', async () => {
    const vocab = 700;
    const graph = llamaGraph({ vocab, dim: 12, layers: 1 });
    expect(vocab * 12 * 4).toBeGreaterThan(3 * bytes);
    await agrees(backend, { name: 'large vocabulary', graph, steps: [5, 1], limit: 1e-8, vocab });
  });

  test('a table of more elements than shaders count is refused by name', () => {
    const [rows, width] = [2 ** 18, 2 ** 13];
    const b = new GraphBuilder('vast');
    b.output('out', b.gather(b.weight('table', [rows, width]), b.input('ids')));
    const made = buildPlan(b.finish(), backend.target, { maxTokens: 1, context: 1, maxLogitRows: 1 });
    expect(() => layoutWeights(made, 2 ** 30)).toThrow(`E902 / weight table has ${rows * width} elements`);
  });

  test('a state that fits no binding is refused by name', async () => {
    const graph = llamaGraph({ layers: 1 });
    const plan = buildPlan(graph, backend.target, { maxTokens: 4, context: 4096, maxLogitRows: 1 });
    const error = await failure(backend.load(plan, weightsOf({ name: '', graph, steps: [], limit: 0, vocab: 1 }), 'test'));
    expect(error.exitCode).toBe(ExitCode.device);
    expect(error.message).toMatch(/^E902 \/ layers\.0\.attention\.[kv] needs [\d.]+ [KM]?i?B in one piece/);
  });
});

describe('more buffers than an adapter binds', () => {
  test('small ones share a binding', async () => {
    const b = new GraphBuilder('crowded');
    const parts = Array.from({ length: 20 }, (_, n) => b.weight(`w${n}`, [n % 3 === 0 ? 1 : 9]));
    const x = b.gather(b.weight('table', [23, 9]), b.input('ids'));
    const whole = parts.reduce((y, w, n) => (n % 2 === 0 ? b.add(y, w) : b.mul(y, w)), x);
    b.output('out', whole);
    const c = { name: 'crowded', graph: b.finish(), steps: [3, 1], limit: 1e-9, vocab: 23 };
    const backend = await openTestWebGpu();
    const plan = buildPlan(c.graph, { ...backend.target, maxStorageBuffers: 64 }, { maxTokens: 3, context: 4, maxLogitRows: 1 });
    const [kernel] = plan.kernels;
    expect((kernel?.sources.length ?? 0) + 1).toBeGreaterThan(backend.target.maxStorageBuffers);
    const executor = await backend.load(plan, weightsOf(c), 'test');
    const { error, where } = await worstError(c, executor);
    expect(error, where).toBeLessThanOrEqual(c.limit);
    await executor.dispose();
    await backend.dispose();
  });
});

describe('pipelines', () => {
  test('more layers need no more pipelines', async () => {
    const backend = await openTestWebGpu();
    const counts: number[] = [];
    for (const layers of [2, 5]) {
      const graph = llamaGraph({ layers });
      const executor = await backend.load(plan(backend, graph), weightsOf({ name: '', graph, steps: [], limit: 0, vocab: 1 }), 'test');
      await executor.step({ ids: Int32Array.of(1, 2, 3), past: 0, logitRows: 1 });
      await executor.step({ ids: Int32Array.of(4), past: 3, logitRows: 1 });
      counts.push(backend.pipelineCount);
      await executor.dispose();
    }
    expect(counts[1]).toBe(counts[0]);
    await backend.dispose();
  });
});

const plan = (backend: WebGpuBackend, graph: ReturnType<typeof llamaGraph>): ExecutionPlan =>
  buildPlan(graph, backend.target, { maxTokens: 4, context: 16, maxLogitRows: 1 });

describe('devices that fail', () => {
  test('no adapter', async () => {
    let released = false;
    const gpu = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU;
    const error = await failure(WebGpuBackend.open({ gpu, release: () => { released = true; } }));
    expect(error.exitCode).toBe(ExitCode.device);
    expect(error.message).toBe('E901 / no WebGPU adapter was found; install a Vulkan driver, or use --device cpu');
    expect(released).toBe(true);
  });

  test('a device lost between steps', async () => {
    const backend = await openTestWebGpu();
    const graph = llamaGraph({ layers: 1 });
    const weights: WeightProvider = weightsOf({ name: '', graph, steps: [], limit: 0, vocab: 1 });
    const executor = await backend.load(plan(backend, graph), weights, 'test');
    await executor.step({ ids: Int32Array.of(1), past: 0, logitRows: 1 });
    backend.loseDevice();
    const error = await failure(executor.step({ ids: Int32Array.of(2), past: 1, logitRows: 1 }));
    expect(error.exitCode).toBe(ExitCode.device);
    expect(error.message).toContain('E904');
    await executor.dispose();
    await backend.dispose();
  });
});
