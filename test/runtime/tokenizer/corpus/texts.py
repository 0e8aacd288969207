"""Hard strings for tokenizers: every script, emoji, controls, spaces, long words, digits, code, special tokens as text."""
import random

SCRIPTS = """
The quick brown fox jumps over the lazy dog.
Fix, Schwyz! quäkt Jürgen blöd vom Paß — STRASSE straße ẞ
Portez ce vieux whisky au juge blond qui fume; œuvre, à l'été, où, ça
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia ¿Sí? ¡No!
Pchnąć w tę łódź jeża lub ośm skrzyń fig
Příliš žluťoučký kůň úpěl ďábelské ódy
İstanbul'da ışık, Iğdır'ın çiçeği
Tiếng Việt có dấu: Cửa Việt, Thừa Thiên
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ΟΔΥΣΣΕΥΣ ΣΟΦΟΣ σοφός
Съешь же ещё этих мягких французских булок, да выпей чаю
Ґанок їжак щука є; ћуприја љубав њива џак
შეჰყვარებულ Ⴀ Მხედრული ქართული
Հայերեն լեզու ԵՐԵՎԱՆ
עטלף אבק נס דרך מזגן שהתפוצץ כי חם, שָׁלוֹם
نص حكيم له سر قاطع وذو شأن عظيم، مَرْحَبًا ٠١٢٣٤٥٦٧٨٩
فارسی: پژوهش‌گران می‌گویند ۱۲۳۴
اردو زبان میں ٹیکسٹ
ܫܠܡܐ ܥܠܡܐ
ދިވެހިބަސް
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश क्षत्रिय १२३
বাংলা ভাষা: আমার সোনার বাংলা ক্ষ ৪৫৬
ਪੰਜਾਬੀ ਗੁਰਮੁਖੀ
ગુજરાતી ભાષા
ଓଡ଼ିଆ ଭାଷା
தமிழ் மொழி யாமறிந்த மொழிகளிலே க்ஷ ௧௨௩
తెలుగు భాష శ్రీ
ಕನ್ನಡ ಭಾಷೆ ಕ್ಷಮೆ
മലയാളം ഭാഷ ക്ഷ ൻ ർ
සිංහල භාෂාව ශ්‍රී
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์ ๑๒๓
ພາສາລາວ ສະບາຍດີ
བོད་སྐད་ བཀྲ་ཤིས་བདེ་ལེགས།
မြန်မာဘာသာ ယူနီကုဒ်
ភាសាខ្មែរ សួស្តី
አማርኛ ሰላም ለዓለም
ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ
ᐃᓄᒃᑎᑐᑦ
ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ
いろはにほへと ちりぬるを カタカナ ﾊﾝｶｸ がぎぐ パピプ 日本語の文章です。
我能吞下玻璃而不傷身體。简体中文，繁體中文；「引號」《书名》
𠀋𡈽𠮟𩸽 𪚥 㐂㐃 豈更車
다람쥐 헌 쳇바퀴에 타고파 한국어 ᄒᆞᆫ글 ㄱㄴㄷ
𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝕊𝕥𝕣𝕚𝕟𝕘 ℝℂ ℵ₀ ½ ¾ ² ³ ⅷ Ⅻ ① ⑳ ㊙ ㌔ ﬁ ﬂ ﬃ
𓀀𓂀 𒀀𒁀 𐎀 𐤀 𐌰𐌱 ᚠᚢᚦ
꧁ꦲꦏ꧂ ᬅᬓ ⴰⵣⵓⵍ ꓡꓲ ߒߞߏ
ﷺ ﷽ ﻻ ﺍﻟﻌﺮﺑﻴﺔ
e\u0301 é E\u0301\u0302 ñ n\u0303 Å Å A\u030a q\u0307\u0323 q\u0323\u0307 가 가
Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034dA\u036b\u0357\u0334\u0362\u0335\u031c\u0330\u0354L\u0368\u0367\u0369\u0358\u0320G\u0311\u0357\u030e\u0305\u035b\u0341\u0334\u033b\u0348\u034d\u0354\u0339O\u0342
""".strip().split('\n')

EMOJI = ['😀😃😄', '👍🏽 👩🏿‍💻 👨‍👩‍👧‍👦', '🏳️‍🌈🏴‍☠️', '🇩🇪🇫🇷🇯🇵🇩', '🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f', '☺️ ☺︎ ❤️‍🔥', '1️⃣#️⃣*️⃣', '🫠🫡🪿🩷', 'a😀b 😀c', '🤷🏻‍♀️.', '©®™ ♥ ★☆ ♫', '→⇒∀∃∑∏∫√≤≥≠≈∞', '─│┌┐└┘█▓▒░', '¯\\_(ツ)_/¯ ( ͡° ͜ʖ ͡°) ʕ•ᴥ•ʔ']

CONTROLS = [
    '\x00', 'a\x00b', '\x01\x02\x03\x1b[31mred\x1b[0m', '\x7f\x80\x85\x9f', 'bell\x07 backspace\x08 formfeed\x0c vertical\x0b', '\ufeffBOM', 'in\ufeffside', '\u200b\u200c\u200d\u2060',
    'soft\xadhyphen', '\u202eright to left\u202c', '\u2028line\u2029paragraph', '\ufffd\ufffd', '\ufdd0\uffff', '\ue000\uf8ff private', '\U000f0000\U0010ffff', '\u0378\u0379 unassigned', 'x\u180ey', '\x1c\x1d\x1e\x1f',
]

SPACES = [
    ' ', '  ', '   ', '\n', '\n\n', '\n\n\n', '\t', '\t\t', '\r\n', '\r\n\r\n', '\r', ' \n', '\n ', ' \n \n ', '\t \n', ' a', '  a', '   a', 'a ', 'a  ', 'a   ', '    a    ', 'a\n', '\na', 'a\n\nb', 'a\n \nb', 'a \n b',
    'a  b   c    d', 'a\tb\t\tc', '\xa0', 'a\xa0b', 'a\xa0\xa0b', '\u2003em\u2003space', '\u3000全角\u3000空白', '\u2009\u202f\u205f', ' \u200b ', '\x85next', 'tabs\t\tand  spaces \t mixed \n\t here', ' ' * 15 + 'x', ' ' * 16, ' ' * 17 + '\n', '\n' * 20,
    ' ' * 100, '\t' * 33, 'x' + ' ' * 63 + 'y', '▁', ' ▁ ', '▁▁a', 'a▁b', '▁a b',
]

WORDS = ['a' * 100, 'ab' * 300, 'a' * 1000, 'supercalifragilisticexpialidocious' * 20, 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft', 'Pneumonoultramicroscopicsilicovolcanoconiosis', '漢字' * 100, 'ขอ' * 80, '😀' * 50, '=' * 200, '-' * 81, '.' * 130, '!?' * 40, '_' * 77, 'é' * 99, 'ÿ\u0301' * 40, 'lowerUPPERCamelCase' * 12]

DIGITS = ['0', '1', '12', '123', '1234', '12345', '123456', '1234567', '12345678901234567890', '3.14159265358979', '1,234,567.89', '-42', '+1 (555) 123-4567', '0x1F 0b101 0o17 1e-9 1E+10', '2024-01-31T23:59:59Z', '½ ⅓ ²³ ₁₂', '٣٤٥ १२३ ๔๕๖ 四五六 ⅣⅤ', 'a1b2c3', '1 2 3', ' 1  22   333', '10%', '$19.99 €5 £7 ¥9', 'v1.2.3-rc.4+build.5', '192.168.0.1:8080', '1' * 50, '007 0007 00007', '1\n2\n3']

ENGLISH = ["I'm, you're, he's, we've, they'll, she'd, don't, can't", "I'M YOU'RE HE'S WE'VE THEY'LL SHE'D DON'T", "'s 't 're 've 'm 'll 'd", "''s ' s 'S'T", "it’s don’t “quoted” ‘single’", 'Hello', ' Hello', 'Hello ', 'hello world', 'HELLO WORLD', 'HeLLo WoRLD', 'Hello, world! How are you? Fine.', 'e.g. i.e. etc. Mr. Smith vs. Dr. Jones', 'a . b , c ! d ? e', "do not n't 's", 'x', '', 'A', 'the the the', 'end of sentence.New sentence', 'http://example.com/path?query=1&x=%20#frag', 'user.name+tag@example.co.uk', '#hashtag @mention', 'C:\\Users\\name\\file.txt', '(a) [b] {c} <d>', '**bold** _it_ `code` ~~no~~', 'ſ Kelvin K Å \'ſ', 'ǅ ǈ ǋ ǲ ᾈ', 'ΑΣ ΑΣΑ', 'İI ıi']

CODE = [
    'def f(x):\n    return x + 1\n\n\nprint(f(2))\n', 'for (let i = 0; i < n; ++i) {\n\tconsole.log(`${i}`);\n}\n', '#include <stdio.h>\nint main(void) { return 0; }\n', '<div class="a">\n  <p>Text &amp; more</p>\n</div>', 'SELECT * FROM t WHERE a = \'b\' -- comment\n',
    '{"a": [1, 2.5, null, true], "b": {"c": "d\\n"}}', "regex = r'^\\s*(?P<name>[A-Za-z_]\\w*)\\s*=\\s*(.+)$'", '$$\\sum_{i=1}^{n} x_i^2 \\leq \\frac{1}{2}$$', '```python\nx = 1\n```', '\\u00e9 \\x41 \\n', 'if(a&&b||!c){x<<=2;y>>>=3;}', '//comment/**/', "a='b';c=\"d\"", '        deep\n            deeper\n', '\tif x:\n\t\ty()\n', 'λ x → x ∘ f', '|a|b|\n|-|-|\n|1|2|', 'x_1, y__2, __init__, _z', 'HTTPServerError2XMLParser',
]

SPECIAL = ['<s>', '</s>', '<unk>', '<pad>', '<s>Hello</s>', 'a <s> b', '<|endoftext|>', 'x<|endoftext|>y', '<|im_start|>user\nhi<|im_end|>\n', '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>', '<start_of_turn>user\nhi<end_of_turn>\n', '<bos><eos>', '<｜begin▁of▁sentence｜><｜User｜>hi<｜Assistant｜>', '<|start|>user<|message|>hi<|end|>', '[CLS] a [SEP] [MASK] [UNK] [PAD]', '[INST] hi [/INST]', '<0x0A>', '<0xE2><0x82>', '<think>\nhm\n</think>', '<tool_call>{}</tool_call>', '<|', '|>', '<| im_start |>', '<s', 's>', '< s >', '<S>', ' <s>', '<s> ', '</s></s>', '<|im_end|><|im_end|>', '<unused7>', '<|reserved_special_token_5|>']


def fuzz(count=80):
    rng = random.Random(7)
    pool = list(SCRIPTS) + EMOJI + CODE + ENGLISH + DIGITS
    alphabets = [
        [chr(c) for c in range(32, 127)], [' ', '\n', '\t', '\r', 'a', 'b', '.', "'"], [chr(c) for c in range(0xa0, 0x250)], [chr(c) for c in range(0x300, 0x370)] + list('aeiou '),
        [chr(c) for c in range(0x2000, 0x2070)] + ['a', ' '], [chr(c) for c in range(0x3040, 0x30ff)] + list('漢字一二三。、'), list('😀👍🏽❤️‍🔥🇩🇪 ab'), list("0123456789 .,-½²٣"), list("'sStTrReEvVmMlLdD aA"), list(''.join(SCRIPTS)),
    ]
    texts = []
    for i in range(count):
        if i % 4 == 0:
            texts.append(''.join(s[(a := rng.randrange(len(s) or 1)):a + rng.randrange(1, 12)] for s in rng.sample(pool, 6)))
        else:
            texts.append(''.join(rng.choice(alphabets[i % len(alphabets)]) for _ in range(rng.randrange(1, 60))))
    return texts


def texts():
    groups = [SCRIPTS, EMOJI, CONTROLS, SPACES, WORDS, DIGITS, ENGLISH, CODE, SPECIAL, fuzz()]
    return list(dict.fromkeys(s for g in groups for s in g))


CHATS = [
    [{'role': 'user', 'content': 'What is the capital of France?'}],
    [{'role': 'system', 'content': 'You are terse.'}, {'role': 'user', 'content': 'Hi'}],
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello!'}, {'role': 'user', 'content': '  spaced \n\n'}],
    [{'role': 'system', 'content': ''}, {'role': 'user', 'content': ''}],
    [{'role': 'user', 'content': 'Grüße 👩🏿‍💻 日本語\n```js\nlet x = "{{ 1 }}";\n```'}, {'role': 'assistant', 'content': '<think>\nhm\n</think>\n\nYes.'}, {'role': 'user', 'content': 'Why?'}],
    [{'role': 'assistant', 'content': 'I begin.'}, {'role': 'user', 'content': 'Odd.'}],
    [{'role': 'user', 'content': 'one'}, {'role': 'user', 'content': 'two'}],
]
