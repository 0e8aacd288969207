/** Times of the kernels of a step. */
import { afterAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import { targets } from '../../compiler/targets.ts';
import { placeBuffers } from '../../runtime/cpu/place.ts';
import { writeProgram } from '../../runtime/cpu/program.ts';
import { loadModel } from '../../runtime/model.ts';
import { openTestWebGpu } from '../support/webgpu.ts';
import { goldenFolder, openModel } from '../support/model-folder.ts';

const ids = [5, 9, 2, 6, 5, 3, 5, 8, 9, 7];
const model = await loadModel({ path: `${goldenFolder}/deepseek_v3` });
afterAll(() => model.dispose());

describe.each([
  ['cpu with 1 thread', { device: 'cpu', threads: 1 }, 'a clock read after each kernel'],
  ['cpu with 3 threads', { device: 'cpu', threads: 3 }, 'a clock read after each kernel, for which all 3 threads meet'],
  ['the reference', { device: 'reference' }, 'a clock read after each operator'],
  ['webgpu', { device: 'webgpu' }, "the device's clock, a pass for each kernel"],
] as const)('on %s', (_, options, how) => {
  test('every kernel has a time, together they take about what the step takes, and the state stays as it is', async () => {
    const session = await model.session({ ...options, profile: true, context: 16, maxTokens: 8 });
    const { argmax } = await session.feed(ids);
    session.rewind(6);
    let share = 0;
    // Once is enough: a busy machine may take any while between the last kernel and the clock.
    for (let tries = 0; tries < 20 && share < 0.5; tries++) {
      const begin = performance.now();
      const times = await session.profile(ids.slice(6, 9));
      const around = performance.now() - begin;
      expect(times.how).toBe(how);
      expect(times.kernels).toHaveLength(session.plan?.kernels.length ?? model.graph.nodes.length);
      expect(times.kernels.every((t) => t >= 0)).toBe(true);
      share = times.kernels.reduce((a, b) => a + b) / around;
      expect(share).toBeLessThanOrEqual(1.001);
    }
    expect(share).toBeGreaterThan(0.5);
    expect(session.ids).toEqual(ids.slice(0, 6));
    expect((await session.feed(ids.slice(6))).argmax).toBe(argmax);
    await session.dispose();
  });
});

test('a device without a clock of its own waits for each kernel', async () => {
  const { graph, weights, dispose } = await openModel(`${goldenFolder}/llama`);
  const backend = await openTestWebGpu({ profile: true, without: ['timestamp-query'] });
  const executor = await backend.load(buildPlan(graph, backend.target, { maxTokens: 8, context: 8, maxLogitRows: 1 }), weights, 'test');
  const { kernels, how } = await executor.profile({ ids: Int32Array.from(ids.slice(0, 8)), past: 0, logitRows: 1 });
  expect(how).toBe('each kernel submitted and awaited alone, less what an empty submission takes');
  expect(kernels).toHaveLength(executor.report.kernels);
  expect(kernels.every((t) => t >= 0)).toBe(true);
  expect(kernels.some((t) => t > 0)).toBe(true);
  await backend.dispose();
  await dispose();
});

test('a program that nobody profiles has no marks, and its session says so', async () => {
  const { graph, dispose } = await openModel(`${goldenFolder}/llama`);
  const plan = buildPlan(graph, targets.cpu, { maxTokens: 8, context: 8, maxLogitRows: 1 });
  const map = placeBuffers(plan, { relaxedSimd: false });
  const [plain, profiled] = [false, true].map((profile) => writeProgram(plan, map, 2, { relaxedSimd: false }, profile).bytes);
  const imports = async (bytes: Uint8Array<ArrayBuffer> | undefined): Promise<string[]> => WebAssembly.Module.imports(await WebAssembly.compile(bytes!)).map(({ name }) => name);
  expect(await imports(plain)).toEqual(['memory']);
  expect(await imports(profiled)).toEqual(['mark', 'memory']);
  await dispose();

  const session = await model.session({ device: 'cpu', threads: 1, context: 16 });
  await expect(session.profile([1])).rejects.toThrow('the session was not opened for profiling');
  await session.dispose();
});
