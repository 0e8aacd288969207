/** What the flags of generation do, through the command line. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../runtime/weights/files.ts';
import { peel, prepare } from './peel.ts';

beforeAll(prepare);
const folder = temporaryFolder();
afterAll(() => folder.remove());
const run = (...args: string[]): ReturnType<typeof peel> => peel('run', 'nano-llama', '--device', 'cpu', '--threads', '1', ...args);
interface Result { text: string; ids: number[]; stopped: string; stop?: string; seed?: number; logprobs?: { id: number; token: string; logprob: number; top?: { id: number; logprob: number }[] }[]; samples?: { seed: number; score: number; text: string }[] }
const json = async (...args: string[]): Promise<Result> => JSON.parse((await run('--prompt', 'ROMEO:', '--max-tokens', '20', '--json', ...args)).out) as Result;

describe('peel run', () => {
  it('stops at texts and ids, and says so', async () => {
    const [whole, text, ids] = await Promise.all([json(), json('--stop', 'zzz', '--stop', 'way'), json('--stop-ids', '13')]);
    expect(whole.text).toContain('way');
    expect([text.text, text.stopped, text.stop]).toEqual([whole.text.slice(0, whole.text.indexOf('way')), 'stop', 'way']);
    expect([ids.text, ids.stopped]).toEqual(['', 'stop']);
  });
  it('gives log probabilities, of the chosen token and the most likely', async () => {
    const { logprobs, ids } = await json('--logprobs', '3');
    expect(logprobs?.map((l) => l.id)).toEqual(ids);
    for (const l of logprobs ?? []) {
      expect(l.top?.[0]).toMatchObject({ id: l.id, logprob: l.logprob });
      expect(l.top).toHaveLength(3);
      expect((l.top ?? []).reduce((sum, t) => sum + Math.exp(t.logprob), 0)).toBeLessThanOrEqual(1 + 1e-9);
    }
  });
  it('samples several texts, each of which its seed gives again', async () => {
    const { samples = [] } = await json('--samples', '3', '--temperature', '1', '--seed', '5', '--top-k', '50');
    expect(samples.map((s) => s.seed).sort()).toEqual([5, 6, 7]);
    expect(samples[0]?.score).toBeGreaterThanOrEqual(samples[2]?.score ?? 0);
    const again = await json('--temperature', '1', '--top-k', '50', '--seed', String(samples[1]?.seed));
    expect([again.text, again.seed]).toEqual([samples[1]?.text, samples[1]?.seed]);
    const text = await run('--prompt', 'ROMEO:', '--max-tokens', '5', '--samples', '2', '--temperature', '1', '--seed', '1', '--quiet');
    expect(text.out.match(/--- seed \d+, mean log probability -?\d/g)).toHaveLength(2);
  });
  it('penalises, and forbids', async () => {
    const [plain, penalised, without] = await Promise.all([json('--max-tokens', '60'), json('--max-tokens', '60', '--repetition-penalty', '1.5', '--penalty-window', '-1'), json('--logit-bias', '13=-inf')]);
    expect(new Set(penalised.ids).size).toBeGreaterThan(new Set(plain.ids).size);
    expect(plain.ids).toContain(13);
    expect(without.ids).not.toContain(13);
  });
  it('ends at a full context, or shifts it', async () => {
    const [full, shifted, error] = await Promise.all([json('--context', '12'), json('--context', '12', '--context-shift', '--context-keep', '2'), run('--prompt', 'A prompt that is longer than this.', '--context', '5')]);
    expect([full.stopped, full.ids.length]).toEqual(['context', 8]);
    expect([shifted.stopped, shifted.ids.length]).toEqual(['length', 20]);
    expect(shifted.ids.slice(0, 8)).toEqual(full.ids);
    expect([error.code, error.out]).toEqual([2, '']);
    expect(error.err).toMatch(/^E024 \/ids the prompt has \d+ tokens, the context holds 5; give a longer --context/);
  });
  it('writes only what a schema or a pattern allows', async () => {
    const file = folder.file('schema.json', JSON.stringify({ type: 'object', properties: { name: { type: 'string', maxLength: 8 }, age: { type: 'integer', minimum: 1, maximum: 99 } }, required: ['name', 'age'] }));
    const [object, word, samples] = await Promise.all([json('--json-schema', file, '--max-tokens', '60'), run('--prompt', 'Yes or no? ', '--regex', ' ?(?:yes|no)', '--quiet'), json('--regex', '[a-z]{4}', '--samples', '3', '--temperature', '2', '--seed', '1')]);
    expect([object.stopped, Object.keys(JSON.parse(object.text) as object)]).toEqual(['complete', ['name', 'age']]);
    expect(word.out).toMatch(/^Yes or no\? {1,2}(?:yes|no)\n$/);
    for (const { text } of samples.samples ?? []) expect(text).toMatch(/^[a-z]{4}$/);
    const bad = folder.file('bad.json', '{"type": "array", "uniqueItems": true}');
    const refused = await Promise.all([['--json-schema', bad], ['--json-schema', folder.file('no.json', '{')], ['--json-schema', 'nowhere.json'], ['--regex', 'a', '--json-schema', file], ['--regex', '(a'], ['--json-schema', '{"type": "null"}'], ['--regex', '']].map((args) => run('--prompt', 'a', ...args)));
    expect(refused.map((r) => `${r.code} ${/E\d+/.exec(r.err)?.[0] ?? r.err}`)).toEqual(['2 E028', '2 E028', '14 E721', '2 E012', '2 E028', '2 E012', expect.stringMatching(/^2 .*A pattern that is not empty/) as string]);
    expect(refused[0]?.err).toMatch(/^E028 \/json-schema\/uniqueItems uniqueItems is not supported; /);
  });
  it('says where a text was cut before it was what was asked for, and that slashes are no part of a pattern', async () => {
    const cut = ['--prompt', 'a', '--regex', '/[a-z]{40}/', '--max-tokens', '3'];
    const [told, quiet, result] = await Promise.all([run(...cut), run(...cut, '--quiet'), json(...cut.slice(2))]);
    expect(told.err).toContain('the text was cut before it was all that --regex asks for: at --max-tokens, give more');
    expect(told.err).toContain('the slashes of --regex /[a-z]{40}/ are part of the text');
    expect(quiet.err).toBe('');
    expect(result).toMatchObject({ stopped: 'length', unfinished: true });
  });
  it.each([
    [['--temperature', '101'], /'101' is invalid. A number from 0 to 100/], [['--top-p', '1.5'], /'1.5' is invalid. A number from 0 to 1/], [['--penalty-window', '-2'], /'-2' is invalid/],
    [['--logit-bias', '1'], /--logit-bias.*'1' is invalid. A token id and an amount/], [['--logit-bias', '1=2000'], /from -1000 to 1000/], [['--logit-bias', '70000=1'], /E020 \/logit-bias\/70000 must be the id of a token from 0 to 1023, found 70000/],
    [['--stop', ''], /A text that is not empty/], [['--samples', '2'], /E012 .*--samples needs a --temperature/], [['--logprobs', '2'], /E012 .*--logprobs needs --json/], [['--samples', '2000'], /from 1 to 1000/],
    [['--top-p', '0'], /E020 \/top-p must be above 0 and at most 1, found 0/], [['--system', 'x'], /E012 .*--system needs --chat/],
  ])('refuses %j', async (args, message) => {
    const ran = await run('--prompt', 'a', ...args);
    expect([ran.code, ran.out]).toEqual([2, '']);
    expect(ran.err).toMatch(message);
  });
});
