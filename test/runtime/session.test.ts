import { describe, expect, it } from 'vitest';
import type { Executor, StepInput, StepResult } from '../../runtime/backend.ts';
import { PeelError } from '../../compiler/diagnostics.ts';
import type { GeneratedToken, GenerateOptions, TokenConstraint } from '../../runtime/generation/options.ts';
import { shifted } from '../../runtime/generation/tokens.ts';
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
  it('feeds only what differs from what it holds, and always the last id', async () => {
    const seen: StepInput[] = [];
    const session = make(seen);
    const first = await collect(session.generate([1, 2, 3, 4, 5, 6], { maxTokens: 2 }));
    expect(seen.map((s) => [s.past, s.ids.length])).toEqual([[0, 4], [4, 2], [6, 1]]);
    seen.length = 0;
    // The next turn of a conversation: all of it, of which the state has all but the last generated id and what is new.
    const progress: [number, number][] = [];
    const conversation = [1, 2, 3, 4, 5, 6, ...first, 7, 8];
    expect(session.commonPrefix(conversation)).toBe(7);
    await collect(session.generate(conversation, { maxTokens: 1, onProgress: (done, total) => progress.push([done, total]) }));
    expect(seen.map((s) => [s.past, ...s.ids])).toEqual([[7, ...conversation.slice(7)]]);
    expect(progress).toEqual([[7, 10], [10, 10]]);
    seen.length = 0;
    await collect(session.generate(conversation, { maxTokens: 1 }));
    expect(seen.map((s) => [s.past, ...s.ids])).toEqual([[9, 8]]);
    seen.length = 0;
    await collect(session.generate([1, 2, 9, 4], { maxTokens: 1 }));
    expect(seen.map((s) => [s.past, ...s.ids])).toEqual([[2, 9, 4]]);
  });
  it('does not keep what was rotated for another length', async () => {
    const seen: StepInput[] = [];
    const session = make(seen, { lengthKey: (n) => String(n > 6) });
    await collect(session.generate([1, 2, 3], { maxTokens: 2 }));
    expect(session.commonPrefix([1, 2, 3, 4, 5, 6])).toBe(3);
    expect(session.commonPrefix([1, 2, 3, 4, 5, 6, 7])).toBe(0);
    await session.feed([1, 2, 3, 4]);
    expect(session.commonPrefix([1, 2, 3, 6, 1, 2, 3, 4])).toBe(0);
    await collect(session.generate([1, 2, 3, 4, 5, 6, 7], { maxTokens: 1 }));
    expect(session.commonPrefix([1, 2, 3, 4, 5, 6, 7, 8])).toBe(7);
    expect(session.commonPrefix([1, 2, 3])).toBe(0);
  });
  it('shifts a full context where that is asked for: keeps the first tokens, drops the older half of the rest', async () => {
    expect(shifted([0, 1, 2, 3, 4, 5, 6, 7], 1, 8)).toEqual([0, 4, 5, 6, 7]);
    expect(shifted([0, 1, 2, 3, 4, 5, 6, 7], 2, 4)).toEqual([0, 1, 7]);
    expect(shifted([0, 1], 5, 2)).toEqual([0]);
    const seen: StepInput[] = [];
    const session = make(seen);
    const ids = await collect(session.generate([1, 2], { maxTokens: 20, contextShift: true }));
    expect(ids).toHaveLength(20);
    const all = [1, 2, ...ids];
    // 16 tokens are in the state when the 17th comes: the first stays, half of the other 16 goes, the rest is fed again behind the first.
    const again = seen.filter((s) => s.past === 1);
    expect(again.map((s) => [...s.ids])).toEqual([all.slice(9, 13)]);
    expect(seen.slice(15, 18).map((s) => [s.past, ...s.ids])).toEqual([[1, ...all.slice(9, 13)], [5, ...all.slice(13, 17)], [9, all[17]]]);
    // A prompt that is too long is shifted too.
    expect(await collect(make().generate(Array.from({ length: 40 }, (_, i) => i % 10), { maxTokens: 3, contextShift: { keep: 2 } }))).toHaveLength(3);
    const reason = async (options: GenerateOptions): Promise<unknown> => {
      const tokens = make().generate([1, 2], options);
      for (;;) { const { done, value } = await tokens.next(); if (done) return value; }
    };
    expect(await Promise.all([reason({}), reason({ maxTokens: 2 }), reason({ stop: [8] }), reason({ signal: AbortSignal.abort() }), reason({ contextShift: true, maxTokens: 30 })]))
      .toEqual(['context', 'length', 'stop', 'aborted', 'length']);
  });
  it('stops between the chunks of a prompt', async () => {
    const seen: StepInput[] = [];
    const abort = new AbortController();
    const session = make(seen);
    expect(await collect(session.generate([1, 2, 3, 4, 5, 6], { signal: abort.signal, onProgress: (done) => { if (done === 4) abort.abort(); } }))).toEqual([]);
    expect([seen.length, session.position]).toEqual([1, 4]);
  });
  it('gives log probabilities, and penalises what was said', async () => {
    const tokens: GeneratedToken[] = [];
    for await (const token of make().tokens([1, 2], { maxTokens: 2, logprobs: 2 })) tokens.push(token);
    expect(tokens.map((t) => [t.id, t.top?.map((x) => x.id)])).toEqual([[3, [3, 0]], [5, [5, 0]]]);
    expect(tokens[0]?.logprob).toBeCloseTo(Math.log(Math.E / (Math.E + 9)), 6);
    // Without the penalty: 3, 5, 8, 2. The 2 is in the prompt.
    expect(await collect(make().generate([1, 2], { maxTokens: 4, presencePenalty: 2 }))).toEqual([3, 5, 8, 0]);
    expect(await collect(make().generate([1, 2], { maxTokens: 1, logitBias: { 3: -2 } }))).toEqual([0]);
  });
  it('generates only what a constraint allows, and ends when that is complete', async () => {
    const accepted: number[] = [];
    const constraint: TokenConstraint = {
      next: () => Promise.resolve({ mask: Int32Array.from([accepted.length === 3 ? 0 : 1 << 4 | 1 << 6]), complete: accepted.length === 3 }), accept: (id) => { accepted.push(id); },
    };
    expect(await collect(make().generate([1, 2], { constraint }))).toEqual([4, 6, 4]);
    expect(accepted).toEqual([4, 6, 4]);
    accepted.length = 0;
    expect(await codeOf(collect(make().generate([1, 2], { constraint, logitBias: { 4: -Infinity, 6: -Infinity } })))).toBe('E020');
  });
  it('refuses to go on with a text when it was used for another', async () => {
    const session = make();
    const tokens = session.generate([1, 2]);
    await tokens.next();
    session.rewind(0);
    expect(await codeOf(tokens.next())).toBe('E025');
  });
  it('refuses what cannot be', async () => {
    expect(await codeOf(collect(make().generate([1], { logprobs: 101, contextShift: { keep: 16 } })))).toBe('E020');
    expect(await codeOf(collect(make().generate(new Array<number>(17).fill(1))))).toBe('E024');
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
