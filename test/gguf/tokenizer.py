"""A folder's tokenizer.json as the metadata that llama.cpp's converter writes for it. A folder without one is a model without a vocabulary."""
import base64
import json

import gguf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def add_tokenizer(w, folder, pre):
    file = folder / 'tokenizer.json'
    if not file.is_file():
        w.add_tokenizer_model('none')
        return
    spec = json.loads(file.read_text())
    extra = folder / 'tokenizer_config.json'
    config = json.loads(extra.read_text()) if extra.is_file() else {}
    model = spec['model']
    added = {token['id']: token for token in spec.get('added_tokens', [])}
    kind = model.get('type', 'BPE')
    if kind == 'BPE' and model.get('byte_fallback'):
        sentencepiece(w, model, added, spec)
    elif kind == 'BPE':
        byte_pairs(w, model, added, pre)
    elif kind == 'WordPiece':
        wordpiece(w, model, added)
    elif kind == 'Unigram':
        unigram(w, model, added, spec)
    else:
        raise ValueError(f'{file}: tokenizers of type {kind} have no form in GGUF')
    special_ids(w, config, {token: index for index, token in enumerate(tokens_of(model, added))}, spec)
    template = config.get('chat_template')
    jinja = folder / 'chat_template.jinja'
    if template is None and jinja.is_file():
        template = jinja.read_text()
    if template is not None:
        w.add_chat_template(template)


def tokens_of(model, added):
    """Texts by id, with names for ids that no token has."""
    vocab = model['vocab']
    named = {index: token for token, index in vocab.items()} if isinstance(vocab, dict) else {index: token for index, (token, _) in enumerate(vocab)}
    named.update({index: token['content'] for index, token in added.items()})
    return [named.get(index, f'[PAD{index}]') for index in range(max(named) + 1)]


def kind_of(index, token, added):
    if token == f'[PAD{index}]':
        return UNUSED
    if index in added:
        return CONTROL if added[index].get('special') else USER_DEFINED
    return NORMAL


def byte_pairs(w, model, added, pre):
    tokens = tokens_of(model, added)
    w.add_tokenizer_model('gpt2')
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types([kind_of(index, token, added) for index, token in enumerate(tokens)])
    w.add_token_merges([merge if isinstance(merge, str) else ' '.join(merge) for merge in model['merges']])


def steps(part):
    """A normalizer or pre-tokenizer as the list of what it does."""
    if not part:
        return []
    inner = part.get('normalizers') or part.get('pretokenizers')
    return [step for one in inner for step in steps(one)] if inner else [part]


def prefixes_space(spec):
    return any(step['type'] == 'Prepend' for step in steps(spec.get('normalizer'))) or any(
        step['type'] == 'Metaspace' and step.get('prepend_scheme', 'always' if step.get('add_prefix_space', True) else 'never') != 'never'
        for step in steps(spec.get('pre_tokenizer')))


def sentencepiece(w, model, added, spec):
    """Merges are implied by scores: the earlier a merge, the higher its result's."""
    tokens = tokens_of(model, added)
    rank = {}
    for index, merge in enumerate(model['merges']):
        left, right = merge.split(' ') if isinstance(merge, str) else merge
        rank.setdefault(left + right, index)
    types, scores = [], []
    for index, token in enumerate(tokens):
        if token == model.get('unk_token'):
            types.append(UNKNOWN)
        elif len(token) == 6 and token.startswith('<0x'):
            types.append(BYTE)
        else:
            types.append(kind_of(index, token, added))
        scores.append(float(-rank[token]) if token in rank else (0.0 if types[-1] in (UNKNOWN, CONTROL, BYTE) else float(-len(rank) - index)))
    w.add_tokenizer_model('llama')
    w.add_tokenizer_pre('default')
    w.add_token_list(tokens)
    w.add_token_scores(scores)
    w.add_token_types(types)
    w.add_add_space_prefix(prefixes_space(spec))


def wordpiece(w, model, added):
    """Pieces that begin a word get the mark of a space, and those inside one lose theirs."""
    tokens = tokens_of(model, added)
    types = [kind_of(index, token, added) for index, token in enumerate(tokens)]
    prefix = model.get('continuing_subword_prefix', '##')
    marked = [token if kind == CONTROL else token[len(prefix):] if token.startswith(prefix) else '\u2581' + token for token, kind in zip(tokens, types)]
    w.add_tokenizer_model('bert')
    w.add_tokenizer_pre('default')
    w.add_token_list(marked)
    w.add_token_types(types)


def unigram(w, model, added, spec):
    tokens = tokens_of(model, added)
    scores = [score for _, score in model['vocab']] + [-10000.0] * (len(tokens) - len(model['vocab']))
    types = [UNKNOWN if index == model.get('unk_id') else BYTE if len(token) == 6 and token.startswith('<0x') else kind_of(index, token, added)
             for index, token in enumerate(tokens)]
    w.add_tokenizer_model('t5')
    w.add_tokenizer_pre('default')
    w.add_token_list(tokens)
    w.add_token_scores(scores)
    w.add_token_types(types)
    w.add_add_space_prefix(prefixes_space(spec))
    w.add_remove_extra_whitespaces(any('{2,}' in json.dumps(step) for step in steps(spec.get('normalizer'))))
    for part in steps(spec.get('normalizer')):
        if part.get('precompiled_charsmap'):
            w.add_precompiled_charsmap(base64.b64decode(part['precompiled_charsmap']))


def special_ids(w, config, ids, spec):
    adders = {'bos': w.add_bos_token_id, 'eos': w.add_eos_token_id, 'unk': w.add_unk_token_id, 'sep': w.add_sep_token_id,
              'pad': w.add_pad_token_id, 'cls': None, 'mask': w.add_mask_token_id}
    for name, add in adders.items():
        token = config.get(f'{name}_token')
        text = token.get('content') if isinstance(token, dict) else token
        if add and text in ids:
            add(ids[text])
    template = json.dumps(spec.get('post_processor') or {})
    if config.get('add_bos_token') is not None:
        w.add_add_bos_token(bool(config['add_bos_token']))
    elif isinstance(config.get('bos_token'), str) and f'"{config["bos_token"]}"' in template:
        w.add_add_bos_token(True)
    if config.get('add_eos_token') is not None:
        w.add_add_eos_token(bool(config['add_eos_token']))
    elif isinstance(config.get('eos_token'), str):
        # Some kinds end every text with it where a file says nothing.
        w.add_add_eos_token(f'"{config["eos_token"]}"' in template)
