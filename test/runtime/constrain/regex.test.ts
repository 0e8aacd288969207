import { describe, expect, it } from 'vitest';
import { allCharacters, charactersOf, jsonCharacter, plainCharacters, utf8 } from '../../../runtime/constrain/code-points.ts';
import { regexGrammar } from '../../../runtime/constrain/regex.ts';
import { problemOf, matches } from './match.ts';


describe('a regular expression as a grammar', () => {
  const patterns = ['abc', 'a|bc|', 'a*b+c?', '(?:ab){2,3}', '(a|b)*c', '[a-c]x', '[^a-c]', '.', '..', '\\d{2}-\\d', '\\w+\\s\\W', '\\S\\D', '[à-ÿ]', '[\\u0000-\\uffff]', '\\p{L}+', '\\P{Lu}', '😀{2}', '[😀-😂]', '\\u{1F600}',
    '\\x41\\u0042\\cA', '[\\b]', '\\.\\/\\^', '^ab$', '^(?:a|b$)', '(^a|b)c', 'a{0}b', 'a??b*?', '(?<name>x)y', '[.$^]', '', 'a{2,}', '[\\s\\S]', '[\\w\\-é]', '(a*)*', '\\ud83d\\ude00', '\\t\\n'];
  const texts = ['', 'a', 'b', 'ab', 'abc', 'bc', 'aab', 'abab', 'ababab', 'abababab', 'aabbc', 'c', 'ax', 'dx', 'ac', 'é', 'ÿ', 'éé', '€', '😀', '😀😀', '😁', '\n', 'a\n', '12-3', 'ab -', 'ab', 'é1', 'xy', 'AB\u0001', '\b', './^', 'aaaa', '日本', 'A', '-', '$', '\u2028', 'abb', 'bb', '\t\n'];
  it.each(patterns)('%j matches what JavaScript says', (pattern) => {
    const regex = new RegExp(`^(?:${pattern})$`, 'u');
    const grammar = new Map([['root', regexGrammar(pattern, '/regex', utf8)]]);
    for (const text of texts) expect([text, matches(grammar, new TextEncoder().encode(text))]).toEqual([text, regex.test(text)]);
  });
  it('knows the characters of usual classes without asking V8', () => {
    const all = allCharacters();
    for (const source of ['[a-z]', '[^a-z]', '[-a]', '[a-]', '[a-c-e]', '[\\w.-]', '[^\\d\\s]', '\\s', '\\S', '\\W', '\\D', '\\n', '\\.', '[\\x20-\\x7e]', '[\\u0000-\\uffff]', '[é-ÿ😀-😂]', '[\\u{1F600}-\\u{1F64F}]', '[\\]\\[^]', '[$^.a-cb-dd]', '[\\t-\\r]', '[]', '[^]']) {
      expect([source, plainCharacters(source)]).toEqual([source, charactersOf(source, all)]);
    }
    for (const source of ['\\p{L}', '[\\b]', '[\\cA]', '[\\ud83d\\ude00]', '[\\p{Lu}a]']) expect([source, plainCharacters(source)]).toEqual([source, undefined]);
  });
  it('writes characters in JSON as JSON does', () => {
    const grammar = new Map([['root', regexGrammar('["\\\\\\u0000-\\u001f]|a|é|😀', '/p', jsonCharacter)]]);
    for (const c of ['"', '\\', '\n', '\u0001', 'a', 'é', '😀']) expect([c, matches(grammar, new TextEncoder().encode(JSON.stringify(c).slice(1, -1)))]).toEqual([c, true]);
    expect(matches(grammar, new TextEncoder().encode('\n'))).toBe(false);
  });
  it('never lets bytes through that are no UTF-8', () => {
    const any = new Map([['root', regexGrammar('[\\s\\S]', '/p', utf8)]]);
    for (const wrong of [[0x80], [0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff]]) expect(matches(any, Uint8Array.from(wrong))).toBe(false);
    for (let c = 0; c <= 0x10ffff; c += 997) if (c < 0xd800 || c > 0xdfff) expect(matches(any, new TextEncoder().encode(String.fromCodePoint(c)))).toBe(true);
  });
  it.each([
    ['(?=a)b', /lookaround at character 1/], ['a(?<!b)', /lookaround at character 2/], ['(a)\\1', /back reference at character 4/], ['(?<n>a)\\k<n>', /back reference/], ['\\bfoo', /word border at character 1/],
    ['a^b', /\^ after text/], ['(?:a$)b', /\$ before more text/], ['a$b', /\$ before more text at character 2/], ['(a', /is no regular expression: .*Unterminated group/], ['[z-a]', /Range out of order/], ['a**', /Nothing to repeat/], ['\\-', /Invalid escape/],
    ['[]', /no character matches/], ['x'.repeat(10_001), /has 10001 characters, at most 10000/], ['('.repeat(300) + ')'.repeat(300), /nested more than 200/],
  ])('refuses %.20j', (pattern, message) => {
    expect(problemOf(() => regexGrammar(pattern, '/regex', utf8))).toMatch(message);
  });
});
