/** What a model takes of memory, told before it is loaded: against what is allocated, and what is refused. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { statSync } from 'node:fs';
import { writeHollowModel, type LlamaShape } from '../../bench/random-model.ts';
import { PeelError } from '../../compiler/diagnostics.ts';
import { targets } from '../../compiler/targets.ts';
import { printFit } from '../../runtime/fit/print-fit.ts';
import { loadModel, type LoadedModel } from '../../runtime/model.ts';
import { peel, prepare } from '../cli/peel.ts';
import { openTestWebGpu } from '../support/webgpu.ts';
import { temporaryFolder } from './weights/files.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
afterEach(() => { vi.restoreAllMocks(); });
const [MiB, GiB] = [2 ** 20, 2 ** 30];

/** Llama 3 70B. */
const large: LlamaShape = { vocab: 128256, dim: 8192, layers: 80, heads: 64, kvHeads: 8, hidden: 28672, tied: false, theta: 500000 };
const small: LlamaShape = { vocab: 512, dim: 256, layers: 2, heads: 4, kvHeads: 2, hidden: 512, tied: false, theta: 10000 };
const hollow = (name: string, shape: LlamaShape, format: Parameters<typeof writeHollowModel>[2]): string => {
  const file = folder.file(name, '');
  writeHollowModel(file, shape, format);
  return file;
};
const smallFile = hollow('small.gguf', small, 'f32');
const machine = (free: number): { total: number; free: number; limitedBy: 'machine' } => ({ total: 16 * GiB, free, limitedBy: 'machine' });
const failure = async (work: Promise<unknown>): Promise<string> => work.then(() => 'fine', (e: unknown) => (e instanceof PeelError ? `${e.exitCode} ${e.message}` : `not said well: ${String(e)}`));
const cpu = { ...targets.cpu, threads: 2 };

describe('what is needed', () => {
  it('is counted from the headers: weights, keys and values, the process, and what loading holds for a moment', async () => {
    const model = await loadModel({ path: smallFile, headersOnly: true });
    const { need, fits, free } = await model.fit(model.plan(cpu, { context: 1000 }), { machine: machine(GiB) }, { resident: 50 * MiB, later: 7 * MiB });
    // 512 x 256 twice, and in each layer q, o of 256 x 256, k, v of 128 x 256, three of 512 x 256, norms.
    expect(need.weights).toBe(4 * (2 * 512 * 256 + 256 + 2 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 512 * 256 + 2 * 256)));
    expect(need.states).toBe(4 * 2 * 2 * 128 * 1000);
    expect([need.process, need.adapter, fits, free]).toEqual([57 * MiB, 0, true, GiB + 50 * MiB]);
    // The largest weights, read twice before the first is collected.
    expect(need.loading).toBe(2 * 4 * 512 * 256);
    expect(need.peakLoad).toBe(need.process + need.working + need.weights + need.constants + need.loading);
    expect(need.peakRunning).toBe(need.process + need.working + need.weights + need.constants + need.states + need.activations);
    await model.dispose();
  });

  it('grows with what quantising while loading, and gathering hold', async () => {
    const loading = async (options: Parameters<typeof loadModel>[0]): Promise<number> => {
      const model = await loadModel({ ...options, headersOnly: true });
      const { need } = await model.fit(model.plan(cpu), { machine: machine(GiB) });
      await model.dispose();
      return need.loading;
    };
    const quantised = await loading({ path: smallFile, quantize: 'q8_0' });
    // A band in f32, two as q8_0, and the rows asked for.
    expect(quantised).toBe(512 * 256 * (4 + (3 * 34) / 32));
    // GPT-2's matrices are transposed in the file: a slot, and the tensor that it is gathered from; twice.
    expect(await loading({ path: 'test/golden/gpt2' })).toBe(2 * 2 * 4 * 128 * 32);
  });

  it.each([1, 3])('is what the CPU allocates, on %i threads', async (threads) => {
    const model = await loadModel({ path: 'nano-llama' });
    const { Memory } = WebAssembly;
    let allocated = 0;
    vi.spyOn(WebAssembly, 'Memory').mockImplementation(function (descriptor: WebAssembly.MemoryDescriptor) {
      const memory = new Memory(descriptor);
      allocated += memory.buffer.byteLength;
      return memory;
    });
    const session = await model.session({ device: 'cpu', threads, context: 2048 });
    const { need } = await model.fit(session.plan);
    const planned = need.weights + need.states + need.activations + need.constants;
    expect(allocated).toBeGreaterThan(planned);
    // Threads have memory of their own besides.
    expect(allocated - planned).toBeLessThan(need.working + 128 * (session.plan?.slots.length ?? 0));
    await model.dispose();
  });

  it.each([{ path: 'nano-llama' }, { path: 'test/golden/mixtral' }, { path: 'nano-llama', quantize: 'q8_0' }, { path: 'nano-gpt', quantize: 'q4_0' }] as const)('is what WebGPU uploads of %o', async (options) => {
    const model = await loadModel(options);
    const backend = await openTestWebGpu();
    const weights = (model as unknown as { weights: Parameters<typeof backend.load>[1] }).weights;
    const plan = model.plan(backend.target, { context: 32 });
    const executor = await backend.load(plan, weights, 'test');
    const { need } = await model.fit(plan);
    // Buffers are filled up to 16 bytes.
    expect(executor.weightBytes - need.weights - need.constants).toBeGreaterThanOrEqual(0);
    expect(executor.weightBytes - need.weights - need.constants).toBeLessThan(16 * plan.buffers.length);
    await executor.dispose();
    await backend.dispose();
    await model.dispose();
  });

  it('of a GPU lies in its own memory, of a software driver in the machine\'s', async () => {
    const model = await loadModel({ path: smallFile, headersOnly: true });
    const needs = await Promise.all([targets.webgpu, targets.webgpuSoftware].map(async (target) => (await model.fit(model.plan(target, { context: 1000 }))).need));
    const [gpu, software] = needs;
    expect(gpu?.adapter).toBe((gpu?.weights ?? NaN) + (gpu?.states ?? NaN) + (gpu?.activations ?? NaN) + (gpu?.constants ?? NaN));
    expect([software?.adapter, (software?.peakRunning ?? NaN) > (gpu?.peakRunning ?? NaN) - 20 * MiB]).toEqual([0, true]);
    await model.dispose();
  });
});

describe('what cannot fit', () => {
  let model: LoadedModel;
  beforeAll(async () => { model = await loadModel({ path: smallFile }); });
  afterAll(() => model.dispose());

  it('is refused with the numbers, and the context that fits does fit', async () => {
    const session = { device: 'cpu', context: 1 << 20, threads: 1 } as const;
    const message = await failure(model.session({ ...session, machine: machine(GiB / 2) }));
    expect(message).toMatch(/^13 E903 \/ llama needs [\d.]+ GiB \(weights [\d.]+ MiB, KV cache of 1048576 tokens 2.0 GiB, activations [\d.]+ [KM]iB\), and [\d.]+ [MG]iB of 16.0 GiB are free; --context \d+ would fit; --force tries all the same$/);
    const context = Number(/--context (\d+)/.exec(message)?.[1]);
    const verdictAt = async (tokens: number): Promise<boolean> => (await model.fit(model.plan({ ...targets.cpu, threads: 1 }, { context: tokens }), { machine: machine(GiB / 2) })).fits;
    expect([await verdictAt(context), await verdictAt(Math.ceil(context * 1.05))]).toEqual([true, false]);
  });

  it('for lack of free memory is loaded with force; for what WebAssembly can address it is not', async () => {
    const opened = await model.session({ device: 'cpu', context: 64, threads: 1, machine: machine(0), force: true });
    expect(opened.context).toBe(64);
    const vast = { device: 'cpu', context: 1 << 23, machine: machine(2 ** 50), force: true } as const;
    expect(await failure(model.session(vast))).toMatch(/^13 E902 \/ llama needs 16.0 GiB in one WebAssembly memory \(.*KV cache of 8388608 tokens 16.0 GiB.*\), which has at most 4.0 GiB; --context \d+ would fit$/);
  });

  it('is refused by the reference interpreter too', async () => {
    expect(await failure(model.session({ device: 'reference', context: 1 << 22, machine: machine(GiB) }))).toMatch(/^13 E903 \/ llama needs [\d.]+ GiB \(weights .*, and 1.\d GiB of 16.0 GiB are free; --context \d+ would fit; --force/);
  });

  it('says where the limit is', async () => {
    const fit = async (limitedBy: 'container' | 'address space', free: number): Promise<string> => printFit(await model.fit(model.plan(cpu), { machine: { total: 2 * free, free, limitedBy } }, { resident: 0 }));
    expect(await fit('container', GiB)).toMatch(/fits: \d+\.\d MiB of 1.0 GiB free in this container$/m);
    expect(await fit('container', MiB)).toMatch(/does not fit: llama needs .*, and 1.0 MiB of the 2.0 MiB that this container may have are free\n {2}no shorter --context and no --quantize would fit$/m);
    expect(await fit('address space', 11 * GiB)).toMatch(/fits: \d+\.\d MiB of 11.0 GiB free of this process's address space$/m);
    // V8 keeps more than 8 GiB of addresses for any WebAssembly memory.
    expect(await fit('address space', 8 * GiB)).toMatch(/ and 10.0 GiB of addresses that WebAssembly reserves, and 8.0 GiB of the 16.0 GiB of address space that this process may have are free \(ulimit -v\)/);
  });

  it('fits quantised, or quantised and with a shorter context, which is said', async () => {
    const wide = await loadModel({ path: hollow('wide.gguf', { ...small, dim: 1024, hidden: 4096, vocab: 8192 }, 'f32'), headersOnly: true });
    const said = async (context: number, free: number, options = {}): Promise<string> => {
      const message = printFit(await wide.fit(wide.plan({ ...targets.cpu, ...options }, { context }), { machine: machine(free) }, { resident: 0 })).split('\n').at(-1) ?? '';
      return message.trim();
    };
    // 188 MiB in f32, 51 as q8_0, 28 as q4_K, and some 30 and 20 while they are quantised; a token takes 8 KiB.
    expect(await said(256, 120 * MiB)).toBe('--quantize q8_0 would fit');
    expect(await said(256, 70 * MiB)).toBe('--quantize q4_K would fit');
    expect(await said(1 << 17, 200 * MiB)).toMatch(/^--quantize q8_0 --context \d+ would fit$/);
    await wide.dispose();
  });

  it('because an adapter binds too little, is told from the plan', async () => {
    const wide = await loadModel({ path: smallFile, headersOnly: true });
    const fit = await wide.fit(wide.plan({ ...targets.webgpu, name: 'a small GPU', maxBindingBytes: MiB }, { context: 4096 }), { machine: machine(GiB) });
    expect(fit.problem).toMatchObject({ code: 'E902', message: expect.stringMatching(/^layers\.0\.attention\.[kv] of llama needs 2.0 MiB in one binding of a small GPU, which has at most 1.0 MiB$/) as string });
    expect(fit.instead).toEqual([{ context: 2048 }]);
    await wide.dispose();
  });
});

describe('the command line', () => {
  beforeAll(prepare);
  it('tells of a 70B model without reading it, and refuses to run it', async () => {
    const file = hollow('70b.gguf', large, 'q4_K');
    // A hole: nothing is there to be read but the head.
    expect(statSync(file).size).toBeGreaterThan(36 * GiB);
    expect(statSync(file).blocks * 512).toBeLessThan(8 * MiB);
    const [fit, run] = await Promise.all([peel('plan', file, '--context', '8192', '--fit', '--json'), peel('run', file, '--ids', '1,2', '--context', '8192', '--device', 'cpu', '--force')]);
    expect(fit.code).toBe(13);
    const json = JSON.parse(fit.out) as { fits: boolean; need: { states: number }; problem: { code: string } };
    expect([json.fits, json.need.states, json.problem.code]).toEqual([false, 2 * 80 * 8 * 128 * 8192 * 4, 'E902']);
    expect([run.code, run.out]).toEqual([13, '']);
    expect(run.err).toMatch(/^E902 \/ llama needs 44.0 GiB in one WebAssembly memory \(weights 39.0 GiB, KV cache of 8192 tokens 5.0 GiB, activations [\d.]+ MiB\), which has at most 4.0 GiB; no shorter --context and no --quantize would fit; a GPU \(--device webgpu\) has no such limit\n$/);
  });

  it('says at the end of a plan that it fits', async () => {
    const { code, out } = await peel('plan', 'nano-llama');
    expect(out).toMatch(/\nmemory of this machine, all in all .*\n {2}weights +2.5 MiB\n {2}KV cache +768 KiB/);
    expect([code, /\n {2}fits: [\d.]+ MiB of [\d.]+ [MG]iB free/.test(out)]).toEqual([0, true]);
  });
});
