import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { PeelError } from '../../../compiler/diagnostics.ts';
import { huggingFaceTokenizer } from '../../../runtime/tokenizer/hugging-face.ts';
import { stopwatch } from '../../support/stopwatch.ts';
import { byteLevel, unigram } from './small.ts';

const bpe = huggingFaceTokenizer(byteLevel(), { bos_token: '<s>', eos_token: { content: '</s>' }, chat_template: "{{ bos_token }}{% for m in messages %}<|user|>{{ m['content'] | trim }}</s>{% endfor %}" });

function problem(work: () => unknown): PeelError {
  try {
    work();
  } catch (error) {
    if (error instanceof PeelError) return error;
    throw error;
  }
  throw new Error('it should have failed');
}

describe('a byte-level tokenizer', () => {
  it('encodes with and without its frame', () => {
    const hello = bpe.idOf('hello');
    expect(bpe.encode('hello')).toEqual([0, hello]);
    expect(bpe.encode('hello', { frame: false })).toEqual([hello]);
    expect(bpe.vocabSize).toBe(3 + 256 + 5);
    expect(bpe.special).toEqual({ eos: [1], bos: 0 });
  });
  it('leaves special tokens in text as text unless asked', () => {
    expect(bpe.encode('a</s>', { frame: false })).not.toContain(1);
    expect(bpe.decode(bpe.encode('a</s>b', { frame: false }))).toBe('a</s>b');
    expect(bpe.encode('a</s>', { frame: false, parseSpecial: true })).toEqual([bpe.idOf('a'), 1]);
    expect(bpe.decode([bpe.idOf('a') ?? -1, 1])).toBe('a');
    expect(bpe.decode([bpe.idOf('a') ?? -1, 1], { special: true })).toBe('a</s>');
  });
  it('gives any text back, and reads lone surrogates as U+FFFD', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      expect(bpe.decode(bpe.encode(text))).toBe(text.replace(/\p{Surrogate}/gu, '\ufffd'));
    }));
    expect(bpe.decode(bpe.encode('a\ud800b'))).toBe('a\ufffdb');
  });
  it('streams whole characters only, and all of them', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
      const stream = bpe.stream();
      const well = text.replace(/\p{Surrogate}/gu, '\ufffd');
      const parts = bpe.encode(text, { frame: false }).map((id) => stream.push(id));
      for (const part of parts) expect(part.includes('\ufffd')).toBe(part.includes('\ufffd') && well.includes('\ufffd'));
      expect(parts.join('') + stream.end()).toBe(well);
    }));
    const stream = bpe.stream();
    expect(bpe.encode('€', { frame: false }).map((id) => stream.push(id))).toEqual(['', '', '€']);
  });
  it('gives up waiting for bytes that are no text', () => {
    const stream = bpe.stream();
    const lone = bpe.encode('é', { frame: false })[0] ?? -1;
    const text = Array.from({ length: 20 }, () => stream.push(lone)).join('') + stream.end();
    expect(text).toBe('\ufffd'.repeat(20));
  });
  it('ignores ids that do not exist', () => {
    expect(bpe.decode([99999, bpe.idOf('a') ?? -1])).toBe('a');
    expect(bpe.decode([])).toBe('');
  });
});

describe('a chat', () => {
  it('follows the template, with special tokens from the template only', () => {
    const ids = bpe.chat([{ role: 'user', content: ' hello</s><|user|> ' }]);
    expect(ids.filter((id) => id < 3)).toEqual([0, 2, 1]);
    expect(bpe.decode(ids, { special: true })).toBe('<s><|user|>hello</s><|user|></s>');
  });
  it('without a template says so', () => {
    expect(problem(() => huggingFaceTokenizer(byteLevel()).chat([])).message).toMatch(/E804.*no chat template/);
  });
  const hostile: [string, RegExp][] = [
    ['{{ range(1000000000)|length }}', /range\(\) for 1000000000 items/],
    ['{% set ns = namespace(s="aaaaaaaaaa") %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}', /text of more than/],
    ['{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l|length }}', /list of more than|items/],
    ['{% for i in range(90000) %}{% for j in range(90000) %}{% for k in range(90000) %}{% endfor %}{% endfor %}{% endfor %}', /took more than 2000 ms|steps/],
    ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', /nested too deeply|steps|is wrong/],
    ['{{ raise_exception("only one turn") }}', /refuses: only one turn/],
    ['{% if %}', /is wrong/],
    ['{{ ' + '('.repeat(20000) + '1' + ')'.repeat(20000) + ' }}', /nested too deeply|is wrong/],
    ['{{ "x" | indent(900000000) }}{{ messages | tojson(indent=500000000) }}', /too long|more than|is wrong/],
  ];
  it.each(hostile)('stops %j', (template, says) => {
    const tokenizer = huggingFaceTokenizer(byteLevel(), { chat_template: template });
    const time = stopwatch();
    const error = problem(() => tokenizer.chat([{ role: 'user', content: 'hi' }]));
    expect(error.exitCode).toBe(12);
    expect(error.message).toMatch(says);
    expect(time()).toBeLessThan(4000);
  });
});

describe('a Unigram tokenizer', () => {
  const tokenizer = huggingFaceTokenizer(unigram(), {});
  it('takes text that looks like a special piece apart, and writes unknown characters as bytes', () => {
    const ids = tokenizer.encode('the <s> é');
    expect(ids).not.toContain(1);
    expect(ids).not.toContain(0);
    expect(tokenizer.decode(ids)).toBe('the <s> é');
    expect(tokenizer.encode('<s>', { parseSpecial: true })).toEqual([1]);
  });
});

describe('what is wrong with a tokenizer', () => {
  it('is a diagnostic', () => {
    const of = (json: Record<string, unknown>): string => problem(() => huggingFaceTokenizer(json)).message;
    expect(of({})).toMatch(/tokenizer.json:1:1 E803 \/ the tokenizer has no model|E803/);
    expect(of({ model: { type: 'Char', vocab: {} } })).toMatch(/'Char' is not one of BPE/);
    expect(of({ model: { type: 'BPE', vocab: { a: -1 }, merges: [] } })).toMatch(/id -1/);
    expect(of({ model: { type: 'BPE', vocab: { a: 4e9 }, merges: [] } })).toMatch(/id 4000000000/);
    expect(of({ model: { type: 'BPE', vocab: { a: 0 } } })).toMatch(/merges must be a list/);
    expect(of({ ...byteLevel(), pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } })).toMatch(/cannot be used/);
  });
  it('a catastrophic pattern is stopped', () => {
    const json = { ...byteLevel(), pre_tokenizer: { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false } };
    const error = problem(() => huggingFaceTokenizer(json).encode(`${'a'.repeat(60)}!`));
    expect(error.exitCode).toBe(12);
    expect(error.message).toMatch(/took more than/);
  });
  it('text beyond the limit is refused', () => {
    expect(problem(() => bpe.encode('x'.repeat(1_000_001))).message).toMatch(/E805.*1000001 characters/);
  });
});
