/** Steps that a device begins before they are asked for give what the same steps give when they are asked for, and disturb nothing where they are not. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPlan } from '../../compiler/build-plan.ts';
import type { StepResult } from '../../runtime/backend.ts';
import { Session } from '../../runtime/session.ts';
import type { WebGpuBackend } from '../../runtime/webgpu/index.ts';
import { weightsOf } from '../conformance/harness.ts';
import { llamaGraph } from '../support/hand-graphs.ts';
import { openTestWebGpu } from '../support/webgpu.ts';

const vocab = 61;
const graph = llamaGraph({ vocab, dim: 16, heads: 2, kvHeads: 1, headDim: 8, hidden: 24, layers: 2 });
const weights = weightsOf({ name: 'ahead', graph, steps: [], limit: 0, vocab });
const context = 24;

let backend: WebGpuBackend;
beforeAll(async () => { backend = await openTestWebGpu({ kernels: 'software', ahead: true }); });
afterAll(() => backend.dispose());

const load = (): ReturnType<WebGpuBackend['load']> => backend.load(buildPlan(graph, backend.target, { maxTokens: 6, context, maxLogitRows: 1 }), weights, 'test');

const logits = (r: StepResult): number[] => [...(r.outputs.get('logits') ?? [])];

test('a greedy text is the same, and all of its steps but the first two are begun before', async () => {
  const texts: number[][] = [];
  for (const follow of [false, true]) {
    const executor = await load();
    const text: number[] = [];
    let result = await executor.step({ ids: Int32Array.of(3, 1, 4), past: 0, logitRows: 1, follow });
    for (let past = 3; past < 15; past++) {
      text.push(result.argmax);
      result = await executor.step({ ids: Int32Array.of(result.argmax), past, logitRows: 1, follow });
    }
    // The first decoding step compiles its kernels: it is not begun before, here or while it is compiled.
    expect(executor.stepsAhead).toBe(follow ? 11 : 0);
    texts.push(text);
    await executor.dispose();
  }
  expect(new Set(texts[0]).size).toBeGreaterThan(2);
  expect(texts[1]).toEqual(texts[0]);
});

test('another token, another place, outputs: the step that was begun is not taken, and what it wrote is overwritten', async () => {
  const [plain, eager] = [await load(), await load()];
  const both = async (ids: number[], past: number, names: readonly string[] = []): Promise<number> => {
    const input = { ids: Int32Array.from(ids), past, logitRows: 1 };
    const expected = await plain.step(input, names);
    const found = await eager.step({ ...input, follow: true }, names);
    expect(found.argmax).toBe(expected.argmax);
    expect(logits(found)).toEqual(logits(expected));
    return found.argmax;
  };
  await both([5, 9], 0);
  const first = await both([7], 2);
  const second = await both([first], 3);
  expect(eager.stepsAhead).toBe(1);
  await both([(second + 1) % vocab], 4, ['logits']);
  const third = await both([2], 5);
  await both([third], 6, ['logits']);
  await both([8, 8, 8], 1, ['logits']);
  const fourth = await both([1], 4);
  await both([fourth], 3, ['logits']);
  expect(eager.stepsAhead).toBe(1);
  await plain.dispose();
  await eager.dispose();
});

test('a session generates so up to its full context', async () => {
  const executor = await load();
  const model = { name: 'ahead', vocab, outputs: vocab, layers: 2, bidirectional: false };
  const session = new Session(executor, model, { maxTokens: 6, context, maxLogitRows: 1 });
  const text: number[] = [];
  for await (const id of session.generate([3, 1, 4], { maxTokens: 100 })) text.push(id);
  expect(text.length).toBe(context - 3 + 1);
  expect(executor.stepsAhead).toBeGreaterThan(15);
  // A text after it does not begin with what the last step had begun.
  const again: number[] = [];
  for await (const id of session.generate([3, 1, 4, text[0] ?? 0], { maxTokens: 5 })) again.push(id);
  expect(again).toEqual(text.slice(1, 6));
  await session.dispose();
});
