import Ajv from 'ajv/dist/2020.js';
import { afterAll, describe, expect, it } from 'vitest';
import { PeelError } from '../../../compiler/diagnostics.ts';
import { ConstraintEngine, type ConstraintSource } from '../../../runtime/constrain/engine.ts';
import type { GeneratedText, TextOptions } from '../../../runtime/generation/text.ts';
import { loadModel, type LoadedModel } from '../../../runtime/model.ts';

const loaded = new Map<string, Promise<LoadedModel>>();
const open = (name: string): Promise<LoadedModel> => {
  const known = loaded.get(name) ?? loadModel({ path: name, device: 'cpu', threads: 1 });
  loaded.set(name, known);
  return known;
};
afterAll(async () => { for (const model of loaded.values()) await (await model).dispose(); });

async function write(model: LoadedModel, options: TextOptions, prompt = 'The '): Promise<GeneratedText> {
  const pieces = model.write(prompt, options);
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return value;
  }
}

const person = {
  type: 'object', required: ['name', 'age', 'tags', 'kind'], properties: {
    name: { type: 'string', minLength: 1, maxLength: 12 }, age: { type: 'integer', minimum: 0, maximum: 130 }, height: { type: 'number', minimum: 0.5, maximum: 2.5 }, born: { type: 'string', format: 'date' },
    tags: { type: 'array', items: { type: 'string', pattern: '[a-zé]{1,6}' }, minItems: 1, maxItems: 3 }, kind: { enum: ['friend', 'foe "x"', 'naïve 😀', null] }, more: { anyOf: [{ type: 'boolean' }, { type: 'null' }] },
  },
};
/** Byte-level BPE, BPE with byte fallback, Unigram with byte fallback. */
const models = ['nano-gpt', 'nano-llama', 'nano-deepseek'];

describe.each(models)('%s, constrained', (name) => {
  it('writes JSON that parses and is valid, greedily and by chance', async () => {
    const model = await open(name);
    const constraint = await model.constraint({ jsonSchema: person });
    const valid = new Ajv({ strict: false, formats: { date: /^\d{4}-\d\d-\d\d$/ } }).compile(person);
    const seen = new Set<string>();
    for (const options of [{}, ...Array.from({ length: 5 }, (_, seed) => ({ temperature: 3, seed }))]) {
      const { text, stopped } = await write(model, { ...options, constraint, maxTokens: 220 });
      expect([text, stopped]).toEqual([text, 'complete']);
      expect([text, valid(JSON.parse(text))]).toEqual([text, true]);
      seen.add(text);
    }
    expect(seen.size).toBeGreaterThan(3);
    constraint.dispose();
  });
  it.each(['[a-z]{3,8} (?:yes|no)', '\\d{4}-\\d{2}', '(?:é|ß|日本|😀){2,4}!', ' ?[A-Z][a-z]{2,9}(?:, [A-Z][a-z]{2,9}){0,2}\\.', '[\\u0100-\\u04ff]{3}', '.{5}', 'ROMEO|JULIET'])('writes what matches %s', async (pattern) => {
    const model = await open(name);
    const constraint = await model.constraint({ regex: pattern });
    const regex = new RegExp(`^(?:${pattern})$`, 'u');
    for (const options of [{}, ...Array.from({ length: 4 }, (_, seed) => ({ temperature: 4, seed }))]) {
      const { text, stopped } = await write(model, { ...options, constraint, maxTokens: 100 });
      expect([text, regex.test(text), ['complete', 'end'].includes(stopped)]).toEqual([text, true, true]);
    }
    constraint.dispose();
  });
});

describe('a constraint', () => {
  it('lets the model end where the text may end, and goes on to a stop text or the limit otherwise', async () => {
    const model = await open('nano-llama');
    const constraint = await model.constraint({ regex: '[a-z ]+' });
    const [end = 0] = (await model.tokenizer()).special.eos;
    const ended = await write(model, { constraint, maxTokens: 20, logitBias: { [end]: 100 } });
    expect(ended.stopped).toBe('end');
    expect(ended.ids).toHaveLength(1); // An empty text does not match.
    expect(await write(model, { constraint, maxTokens: 7, logitBias: { [end]: -1000 } })).toMatchObject({ stopped: 'length' });
    const stopped = await write(model, { constraint, maxTokens: 60, logitBias: { [end]: -1000 }, stopStrings: ['e'] });
    expect(stopped.stopped).toBe('stop');
    constraint.dispose();
  });
  it('says of a text whether it was cut before it matched', async () => {
    const model = await open('nano-llama');
    const constraint = await model.constraint({ regex: '[a-z ]{30}x?' });
    const cut = await write(model, { constraint, maxTokens: 3 });
    expect([cut.stopped, cut.unfinished]).toEqual(['length', true]);
    const whole = await write(model, { constraint, maxTokens: 100 });
    expect([whole.unfinished, /^[a-z ]{30}x?$/.test(whole.text)]).toEqual([undefined, true]);
    // All that is missing is what may be missing.
    const enough = await write(model, { constraint, maxTokens: whole.ids.length });
    expect([enough.text, enough.unfinished]).toEqual([whole.text, undefined]);
    const stopped = await write(model, { constraint, maxTokens: 100, stopStrings: [whole.text.slice(5, 7)] });
    expect([stopped.stopped, stopped.unfinished]).toEqual(['stop', true]);
    constraint.dispose();
  });
  it('never lets special tokens into a text, whatever it allows', async () => {
    const model = await open('nano-llama');
    const constraint = await model.constraint({ regex: '[\\s\\S]{4}' });
    const { special, ids } = { special: (await model.tokenizer()).special, ids: new Set<number>() };
    for (let seed = 0; seed < 10; seed++) for (const id of (await write(model, { constraint, temperature: 50, seed })).ids) ids.add(id);
    for (const id of [special.bos, special.unknown, ...special.eos]) expect(ids.has(id ?? -1)).toBe(false);
    constraint.dispose();
  });
  it('works together with log probabilities, penalties and several sources at once', async () => {
    const model = await open('nano-gpt');
    const [digits, letters] = await Promise.all(['[0-9]{6}', '[a-z]{6}'].map((regex) => model.constraint({ regex })));
    expect((await write(model, { constraint: digits!, presencePenalty: 5 })).text).toMatch(/^\d{6}$/);
    const { text, tokens } = await write(model, { constraint: letters!, logprobs: 1 });
    expect(text).toMatch(/^[a-z]{6}$/);
    // The log probability is the model's own, of a token that it would not have taken.
    expect(tokens.every((t) => (t.logprob ?? 1) <= (t.top?.[0]?.logprob ?? -Infinity))).toBe(true);
    digits!.dispose();
    letters!.dispose();
  });
  it('that takes too long is ended, and does not keep others from being made', async () => {
    const model = await open('nano-gpt');
    const engine = new ConstraintEngine(await model.tokenizer(), 1024, { patience: 0 });
    const problem = (work: () => unknown): unknown => { try { return work(); } catch (error) { return error instanceof PeelError ? error.diagnostics[0] : error; } };
    expect(problem(() => engine.constraint({ regex: '.*a.{12}' }))).toMatchObject({ code: 'E029', path: '/regex', message: 'takes more than 0 s for one token of this vocabulary' });
    const other = await model.constraint({ regex: 'fine' });
    expect((await write(model, { constraint: other })).text).toBe('fine');
    other.dispose();
  });
  it.each<[ConstraintSource, string]>([
    [{ regex: '(?=x)' }, 'E028'], [{ regex: 'x|[^\\s\\S]' }, 'E028'], [{ jsonSchema: { type: 'array', uniqueItems: true } }, 'E028'], [{ jsonSchema: false }, 'E028'],
  ])('refuses %j', async (source, code) => {
    const error: unknown = await (await open('nano-gpt')).constraint(source).catch((e: unknown) => e);
    expect(error instanceof PeelError ? [error.exitCode, error.diagnostics[0]?.code] : error).toEqual([2, code]);
  });
});
