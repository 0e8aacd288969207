import { describe, expect, it } from 'vitest';
import { cutter } from '../../../runtime/tokenizer/parts/cut.ts';
import { decoder } from '../../../runtime/tokenizer/parts/decode.ts';
import type { Fields } from '../../../runtime/tokenizer/parts/fields.ts';
import { frameOf } from '../../../runtime/tokenizer/parts/frame.ts';
import { normalizer } from '../../../runtime/tokenizer/parts/normalize.ts';
import { unzipped } from './corpus.ts';

interface Parts {
  readonly texts: readonly string[];
  readonly cut: readonly { readonly json: Fields; readonly words: readonly (readonly string[])[] }[];
  readonly normalize: readonly { readonly json: Fields; readonly texts: readonly string[] }[];
  readonly decode: readonly { readonly json: Fields; readonly tokens: readonly string[]; readonly text: string }[];
}
const parts = JSON.parse(unzipped('parts.json.gz').toString('utf8')) as Parts;
const named = <T extends { readonly json: Fields }>(list: readonly T[]): [string, T][] => list.map((entry) => [JSON.stringify(entry.json), entry]);

describe('components are those of the Rust library', () => {
  it.each(named(parts.cut))('cut: %s', (_, { json, words }) => {
    const cut = cutter(json);
    parts.texts.forEach((text, i) => { expect(cut(text, true).filter((word) => word !== ''), JSON.stringify(text)).toEqual(words[i]); });
  });
  it.each(named(parts.normalize))('normalise: %s', (_, { json, texts }) => {
    const normalize = normalizer(json);
    parts.texts.forEach((text, i) => { expect(normalize(text), JSON.stringify(text)).toBe(texts[i]); });
  });
  it('decode', () => {
    for (const { json, tokens, text } of parts.decode) expect(decoder(json)(tokens).join(''), `${JSON.stringify(json)} ${JSON.stringify(tokens)}`).toBe(text);
  });
});

describe('post-processors', () => {
  const ids: Readonly<Record<string, number>> = { '<s>': 1, '</s>': 2 };
  const frame = (json: Fields): unknown => frameOf(json, (token) => ids[token]);
  it('frame texts', () => {
    expect(frame({ type: 'BertProcessing', cls: ['<s>', 5], sep: ['</s>', 6] })).toEqual({ before: [5], after: [6] });
    expect(frame({ type: 'ByteLevel' })).toEqual({ before: [], after: [] });
    const template = { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], special_tokens: { '<s>': { id: '<s>', ids: [7, 8], tokens: ['a', 'b'] } } };
    expect(frame(template)).toEqual({ before: [7, 8], after: [] });
    expect(frame({ type: 'Sequence', processors: [{ type: 'RobertaProcessing', cls: ['<s>', 5], sep: ['</s>', 6] }, template] })).toEqual({ before: [7, 8, 5], after: [6] });
  });
  it('and other components that are not known are named', () => {
    expect(() => frame({ type: 'Other' })).toThrow("no post-processor 'Other'");
    expect(() => cutter({ type: 'UnicodeScripts' })).toThrow("no pre-tokenizer 'UnicodeScripts'");
    expect(() => normalizer({ type: 'Other' })).toThrow("no normalizer 'Other'");
    expect(() => decoder({ type: 'Other' })).toThrow("no decoder 'Other'");
    expect(() => cutter({ type: 'Split', pattern: {}, behavior: 'Isolated' })).toThrow('String or a Regex');
    expect(() => cutter({ type: 'Split', pattern: { String: 'a' }, behavior: 'Somehow' })).toThrow("no way to split 'Somehow'");
  });
});
