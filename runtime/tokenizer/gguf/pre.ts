/**
 * The values of `tokenizer.ggml.pre`: how a byte-level vocabulary cuts text into words, and what else the value says. Names and flags as
 * llama.cpp has them; the cuts and normalisers are those of the models' own tokenizer.json, which llama.cpp's patterns stand for.
 */
import { blanks, contraction, gpt2Pattern, isolate, wordPattern, type Component } from '../word-patterns.ts';

export interface PreTokenizer {
  readonly cut: readonly Component[];
  /** A word that is in the vocabulary as a whole is that token, whatever the merges say. */
  readonly ignoreMerges?: boolean;
  /** The begin token stands before a text where the file does not say otherwise. */
  readonly addBegin?: boolean;
  /** The separator stands after a text. */
  readonly addSeparator?: boolean;
  readonly normalize?: 'NFC';
}

const upper = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const lower = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';
/** Words cut where small letters turn into capitals. */
const casedPattern = (contractions: string, digits: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?[${upper}]*[${lower}]+${contractions}|[^\\r\\n\\p{L}\\p{N}]?[${upper}]+[${lower}]*${contractions}|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${blanks}`;

/** Letters that have case, as far as DeepSeek's first tokenizer lists them. */
const casedLetters = 'A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ\u1f5f-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌ\u1fd0-\u1fd3\u1fd6-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃';
/** `\s+$` of the model's file, tried at the first space of a run only: where that fails, so do the others. */
const trailingSpace = isolate('(?<!\\s)\\s+$');
const cjk = isolate('[一-龥\u0800-一가-\ud7ff]+');
const deepseekWords = (rest: string): string =>
  `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${rest}`;

const gpt2: PreTokenizer = { cut: [isolate(gpt2Pattern)] };
const nfcGpt2: PreTokenizer = { ...gpt2, normalize: 'NFC' };
const digitsGpt2: PreTokenizer = { cut: [isolate('\\p{N}'), isolate(gpt2Pattern)] };
const llama3: PreTokenizer = { cut: [isolate(wordPattern('{1,3}'))] };
const qwen2: PreTokenizer = { cut: [isolate(wordPattern(''))] };
const nfcQwen2: PreTokenizer = { ...qwen2, normalize: 'NFC' };
const deepseek3: PreTokenizer = { cut: [isolate('\\p{N}{1,3}'), isolate('[一-龥\u3040-ゟ゠-ヿ]+'), isolate(deepseekWords(blanks))] };
const gpt4o: PreTokenizer = { cut: [isolate(casedPattern(`${contraction}?`, '{1,3}'))] };
const bloom: PreTokenizer = { cut: [isolate(' ?[^(\\s|.,!?…。，、।۔،)]+')] };
const bailing: PreTokenizer = { cut: [isolate("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+")] };
/** Falcon cuts digits in threes after its bytes have been written as characters. */
const falcon: PreTokenizer = {
  cut: [
    { type: 'Punctuation', behavior: 'Contiguous' }, { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    { type: 'Digits', individual_digits: false }, isolate('[0-9][0-9][0-9]'),
  ],
};
const shortBlanks = ['{512}', '{256}', '{128}', '{64}', '{32}', '{16}', '{8}', '{4}', '{1,2}'].map((count) => `\\s${count}(?!\\S)`).join('|');

const groups: readonly (readonly [PreTokenizer, ...string[]])[] = [
  // What llama.cpp takes where a file names none: made for old files, right for none in particular.
  [{ cut: [isolate('[\\p{P}\\$\\+<=>\\^~\\|]+'), isolate(gpt2Pattern), isolate('\\p{N}+'), isolate('[0-9][0-9][0-9]')] }, 'default'],
  [{ ...llama3, ignoreMerges: true, addBegin: true }, 'llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2', 'jina-v5-nano'],
  [llama3, 'dbrx', 'smaug-bpe', 'chatglm-bpe', 'glm4'],
  [gpt2, 'gpt-2', 'phi-2', 'jina-es', 'jina-de', 'jina-v2-es', 'jina-v2-de', 'gigachat', 'a.x-4.0', 'mellum', 'modern-bert', 'jais', 'trillion', 'granite-docling', 'exaone4'],
  [nfcGpt2, 'olmo', 'mpt'],
  [{ ...gpt2, addSeparator: true }, 'jina-v1-en', 'jina-v2-code', 'roberta-bpe'],
  [digitsGpt2, 'smollm', 'starcoder', 'refact', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'],
  [{ ...digitsGpt2, normalize: 'NFC' }, 'command-r'],
  [nfcQwen2, 'qwen2', 'deepseek-r1-qwen', 'kormo', 'f2llmv2', 'stablelm2', 'megrez'],
  [qwen2, 'hunyuan', 'solar-open', 'grok-2'],
  [{ cut: [isolate(`${contraction}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${blanks}`)], normalize: 'NFC' }, 'qwen35'],
  [{ cut: [isolate(`[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${blanks}`)] }, 'ufakzeka'],
  [{ cut: [isolate('[^\\n]+|[\\n]+'), ...qwen2.cut] }, 'laguna'],
  [{ cut: [isolate(`${contraction}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${blanks}`)] }, 'seed-coder'],
  [{ cut: [isolate('\\p{N}{1,3}'), isolate(wordPattern('+'))], ignoreMerges: true }, 'minicpm5'],
  [{ cut: [isolate(wordPattern('{1,3}', `\\s*[\\r\\n]+|${shortBlanks}|\\s{1}`))] }, 'jais-2'],
  [{ cut: [isolate(`${contraction}|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`)] }, 'exaone-moe'],
  [gpt4o, 'gpt-4o', 'llama4', 'kanana2', 'talkie', 'minimax-m2'],
  [{ ...gpt4o, ignoreMerges: true }, 'granite-embed-multi-97m'],
  [{ cut: [isolate('\\d{1,3}(?=(?:\\d{3})*\\b)'), ...gpt4o.cut] }, 'tiny_aya', 'cohere2moe'],
  [{ cut: [isolate(casedPattern('', ''))], ignoreMerges: true, addBegin: true }, 'tekken'],
  [deepseek3, 'deepseek-v3', 'hunyuan-dense', 'joyai-llm', 'hy_v4'],
  [{ cut: [...deepseek3.cut.slice(0, 2), isolate(deepseekWords('[\\r\\n]|\\s+(?!\\S)|\\s+').replace('[\\r\\n]*', '')), isolate('\\p{N}')] }, 'spark2_5'],
  [{ cut: [isolate('[\\r\\n]'), isolate(`\\s?[${casedLetters}]+`), isolate('\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+'), trailingSpace, cjk, isolate('\\p{N}+')] }, 'deepseek-llm'],
  [{ cut: [isolate('[\\r\\n]'), isolate('\\s?\\p{L}+'), isolate('\\s?\\p{P}+'), cjk, isolate('\\p{N}')] }, 'deepseek-coder'],
  [falcon, 'falcon'],
  [bloom, 'bloom', 'poro-chat', 'gpt3-finnish'],
  [{ cut: [...bloom.cut, isolate('\\p{N}')] }, 'viking'],
  [bailing, 'bailingmoe', 'bailingmoe2', 'llada-moe'],
  [{ cut: [isolate('\\p{N}+'), isolate('(?=(\\d{3})+(?!\\d))')] }, 'superbpe'],
  [{
    cut: [isolate('<sentinel:[0-9]+>'), isolate('(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z'), isolate('([\\t\\n]|    |  )'), isolate('\\p{N}'), isolate('[\\p{P}!-/:-@\\[-`{-~]'), isolate(gpt2Pattern)],
    addBegin: true,
  }, 'chameleon'],
];

/** Every known value of `tokenizer.ggml.pre`. */
export function preTokenizers(): ReadonlyMap<string, PreTokenizer> {
  return new Map(groups.flatMap(([pre, ...names]) => names.map((name): [string, PreTokenizer] => [name, pre])));
}
