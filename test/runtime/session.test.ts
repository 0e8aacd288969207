import { describe, expect, it } from 'vitest';
import type { Executor, StepInput, StepResult } from '../../runtime/backend.ts';
import { PeelError } from '../../compiler/diagnostics.ts';
import { Session, type SessionModel } from '../../runtime/session.ts';

/** A model of 10 tokens whose logits at position p favour (id + p) % 10, and which records its steps. */
function fake(seen: StepInput[], broken = false): Executor {
  return {
    report: { device: 'reference', description: 'fake', reason: 'test', kernels: 0 },
    step(input, outputs = []): Promise<StepResult> {
      seen.push({ ...input, ids: input.ids.slice() });
      const row = (t: number): Float32Array => Float32Array.from({ length: 10 }, (_, i) => (broken ? NaN : i === ((input.ids[t] ?? 0) + input.past + t) % 10 ? 1 : 0));
      const last = input.ids.length - 1;
      const values = new Map<string, Float32Array>();
      for (const name of outputs) {
        const rows = name === 'logits' ? input.logitRows : input.ids.length;
        const data = new Float32Array(rows * 10);
        for (let r = 0; r < rows; r++) data.set(row(input.ids.length - rows + r), r * 10);
        values.set(name, data);
      }
      return Promise.resolve({ argmax: broken ? -1 : row(last).indexOf(1), outputs: values });
    },
    dispose: () => Promise.resolve(),
  };
}
const model: SessionModel = { name: 'fake', vocab: 10, outputs: 10, layers: 2, bidirectional: false };
const make = (seen: StepInput[] = [], more: Partial<SessionModel> = {}, broken = false): Session =>
  new Session(fake(seen, broken), { ...model, ...more }, { maxTokens: 4, context: 16, maxLogitRows: 2 });
const collect = async (ids: AsyncIterable<number>): Promise<number[]> => {
  const list: number[] = [];
  for await (const id of ids) list.push(id);
  return list;
};
const codeOf = async (work: Promise<unknown>): Promise<string | undefined> => work.then(() => undefined, (e: unknown) => (e instanceof PeelError ? e.diagnostics[0]?.code : String(e)));

describe('a session', () => {
  it('feeds prompts in chunks, with positions that follow each other and one rope length', async () => {
    const seen: StepInput[] = [];
    await make(seen).feed([1, 2, 3, 4, 5, 6, 7]);
    expect(seen.map((s) => [s.past, s.ids.length, s.logitRows, s.ropeLength])).toEqual([[0, 4, 1, 7], [4, 3, 1, 7]]);
  });
  it('gives the logits of every row, in steps of as many rows as the plan allows', async () => {
    const seen: StepInput[] = [];
    const ids = [1, 2, 3, 4, 5, 6, 7];
    const session = make(seen);
    const logits = await session.logits(ids);
    expect(seen.map((s) => s.ids.length)).toEqual([2, 2, 2, 1]);
    expect(ids.map((_, t) => logits.subarray(t * 10, t * 10 + 10).indexOf(1))).toEqual(ids.map((id, t) => (id + t) % 10));
    const hidden = await make().feed(ids, { outputs: ['hidden.0', 'logits'], logitRows: 3 });
    expect([hidden.outputs.get('hidden.0')?.length, hidden.outputs.get('logits')?.length]).toEqual([70, 30]);
  });
  it('generates greedily without logits, and by sampling with them', async () => {
    expect(await collect(make().generate([1, 2], { maxTokens: 4 }))).toEqual([3, 5, 8, 2]);
    const sampled = (seed: number): Promise<number[]> => collect(make().generate([1, 2], { maxTokens: 8, temperature: 1, seed }));
    expect(await sampled(3)).toEqual(await sampled(3));
    expect(await sampled(3)).not.toEqual(await sampled(4));
    expect(await collect(make().generate([1, 2], { maxTokens: 4, temperature: 1, topK: 1, seed: 1 }))).toEqual([3, 5, 8, 2]);
  });
  it('ends at a stop id, at the context, at an abort, and when the caller breaks', async () => {
    expect(await collect(make().generate([1, 2], { maxTokens: 9, stop: [8] }))).toEqual([3, 5, 8]);
    expect(await collect(make().generate([1, 2], { maxTokens: 100 }))).toHaveLength(15);
    expect(await collect(make().generate([1, 2], { signal: AbortSignal.abort() }))).toEqual([]);
    const session = make();
    for await (const id of session.generate([1, 2])) { expect(id).toBe(3); break; }
    expect(session.position).toBe(2);
    session.rewind(1);
    expect(session.position).toBe(1);
  });
  it('refuses what cannot be', async () => {
    const session = make();
    expect(await codeOf(session.feed([]))).toBe('E022');
    expect(await codeOf(session.feed([3, 10]))).toBe('E023');
    expect(await codeOf(session.feed([0.5]))).toBe('E023');
    expect(await codeOf(session.feed(new Array<number>(17).fill(1)))).toBe('E024');
    expect(await codeOf(collect(session.generate([1], { maxTokens: -1, temperature: -2, topP: 0 })))).toBe('E020');
    expect(await codeOf(collect(make([], { outputs: 0 }).generate([1])))).toBe('E026');
    expect(await codeOf(make([], { bidirectional: true }).feed([1, 2, 3, 4, 5]))).toBe('E024');
    const two = [session.feed([1]), session.feed([2])];
    expect(await Promise.all(two.map(codeOf))).toEqual([undefined, 'E025']);
    await session.dispose();
    expect(await codeOf(session.feed([1]))).toBe('E025');
  });
  it('names the first output that is not a number', async () => {
    const error = await collect(make([], {}, true).generate([1])).catch((e: unknown) => e);
    expect(String(error)).toMatch(/E736 .*the first values that are not: embeddings/);
  });
});
