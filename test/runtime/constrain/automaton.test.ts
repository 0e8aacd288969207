import { describe, expect, it } from 'vitest';
import { Automaton, dead } from '../../../runtime/constrain/automaton.ts';
import { utf8 } from '../../../runtime/constrain/code-points.ts';
import { countable } from '../../../runtime/constrain/countable.ts';
import { ConstraintEngine, grammarOf } from '../../../runtime/constrain/engine.ts';
import type { Grammar } from '../../../runtime/constrain/grammar.ts';
import { prune } from '../../../runtime/constrain/prune.ts';
import { regexGrammar } from '../../../runtime/constrain/regex.ts';
import { schemaGrammar } from '../../../runtime/constrain/schema/compile.ts';
import { markAllowed, tokenTrie } from '../../../runtime/constrain/token-trie.ts';
import { randomSource } from '../../../runtime/sampling/random.ts';
import { loadModel } from '../../../runtime/model.ts';
import { matches, randomText } from './match.ts';

const automatonOf = (grammar: Grammar): Automaton => new Automaton(prune(countable(grammar)) ?? new Map());
const encoder = new TextEncoder();
const has = (mask: Int32Array, id: number): boolean => (((mask[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1;
function verdict(automaton: Automaton, text: Uint8Array): boolean {
  const state = automaton.read(automaton.start, text);
  return state !== dead && automaton.mayEnd(state);
}

/** All texts of a and b up to a length. */
const texts = (length: number): string[] => (length === 0 ? [''] : ['', ...texts(length - 1).flatMap((text) => [`a${text}`, `b${text}`])]);
const all = texts(10);

describe('an automaton', () => {
  it.each([
    'a{2,5}', 'a{0,3}b', '(?:ab?){2,4}', '(?:a?b?){2,4}', '(a*)*', '(a*b*){2}', '(?:a{0,2}){3}b', '(?:|a){2}b', '(?:(?:a?)+b?){1,3}', 'a{1,3}a{2,4}', '[ab]{1,4}[ab]{2,4}b', '(?:a{1,2}b{0,2}){1,3}', '(?:(?:a|b){0,2}a){2}', '(?:a{2,3}|b{1,2}){2,3}',
    '(?:(?:a{0,2}b?){0,2}){0,2}', '(?:aa|aaa){1,3}', 'a{3,}b{0,1}', '(?:){3}a', 'a|a', '(?:ab|a|ab|aa|){1,3}b', '(?:abb|aba|b){2}', '(?:a?b?a?b?){2}b', '(?:(?:ab){0,2}a?){2,3}', '[ab]*a[ab]{3}', 'a{0}b',
  ])('reads %s as JavaScript does, and leads only to what can be finished', (pattern) => {
    const automaton = automatonOf(new Map([['root', regexGrammar(pattern, '/p', utf8)]]));
    const regex = new RegExp(`^(?:${pattern})$`, 'u');
    const fine = all.filter((text) => regex.test(text));
    expect(all.filter((text) => verdict(automaton, encoder.encode(text)))).toEqual(fine);
    // A beginning of at most 4 has an end within 10 in all these patterns.
    for (const text of all) if (text.length <= 4) expect([text, automaton.read(automaton.start, encoder.encode(text)) !== dead]).toEqual([text, fine.some((whole) => whole.startsWith(text))]);
  });

  it('reads JSON as the slow matcher does', () => {
    const random = randomSource(11);
    for (const schema of [{}, { type: 'string', minLength: 2, maxLength: 5 }, { type: 'array', items: { type: 'string', maxLength: 3 }, minItems: 2, maxItems: 4 }, { type: 'object', properties: { a: { type: 'integer', minimum: -5, maximum: 120 }, b: { type: 'array' } }, required: ['b'] },
      { type: 'object', properties: { kids: { type: 'array', items: { $ref: '#' }, maxItems: 2 } } }, { type: 'number', minimum: -2.25, exclusiveMaximum: 1.5 }]) {
      const grammar = schemaGrammar(schema), automaton = automatonOf(grammar);
      for (let i = 0; i < 40; i++) {
        const text = randomText(grammar, random, 60);
        expect([schema, String.fromCharCode(...text), verdict(automaton, text)]).toEqual([schema, String.fromCharCode(...text), true]);
        const other = Uint8Array.from(text);
        other[Math.floor(random() * other.length)] = [0x22, 0x2c, 0x20, 0x31, 0x5d, 0xc3][Math.floor(random() * 6)] ?? 0;
        for (const changed of [other, text.slice(0, -1), Uint8Array.from([...text, 0x20]), text.filter((_, at) => at !== i)]) expect([schema, String.fromCharCode(...changed), verdict(automaton, changed)]).toEqual([schema, String.fromCharCode(...changed), matches(grammar, changed)]);
      }
    }
  });

  it('marks by states without far limits what it reads byte by byte', () => {
    const random = randomSource(5);
    const letters = 'ab"ab, é\\:[]{}1';
    const tokens = new Map(Array.from({ length: 600 }, (_, id) => [id, encoder.encode(Array.from({ length: 1 + Math.floor(random() ** 3 * 22) }, () => letters[Math.floor(random() * (random() < 0.7 ? 2 : letters.length))]).join(''))] as const));
    const trie = tokenTrie(tokens);
    expect([...trie.ids].sort((a, b) => a - b)).toEqual([...tokens.keys()]);
    for (const grammar of [
      grammarOf({ regex: '[ab]{1,40}' }), grammarOf({ regex: '(?:a{1,3}b){5,20}' }), grammarOf({ regex: '[ab]{5,30}[b ]{2,30}' }), grammarOf({ regex: '(?:(?:ab){0,9}a?){2,30}' }), grammarOf({ regex: '(?:.{3}){4,12}' }),
      schemaGrammar({ type: 'string', minLength: 25, maxLength: 50 }), schemaGrammar({ type: 'array', items: { type: 'string', maxLength: 6 }, minItems: 5, maxItems: 9 }), schemaGrammar({}),
    ]) {
      const automaton = automatonOf(grammar);
      for (let round = 0; round < 4; round++) {
        for (let state = automaton.start, step = 0; step < 60; step++) {
          const mask = new Int32Array(19);
          const similar = automaton.similar(state, trie.longest);
          markAllowed(trie, automaton, similar, mask);
          const allowed = [...tokens].filter(([, bytes]) => automaton.read(state, bytes) !== dead).map(([id]) => id);
          expect([...tokens.keys()].filter((id) => has(mask, id))).toEqual(allowed);
          expect(automaton.mayEnd(similar)).toBe(automaton.mayEnd(state));
          if (allowed.length === 0) break;
          state = automaton.read(state, tokens.get(allowed[Math.floor(random() * allowed.length)] ?? 0) ?? []);
        }
      }
    }
  });

  it('does not grow with limits, nor with places of a text that go on alike', () => {
    let made = 0;
    const grammar = prune(countable(schemaGrammar({ type: 'string', maxLength: 1e9 }))) ?? new Map();
    const automaton = new Automaton(grammar, () => { made++; });
    expect(verdict(automaton, encoder.encode(`"${'x'.repeat(1000)}"`))).toBe(true);
    const at = (n: number): number => automaton.similar(automaton.read(automaton.start, encoder.encode(`"${'é'.repeat(n)}`)), 16);
    expect(at(999)).toBe(at(10));
    expect(made).toBeLessThan(4000);
  });
});

describe('limits of a text', () => {
  it.each(['nano-gpt', 'nano-llama', 'nano-deepseek'])('are held to exactly, token by token, with the vocabulary of %s', async (name) => {
    const model = await loadModel({ path: name, device: 'cpu', threads: 1 });
    try {
      const tokenizer = await model.tokenizer();
      const outputs = 1024, eos = tokenizer.special.eos;
      const decoder = new TextDecoder();
      const written = Array.from({ length: outputs }, (_, id) => (eos.includes(id) ? undefined : tokenizer.bytesOf(id)));
      const asText = written.map((bytes) => (bytes && bytes.every((b) => b < 128) ? decoder.decode(bytes) : undefined));
      const random = randomSource(9);
      // Texts of which each beginning is one: what a token may be is what the pattern says of the text with it.
      for (const [pattern, prefix] of [['[a-z ]{1,200}', '[a-z ]{0,200}'], ['(?:[a-z]{1,9} ){1,12}', '(?:[a-z]{1,9} ){0,11}(?:[a-z]{0,9}|[a-z]{1,9} )'], ['"[ -!#-\\[\\]-~]{3,60}"', '|"[ -!#-\\[\\]-~]{0,60}|"[ -!#-\\[\\]-~]{3,60}"']] as const) {
        // `kept: 0` makes everything again for each token.
        for (const engine of [new ConstraintEngine(tokenizer, outputs), new ConstraintEngine(tokenizer, outputs, { kept: 0 })]) {
          const [may, done] = [new RegExp(`^(?:${prefix})$`), new RegExp(`^(?:${pattern})$`)];
          const constraint = engine.constraint({ regex: pattern });
          for (let round = 0; round < 2; round++) {
            constraint.begin?.();
            let text = '';
            for (;;) {
              const { mask, complete } = await constraint.next();
              const allowed = asText.flatMap((token, id) => (token !== undefined && token !== '' && may.test(text + token) ? [id] : []));
              expect([text, asText.flatMap((token, id) => (token !== undefined && has(mask as Int32Array, id) ? [id] : []))]).toEqual([text, allowed]);
              expect([text, complete, has(mask as Int32Array, eos[0] ?? -1)]).toEqual([text, allowed.length === 0, done.test(text)]);
              if (allowed.length === 0) break;
              // Once the longest text there is, once any.
              const open = allowed.filter((id) => !/"$/.test(asText[id] ?? '') || text === '');
              const from = round === 0 && open.length > 0 ? open : allowed;
              const id = from[Math.floor(random() * from.length)] ?? 0;
              constraint.accept(id);
              text += asText[id] ?? '';
            }
            expect(done.test(text)).toBe(true);
            if (round === 0 && pattern.startsWith('[a-z ]')) expect(text).toHaveLength(200);
            if (round === 0 && pattern.startsWith('"')) expect(text).toHaveLength(62);
          }
          constraint.dispose();
        }
      }
    } finally {
      await model.dispose();
    }
  });
});
