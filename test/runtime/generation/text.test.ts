import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeelError } from '../../../compiler/diagnostics.ts';
import { conversationIds, type ConversationMessage } from '../../../runtime/generation/conversation.ts';
import { generateText, sampleTexts, type GeneratedText, type TextOptions } from '../../../runtime/generation/text.ts';
import { loadModel, type LoadedModel } from '../../../runtime/model.ts';
import type { Session } from '../../../runtime/session.ts';
import type { ChatMessage, Tokenizer } from '../../../runtime/tokenizer/tokenizer.ts';
import { temporaryFolder } from '../weights/files.ts';

const folder = temporaryFolder();
let model: LoadedModel, session: Session, tokenizer: Tokenizer;
const template = "{{ bos_token }}{% for m in messages %}{{ m.role | upper }}:\n{{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}ASSISTANT:\n{% endif %}";

beforeAll(async () => {
  const copy = path.join(folder.path, 'nano-chat');
  cpSync(path.join('models', 'nano', 'nano-llama'), copy, { recursive: true });
  const file = path.join(copy, 'tokenizer_config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), chat_template: template }));
  model = await loadModel({ path: copy, device: 'cpu', threads: 1 });
  session = await model.session();
  tokenizer = await model.tokenizer();
});
afterAll(async () => { await model.dispose(); folder.remove(); });

async function all(pieces: AsyncGenerator<string, GeneratedText, undefined>): Promise<GeneratedText & { pieces: string[] }> {
  const list: string[] = [];
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { ...value, pieces: list };
    list.push(value);
  }
}
const write = (prompt: string, options: TextOptions = {}): ReturnType<typeof all> => all(generateText(session, tokenizer, tokenizer.encode(prompt), options));

describe('text', () => {
  it('comes in pieces that make up the whole, and equals the decoded tokens', async () => {
    const result = await write('ROMEO:', { maxTokens: 24 });
    expect(result.pieces.join('')).toBe(result.text);
    expect(result.pieces.length).toBeGreaterThan(10);
    const prompt = tokenizer.encode('ROMEO:');
    expect(tokenizer.decode([...prompt, ...result.ids])).toBe(`ROMEO:${result.text}`);
    expect(result.stopped).toBe('length');
  });
  it('keeps the space in front of a word that continues the prompt, and drops it from a text of its own', async () => {
    const prompt = tokenizer.encode('I am a');
    const pieces = (fresh: boolean): ReturnType<typeof all> => all(generateText(session, tokenizer, prompt, { maxTokens: 1, fresh, logitBias: { [tokenizer.idOf('▁man') ?? -1]: 100 } }));
    expect([(await pieces(false)).text, (await pieces(true)).text]).toEqual([' man', 'man']);
  });
  it('ends before a stop string, also where tokens straddle it, and shows nothing of it', async () => {
    const { text } = await write('ROMEO:', { maxTokens: 40 });
    // Every text of 3 characters that occurs: tokens have other borders.
    for (let at = 5; at < 25; at += 4) {
      const stop = text.slice(at, at + 3);
      const found = await write('ROMEO:', { maxTokens: 40, stopStrings: [stop, 'never there'] });
      expect([found.text, found.stopped, found.stop]).toEqual([text.slice(0, text.indexOf(stop)), 'stop', stop]);
      expect(found.pieces.join('')).toBe(found.text);
    }
    const ids = (await write('ROMEO:', { maxTokens: 6 })).ids;
    const stopped = await write('ROMEO:', { maxTokens: 6, stop: [ids[3] ?? -1] });
    expect([stopped.ids, stopped.stopped]).toEqual([ids.slice(0, ids.indexOf(ids[3] ?? -1)), 'stop']);
    const code = (await write('a', { stopStrings: [''] }).catch((e: unknown) => e)) as PeelError;
    expect(code.diagnostics[0]?.code).toBe('E020');
  });
  it('ends at the end-of-text token, unless that is ignored', async () => {
    const [end = -1] = tokenizer.special.eos;
    const logitBias = { [end]: 1000 };
    expect(await write('ROMEO:', { maxTokens: 4, logitBias })).toMatchObject({ text: '', ids: [], stopped: 'end' });
    expect(await write('ROMEO:', { maxTokens: 4, logitBias, ignoreEnd: true })).toMatchObject({ ids: [end, end, end, end], stopped: 'length' });
  });
  it('is the same for the same seed, whatever was computed before', async () => {
    const options = { maxTokens: 30, temperature: 1.2, topP: 0.95, seed: 42 };
    const first = await write('JULIET:', options);
    await write('Something else entirely, and long enough to change all of the state.', { maxTokens: 3 });
    expect((await write('JULIET:', options)).ids).toEqual(first.ids);
    expect((await write('JULIET:', { ...options, seed: 43 })).ids).not.toEqual(first.ids);
  });
  it('samples several, most likely first, each to be had again by its seed', async () => {
    const prompt = tokenizer.encode('JULIET:');
    const samples = await sampleTexts(session, tokenizer, prompt, 4, { maxTokens: 12, temperature: 1, seed: 7 });
    expect(samples.map((s) => s.seed).sort((a, b) => a - b)).toEqual([7, 8, 9, 10]);
    const scores = samples.map((s) => s.score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    for (const s of samples) {
      expect((await write('JULIET:', { maxTokens: 12, temperature: 1, seed: s.seed })).text).toBe(s.text);
      expect(s.score).toBeCloseTo(s.tokens.reduce((n, t) => n + (t.logprob ?? NaN), 0) / s.tokens.length, 9);
    }
    expect(((await sampleTexts(session, tokenizer, prompt, 0, { seed: 1 }).catch((e: unknown) => e)) as PeelError).diagnostics[0]?.message).toMatch(/from 1 to 1000, found 0/);
  });
});

describe('a conversation', () => {
  const user = (content: string): ChatMessage => ({ role: 'user', content });
  it('keeps what the state holds of it: a second turn feeds the new tokens only', async () => {
    const messages: ConversationMessage[] = [user('Good morrow, cousin.')];
    let different = 0;
    for (const next of ['And who art thou?', 'Speak again.', 'Farewell!']) {
      const ids = conversationIds(tokenizer, messages);
      const reply = await all(generateText(session, tokenizer, ids, { maxTokens: 20, temperature: 1.5, seed: messages.length, fresh: true }));
      messages.push({ role: 'assistant', content: reply.text, ids: reply.ids }, user(next));
      const after = conversationIds(tokenizer, messages);
      // The last generated token was never fed.
      expect(session.commonPrefix(after)).toBe(ids.length + reply.ids.length - 1);
      expect(tokenizer.decode(after)).toBe(tokenizer.decode(tokenizer.chat(messages)));
      // Sampled text has tokens that encoding it does not give.
      if (after.join() !== tokenizer.chat(messages).join()) different++;
    }
    expect(different).toBeGreaterThan(0);
  });
  it('is encoded anew where the ids are not those of the text', () => {
    const messages = [user('One'), { role: 'assistant', content: 'two', ids: tokenizer.encode('three', { frame: false }) }, user('three')];
    expect(conversationIds(tokenizer, messages)).toEqual(tokenizer.chat(messages));
  });
  it('goes on through the library', async () => {
    const first = await all(model.reply([user('Who is it?')], { maxTokens: 5 }));
    const again = await all(model.reply([user('Who is it?'), { role: 'assistant', content: first.text }, user('Why?')], { maxTokens: 3 }));
    expect(again.ids).toHaveLength(3);
    expect((await all(model.write('ROMEO:', { maxTokens: 5 }))).text).toBe((await write('ROMEO:', { maxTokens: 5 })).text);
  });
});
