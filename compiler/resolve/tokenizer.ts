import type { InlineTokenizer, TokenizerSpec } from '../model.ts';
import { textList } from '../load.ts';
import type { SourceNode } from '../source.ts';
import type { Cursor } from './cursor.ts';

const KINDS = ['bpe', 'byte_bpe', 'sentencepiece_bpe', 'unigram', 'wordpiece'] as const;
const SPLITS = ['gpt2', 'llama3', 'qwen2', 'whitespace', 'digits_gpt2', 'bert', 'none'] as const;
const NORMALIZERS = ['nfc', 'nfd', 'nfkc', 'nfkd', 'lowercase', 'strip_accents'] as const;
const DEFAULT_SPLIT = { bpe: 'whitespace', byte_bpe: 'gpt2', sentencepiece_bpe: 'none', unigram: 'none', wordpiece: 'bert' } as const;

export function resolveTokenizer(field: Cursor, rows: number): TokenizerSpec {
  const kind = KINDS.find((candidate) => candidate === field.get('kind').text());
  if (kind === undefined) {
    const stray = field.entries().find(([key]) => key !== 'from' && key !== 'chat_template');
    if (stray) field.report('E801', `a tokenizer with \`${stray[0]}\` needs a \`kind\`: ${KINDS.join(', ')}`);
    return { from: 'model' };
  }
  if (field.get('from').present) field.report('E801', 'a tokenizer is either `from: model` or of a `kind`, not both');
  const vocab = resolveVocab(field.get('vocab'), kind);
  const tokens = new Set(vocab.map((entry) => entry.token));
  const merges = resolveMerges(field.get('merges'), kind, tokens);
  const special = field.get('special');
  for (const [, entry] of special.entries()) {
    for (const token of textList(entry.node)) {
      if (!tokens.has(token)) entry.report('E801', `the special token \`${token.slice(0, 60)}\` is not in the vocabulary`);
    }
  }
  const unknown = field.get('unknown').text();
  if (unknown !== undefined && !tokens.has(unknown)) field.get('unknown').report('E801', `the unknown token \`${unknown.slice(0, 60)}\` is not in the vocabulary`);
  if (unknown === undefined && (kind === 'wordpiece')) field.report('E801', 'a wordpiece tokenizer needs `unknown`, the token for words that it cannot spell');
  const byteFallback = flag(field.get('byte_fallback'), kind === 'sentencepiece_bpe');
  if (byteFallback && !tokens.has('<0x00>')) field.get('byte_fallback').report('E801', 'byte fallback needs the tokens <0x00> to <0xFF> in the vocabulary');
  const highest = vocab.reduce((most, entry) => Math.max(most, entry.id), -1);
  if (highest >= rows) field.get('vocab').report('E801', `the vocabulary has the id ${highest}, but the embedding has ${rows} rows`);
  const one = (key: 'begin' | 'pad' | 'separator' | 'class' | 'mask'): Partial<Record<typeof key, string>> => {
    const token = special.get(key).text();
    return token === undefined ? {} : { [key]: token };
  };
  const chatTemplate = field.get('chat_template').text();
  const normalize = textList(field.get('normalize').node).flatMap((name) => NORMALIZERS.find((candidate) => candidate === name) ?? []);
  return {
    from: 'spec', path: field.path, kind, vocab, merges, byteFallback, normalize,
    ...(unknown === undefined ? {} : { unknown }),
    split: SPLITS.find((candidate) => candidate === field.get('split').text()) ?? DEFAULT_SPLIT[kind],
    spacePrefix: flag(field.get('space_prefix'), kind === 'sentencepiece_bpe' || kind === 'unigram'),
    continuingPrefix: field.get('continuing_prefix').text() ?? '##',
    ignoreMerges: flag(field.get('ignore_merges'), false),
    special: { ...one('begin'), ...one('pad'), ...one('separator'), ...one('class'), ...one('mask'), end: textList(special.get('end').node), more: textList(special.get('more').node) },
    addBegin: flag(field.get('add_begin'), false),
    addEnd: flag(field.get('add_end'), false),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
}

function resolveVocab(field: Cursor, kind: InlineTokenizer['kind']): InlineTokenizer['vocab'] {
  if (!field.present) {
    field.report('E801', 'an inline tokenizer needs a `vocab`');
    return [];
  }
  const seen = new Map<string | number, string>();
  const entries: InlineTokenizer['vocab'][number][] = [];
  const add = (token: string, id: number, score: number): void => {
    if (seen.has(`t${token}`)) field.report('E801', `the token \`${token.slice(0, 60)}\` occurs twice in the vocabulary`);
    if (seen.has(id)) field.report('E801', `the tokens \`${seen.get(id) ?? ''}\` and \`${token.slice(0, 60)}\` share the id ${id}`);
    seen.set(`t${token}`, token).set(id, token);
    entries.push({ token, id, score });
  };
  if (field.node?.kind === 'map') {
    if (kind === 'unigram') field.report('E801', 'a unigram vocabulary is a list of [token, log probability]');
    for (const [token, entry] of field.node.entries) {
      if (entry.value.kind === 'scalar' && typeof entry.value.value === 'number') add(token, entry.value.value, 0);
    }
  } else if (field.node?.kind === 'list') {
    for (const [id, item] of field.node.items.entries()) {
      const pair = item.kind === 'list' ? item.items.map(scalar) : [scalar(item), kind === 'unigram' ? undefined : 0];
      const [token, score] = pair;
      if (pair.length === 2 && typeof token === 'string' && typeof score === 'number') add(token, id, score);
      else field.report('E801', `item ${id} of the vocabulary must be ${kind === 'unigram' ? '[token, log probability]' : 'a text (in quotes, if it looks like a number)'}`);
    }
  }
  return entries;
}

function scalar(node: SourceNode): unknown {
  return node.kind === 'scalar' ? node.value : undefined;
}

function resolveMerges(field: Cursor, kind: InlineTokenizer['kind'], tokens: ReadonlySet<string>): InlineTokenizer['merges'] {
  const usesMerges = kind === 'bpe' || kind === 'byte_bpe' || kind === 'sentencepiece_bpe';
  if (field.present && !usesMerges) field.report('E801', `a ${kind} tokenizer has no merges`);
  if (!field.present && usesMerges) field.report('E801', `a ${kind} tokenizer needs \`merges\` (an empty list, if it merges nothing)`);
  const merges: (readonly [string, string])[] = [];
  for (const item of field.items()) {
    const parts = item.node?.kind === 'list' ? textList(item.node) : (item.text() ?? '').split(' ');
    const [left, right] = parts;
    if (parts.length !== 2 || left === undefined || right === undefined || left === '' || right === '') item.report('E801', 'a merge is two tokens: `a b`, or [a, b]');
    else if (!tokens.has(left + right)) item.report('E801', `the merge makes \`${(left + right).slice(0, 60)}\`, which is not in the vocabulary`);
    else merges.push([left, right]);
  }
  return merges;
}

function flag(field: Cursor, fallback: boolean): boolean {
  return field.node?.kind === 'scalar' && typeof field.node.value === 'boolean' ? field.node.value : fallback;
}
