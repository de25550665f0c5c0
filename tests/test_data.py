"""What data.py promises, each promise against an oracle that shares no code with it.

- Byte pairs: the fast trainer learns what one that recounts everything learns; encoding loses no character.
- The mask: learned is every answer with its end token and nothing else; the rest is the published prompt.
- Seeded bugs: a wrong mask is stopped by `prepare` itself, a wrong shift or pad by the oracles here.
- Truncation: inputs become shorter, answers never.
- The loader: known formats become the right turns; a bad row is named by file:line, a bad file in one line.
- Batches: every token and every row is read, in the promised order.
"""

import gzip
import json
import random
import re
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import pytest
import torch

import data
from data import Row, Tokenizer, encode_example, encode_prompt, load_rows, prepare, shift, train_bpe
from model import IGNORE, UserError

SHARED = Path(__file__).parents[2] / "shared" / "data"
BOM = b"\xef\xbb\xbf"
HEADER = "### Response:\n"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # three emoji held together by zero width joiners

PROSE = """### Instruction:
Name the capital of France.

### Input:
A map.

### Response:
The capital is Paris.

the cat sat on the mat, the rat ran



한국의 수도는 서울이다. 한국어 😀😀 café 1234 aaaa <|endoftext|>
"""
TRAINING_TEXT = PROSE * 3


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(train_bpe(TRAINING_TEXT, 400))


@pytest.fixture(scope="module")
def byte_tokenizer():
    """One token a byte: the length of a text in tokens can be read off the text."""
    return Tokenizer([bytes([byte]) for byte in range(256)])


# ------------------------------------------------------------------------------------------------------------
# Oracles for byte pairs: slow, and nothing is kept between two merges.


def slow_join(ids, pair, new):
    ids, i = list(ids), 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == pair:
            ids[i : i + 2] = [new]
        i += 1
    return ids


def slow_bpe(text, vocab_size):
    """-> (tokens, merges in order): all pairs of all words are counted again before every merge."""
    words = [list(word.encode()) for word in re.findall(data.WORD, text)]
    tokens, merges = [bytes([byte]) for byte in range(256)], []
    while len(tokens) + 1 < vocab_size:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        words = [slow_join(word, pair, len(tokens)) for word in words]
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        merges.append(pair)
    return tokens, merges


def random_text(seed):
    rng = random.Random(seed)
    return "".join(rng.choices("aaabbcde  \n.,7한é\U0001f600", k=800))


TEXTS = {
    "empty": "",
    "one letter": "a",
    "repeated": "aaaa aaa aaaaa aa aaaaaaa " * 3,
    "overlapping": "abababab bababa aabbaabb abcabcab",
    "ties": "ab cd ef gh ba dc",
    "sentences": "the cat sat on the mat. the rat ran, and the cat ran after the rat.\n\n" * 2,
    "accents": "naïve café, über naïveté; e\u0301te\u0301 Ελληνικά привет привет",
    "Korean": "한국의 수도는 서울이다. 일본의 수도는 도쿄이다. 한국어는 한국의 언어이다.",
    "emoji": f"\U0001f600\U0001f600\U0001f601 {FAMILY}{FAMILY} \U0001f1f0\U0001f1f7\U0001f1f0\U0001f1f7",
    "headers": TRAINING_TEXT,
    "random 0": random_text(0),
    "random 1": random_text(1),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("vocab_size", [257, 258, 380])
def test_the_trainer_learns_what_a_trainer_that_recounts_everything_learns(name, vocab_size):
    assert train_bpe(TEXTS[name], vocab_size) == slow_bpe(TEXTS[name], vocab_size)[0]


def test_the_classic_example_by_hand():
    # aaabdaaabac: aa 4 times -> ZabdZabac: Za and ab twice, ab is the smaller -> ZYdZYac: ZY twice -> XdXac:
    # all once, the smaller pair of ids first: ac = (97, 99), then d+X = (100, 258), X+dX, and the whole word.
    merged = [b"aa", b"ab", b"aaab", b"ac", b"daaab", b"aaabdaaab", b"aaabdaaabac"]
    assert train_bpe("aaabdaaabac", 256 + 3 + 1)[256:] == merged[:3]
    assert train_bpe("aaabdaaabac", 1000)[256:] == merged  # no pair is left, so it stops before 1000


def test_a_vocabulary_has_the_size_asked_for_with_the_end_token():
    tokenizer = Tokenizer(train_bpe(TRAINING_TEXT, 300))
    assert (tokenizer.vocab_size, tokenizer.end, len(tokenizer.tokens)) == (300, 299, 299)


def test_no_token_is_learned_twice(tokenizer):
    assert len(set(tokenizer.tokens)) == len(tokenizer.tokens)


@pytest.mark.parametrize("name", TEXTS)
def test_the_words_are_the_text_cut_up(name):
    assert "".join(re.findall(data.WORD, TEXTS[name])) == TEXTS[name]


def test_a_word_keeps_the_space_before_it():
    words = ["One", " two", " ", " 3", "rd", ",", " a", "_", "b", "!", "\n", "\n", "End", " "]
    assert re.findall(data.WORD, "One two  3rd, a_b!\n\nEnd ") == words


JOINED = [
    ([1, 2, 3, 1, 2], [9, 3, 9]), ([1, 2, 1, 2, 1], [9, 9, 1]), ([1, 1, 2], [1, 9]), ([1, 2, 2], [9, 2]),
    ([2, 1], [2, 1]), ([1], [1]), ([], []),
]  # fmt: skip


@pytest.mark.parametrize(("ids", "joined"), JOINED)
def test_join_by_hand(ids, joined):
    assert data.join(ids, (1, 2), 9) == joined


@pytest.mark.parametrize(("n", "joined"), [(2, [9]), (3, [9, 1]), (4, [9, 9]), (5, [9, 9, 1])])
def test_join_takes_a_run_of_one_token_from_the_left(n, joined):
    assert data.join([1] * n, (1, 1), 9) == joined


# ------------------------------------------------------------------------------------------------------------
# The tokenizer

STRINGS = {
    "empty": "",
    "one space": " ",
    "spaces": "  a   b    ",
    "only spaces": " " * 500,
    "tabs": "\t\ta\t b\t",
    "newlines": "\n\na\n \n b\n",
    "CRLF": "a\r\nb\r\n\r\n",
    "CR": "a\rb\r\r",
    "Korean": "한국의 수도는 서울이다.",
    "Korean in jamo": "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "emoji": f"\U0001f600 {FAMILY} \U0001f44d\U0001f3fd",
    "combining marks": "e\u0301 a\u0323\u0302 \u0301 n\u0303o",
    "right to left": "שלום, العربية \u200f",
    "Devanagari": "नमस्ते दुनिया",
    "line separators": "a\u2028b\u2029c\u0085d\x0be\x0cf",
    "odd white space": "a\u00a0b\u3000c\u200bd\ufeffe\x1cf\x1fg",
    "NUL": "\0a\0\0",
    "other digits": "²³ ½ ٣٤ Ⅷ _1_ __ a_b",
    "end as text": "<|endoftext|>",
    "one long word": "a" * 5000,
    "beyond the BMP": "\U00010348\U0010ffff",
}


@pytest.mark.parametrize("name", STRINGS)
def test_decoding_gives_the_text_back(tokenizer, name):
    assert tokenizer.decode(tokenizer.encode(STRINGS[name])) == STRINGS[name]


def test_every_code_point_of_the_bmp_and_every_16th_beyond_comes_back(tokenizer):
    points = [chr(point) for point in [*range(0x10000), *range(0x10000, 0x110000, 16), 0x10FFFF]]
    points = [point for point in points if not "\ud800" <= point < "\ue000"]  # surrogates are no characters
    for start in range(0, len(points), 4096):
        text = "".join(points[start : start + 4096])
        assert tokenizer.decode(tokenizer.encode(text)) == text, hex(ord(points[start]))


def test_code_points_in_any_order_come_back(tokenizer):
    rng = random.Random(0)
    rare = [chr(point) for point in range(0, 0x110000, 37) if not 0xD800 <= point < 0xE000]
    letters = rare + list(" \n\ta1_#") * 500
    for _ in range(50):
        text = "".join(rng.choices(letters, k=200))
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_sequence_of_tokens_decodes(tokenizer):
    for id in range(tokenizer.vocab_size):
        assert isinstance(tokenizer.decode([id]), str)
    rng = random.Random(0)
    for length in range(200):
        ids = rng.choices(range(tokenizer.vocab_size), k=length)
        assert isinstance(tokenizer.decode(ids), str)


def test_bytes_that_are_not_utf8_become_the_replacement_character(byte_tokenizer):
    assert byte_tokenizer.decode([0x61, 0xFF, 0x62]) == "a\ufffdb"
    assert byte_tokenizer.decode([0xED, 0x95, 0x9C]) == "한"  # and a character in pieces is whole again


@pytest.mark.parametrize("name", STRINGS)
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(tokenizer, name):
    pieces = [tokenizer.token_bytes(token) for token in tokenizer.encode(STRINGS[name])]
    assert b"".join(pieces) == STRINGS[name].encode()


@pytest.mark.parametrize("text", ["<|endoftext|>", "a<|endoftext|>b", " <|endoftext|>\n" * 3, HEADER + "<|endoftext|>"])
def test_no_text_is_encoded_to_the_end_token(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.end not in ids and tokenizer.decode(ids) == text
    assert tokenizer.decode([tokenizer.end]) == "<|endoftext|>"  # only the id itself is the end


@pytest.mark.parametrize(
    "through", [lambda state: state, lambda state: json.loads(json.dumps(state))], ids=["", "json"]
)
def test_a_tokenizer_is_the_same_after_its_state(tokenizer, through):
    again = Tokenizer.from_state(through(tokenizer.state()))
    assert (again.tokens, again.pattern, again.end) == (tokenizer.tokens, tokenizer.pattern, tokenizer.end)
    assert again.vocab_size == tokenizer.vocab_size
    for text in STRINGS.values():
        assert again.encode(text) == tokenizer.encode(text)


def slow_encode(text, merges):
    out = []
    for word in re.findall(data.WORD, text):
        ids = list(word.encode())
        for new, pair in enumerate(merges, 256):
            ids = slow_join(ids, pair, new)
        out += ids
    return out


# Not those with joiners and combining marks: re and tiktoken disagree on where such a word ends.
@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("emoji", "accents")])
def test_encoding_replays_the_merges_in_order(name):
    tokens, merges = slow_bpe(TEXTS[name], 340)
    tokenizer = Tokenizer(tokens)
    other = " aaaaaaaaaaa abcabcabcaba the thermal cathat 서울의 한국 😁😀 Instructions:\n\n12 ###"
    for text in (TEXTS[name], other):
        assert tokenizer.encode(text) == slow_encode(text, merges)


# ------------------------------------------------------------------------------------------------------------
# The mask contract. The prompts are written out here as they were published, not taken from data.TEMPLATES.

PREAMBLE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
)


def alpaca(instruction, input):
    if input:
        return f"### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
    return f"### Instruction:\n{instruction}\n\n### Response:\n"


def plain(instruction, input):
    return f"Question: {instruction}\n" + (f"Text: {input}\n" if input else "") + "Answer: "


PAIRED = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
)
PUBLISHED = {
    "alpaca": lambda q, x, first: ("" if first else "\n\n") + alpaca(q, x),
    "alpaca_preamble": lambda q, x, first: ((PAIRED if x else PREAMBLE) if first else "\n\n") + alpaca(q, x),
    "plain": lambda q, x, first: ("" if first else "\n\n") + plain(q, x),
}

# Whole conversations as the models' makers show them. E stands where each has its own end token.
SYSTEM, E = "Be brief.", "<|endoftext|>"
TWO_TURNS = [("Hi.", "", "Hello."), ("Who are you?", "", "A model.")]
CHATS = {
    "chatml": (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\nHello." + E
        + "\n<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\nA model." + E
    ),
    "llama2": (  # Meta's code has one more blank before the end token
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi. [/INST] Hello." + E
        + "<s>[INST] Who are you? [/INST] A model." + E
    ),
    "llama3": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello." + E
        + "<|start_header_id|>user<|end_header_id|>\n\nWho are you?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA model." + E
    ),
    "mistral": (  # has no place for a system text: it stands before the first question
        "<s>[INST] Be brief.\n\nHi. [/INST] Hello." + E + "[INST] Who are you? [/INST] A model." + E
    ),
    "zephyr": (
        "<|system|>\nBe brief.</s>\n<|user|>\nHi.</s>\n<|assistant|>\nHello." + E
        + "\n<|user|>\nWho are you?</s>\n<|assistant|>\nA model." + E
    ),
    "tulu": (
        "<|system|>\nBe brief.\n<|user|>\nHi.\n<|assistant|>\nHello." + E
        + "\n<|user|>\nWho are you?\n<|assistant|>\nA model." + E
    ),
    "alpaca": (
        "Be brief.\n\n### Instruction:\nHi.\n\n### Response:\nHello." + E
        + "\n\n### Instruction:\nWho are you?\n\n### Response:\nA model." + E
    ),
}  # fmt: skip


@pytest.mark.parametrize("template", CHATS)
def test_a_chat_with_a_system_text_is_the_published_text(tokenizer, template):
    ids, mask, _ = encode_example(tokenizer, template, TWO_TURNS, 4096, SYSTEM)
    assert tokenizer.decode(ids) == CHATS[template]
    assert learned_answers(tokenizer, shift(ids, mask)[1]) == ["Hello." + E, "A model." + E]


def test_every_template_is_checked_against_its_published_form():
    assert set(data.TEMPLATES) == set(PUBLISHED) | set(CHATS)


CONVERSATIONS = {
    "without input": [("What is the capital of France?", "", "Paris.")],
    "with input": [("Translate.", "cat", "고양이")],
    "two turns": [("Hi.", "", "Hello."), ("And now?", "some text", "Bye.")],
    "four turns": [(f"q{i}", "x" * (i % 2), f"a{i}") for i in range(4)],
    "same answer twice": [("Yes?", "Yes.", "Yes."), ("Yes.", "", "Yes.")],
    "unicode": [("수도는?", FAMILY, "e\u0301 서울 \U0001f600\u2028")],
    "answer is a header": [("q", "x", HEADER)],
    "answer holds all headers": [("q", "", alpaca("a", "b") + "c")],
    "question is a header": [(HEADER, HEADER, "### Response:")],
    "braces": [("{}", "{0} {} {x}", "{} {{}}")],
    "end as text": [("<|endoftext|>", "a <|endoftext|>", "<|endoftext|>"), ("q", "", "b<|endoftext|>")],
    "white space at the edges": [(" q \n", "\n x\t", "\n\n a \n")],
    "one character": [("q", "x", "a")],
    "CRLF": [("q\r\n", "x\r\ny", "a\r\nb")],
}


def flat(parts):
    return [token for part in parts for token in part]


def runs(ids, mask):
    """-> [(learned or not, ids that stand together)]"""
    assert len(ids) == len(mask) and set(mask) <= {0, 1}
    groups = groupby(zip(ids, mask), key=lambda pair: pair[1])
    return [(learned, [token for token, _ in group]) for learned, group in groups]


def learned_answers(tokenizer, targets):
    """-> the learned targets, cut behind every end token and decoded; a rest without an end stands last."""
    answers, ids = [], []
    for token in targets:
        if token != IGNORE:
            ids.append(token)
            if token == tokenizer.end:
                answers.append(tokenizer.decode(ids))
                ids = []
    return answers + ([tokenizer.decode(ids)] if ids else [])


@pytest.mark.parametrize("template", data.TEMPLATES)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_learned_is_every_answer_with_its_end_in_order_and_nothing_else(tokenizer, template, name):
    turns = CONVERSATIONS[name]
    ids, mask, trimmed = encode_example(tokenizer, template, turns, 4096)
    assert not trimmed
    assert learned_answers(tokenizer, shift(ids, mask)[1]) == [answer + "<|endoftext|>" for _, _, answer in turns]
    assert ids.count(tokenizer.end) == len(turns) and ids[-1] == tokenizer.end


@pytest.mark.parametrize("template", PUBLISHED)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_prompts_are_the_published_text_and_alternate_with_the_answers(tokenizer, template, name):
    turns = CONVERSATIONS[name]
    ids, mask, _ = encode_example(tokenizer, template, turns, 4096)
    expected = []
    for i, (instruction, context, answer) in enumerate(turns):
        expected += [(0, PUBLISHED[template](instruction, context, i == 0)), (1, answer + "<|endoftext|>")]
    assert [(learned, tokenizer.decode(run)) for learned, run in runs(ids, mask)] == expected


@pytest.mark.parametrize("template", data.TEMPLATES)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_prepare_accepts_every_right_mask(tokenizer, template, name):
    examples, audit = prepare([Row(tuple(CONVERSATIONS[name]), "", "f:1")], tokenizer, template, 4096)
    ids, mask = examples[0]
    assert (audit.rows, audit.kept, audit.tokens, audit.learned) == (1, 1, len(ids), sum(mask))
    assert not audit.trimmed and not audit.dropped


@pytest.mark.parametrize("template", data.TEMPLATES)
@pytest.mark.parametrize("context", ["", "\nx"])
@pytest.mark.parametrize("answer", ["a", " a", "\n", "\n\na", "#", "\u0301", "\u200d", ":", "1", "_", "한", "\r\n"])
def test_prompt_and_answer_are_tokenized_apart(tokenizer, template, context, answer):
    prompt = flat(encode_prompt(tokenizer, template, "q", context))
    ids, mask, _ = encode_example(tokenizer, template, [("q", context, answer)], 4096)
    assert ids == prompt + tokenizer.encode(answer) + [tokenizer.end]
    assert mask == [0] * len(prompt) + [1] * (len(ids) - len(prompt))


def test_tokenizing_them_together_would_have_moved_the_boundary(tokenizer):
    prompt = flat(encode_prompt(tokenizer, "alpaca", "q"))
    assert tokenizer.encode(tokenizer.decode(prompt) + "\n\na")[: len(prompt)] != prompt


@pytest.mark.parametrize("text", ["\n", "\n\na\n\n", " a ", "#", ":\n", "\u0301", "a"])
def test_a_users_word_never_melts_into_a_header(tokenizer, text):
    head, context, tail = encode_prompt(tokenizer, "alpaca", text, text)
    start = tokenizer.encode("### Instruction:\n") + tokenizer.encode(text)
    assert head[: len(start)] == start and context == tokenizer.encode(text)
    assert tokenizer.decode(head[len(start) :]) == "\n\n### Input:\n"
    assert tokenizer.decode(tail) == "\n\n### Response:\n"


def test_the_three_parts_of_a_prompt_hold_the_input_in_the_middle(tokenizer):
    parts = encode_prompt(tokenizer, "alpaca", "q", "some text", first=False)
    texts = [tokenizer.decode(part) for part in parts]
    assert texts == ["\n\n### Instruction:\nq\n\n### Input:\n", "some text", "\n\n### Response:\n"]
    assert encode_prompt(tokenizer, "alpaca", "q")[1] == []


# ------------------------------------------------------------------------------------------------------------
# The shift and the padding


def test_shift_by_hand():
    assert shift([5, 6, 7, 8], [0, 0, 1, 1]) == ([5, 6, 7], [IGNORE, 7, 8])
    assert shift([5, 6, 7, 8], [0, 1, 0, 1]) == ([5, 6, 7], [6, IGNORE, 8])
    assert shift([5, 6], [0, 1]) == ([5], [6])
    assert shift([5, 6, 7], [1, 0, 0]) == ([5, 6], [IGNORE, IGNORE])  # nothing stands before the first token
    assert shift([0, 0, 0], [0, 1, 1]) == ([0, 0], [0, 0])  # id 0 is a token like any other
    assert IGNORE == -100


def check_alignment():
    """Position t reads token t and learns token t + 1; all tokens differ, so no two can be confused."""
    rng = random.Random(0)
    for length in range(2, 30):
        ids = rng.sample(range(1000), length)
        mask = rng.choices([0, 1], k=length)
        inputs, targets = data.shift(ids, mask)
        assert inputs == ids[: length - 1]
        assert len(targets) == length - 1
        for t, target in enumerate(targets):
            assert target == (ids[t + 1] if mask[t + 1] else -100)


def check_padding():
    """Rows of lengths 2, 5, 3 with the padding's token inside them as well: only there it is learned."""
    pad = 99
    examples = [([1, 99], [0, 1]), ([3, 4, 5, 99, 7], [0, 0, 1, 1, 1]), ([99, 8, 99], [0, 0, 1])]
    inputs, targets = data.collate(examples, pad)
    assert inputs.tolist() == [[1, 99, 99, 99], [3, 4, 5, 99], [99, 8, 99, 99]]
    assert targets.tolist() == [[99, -100, -100, -100], [-100, 5, 99, 7], [-100, 99, -100, -100]]


def test_targets_are_the_inputs_one_later():
    check_alignment()


def test_padding_stands_on_the_right_and_is_never_learned():
    check_padding()


@pytest.mark.parametrize("lengths", [[2], [2, 2], [7, 3, 5, 2], [2, 40]])
def test_collate_gives_whole_tensors_of_the_longest_row(lengths):
    examples = [(list(range(n)), [0] + [1] * (n - 1)) for n in lengths]
    inputs, targets = data.collate(examples, 50)
    assert inputs.shape == targets.shape == (len(lengths), max(lengths) - 1)
    assert inputs.dtype == targets.dtype == torch.long
    assert int((targets != IGNORE).sum()) == sum(lengths) - len(lengths)


# ------------------------------------------------------------------------------------------------------------
# Seeded bugs. The rows are ones on which each bug changes what is learned.

TRAPS = {
    # the question begins with the header, and holds the answer's first word
    "header in the question": [(HEADER + "Paris or Rome?", "Paris", "Paris, the capital.")],
    "two turns": [(HEADER + "Say yes.", "yes", "yes yes"), ("yes?", "", "yes <|endoftext|>")],
}


def find(ids, part):
    return next(i for i in range(len(ids)) if ids[i : i + len(part)] == part)


def from_here(ids, start):
    return [0] * start + [1] * (len(ids) - start)


def learn_the_header(tok, ids, mask, turns):
    wide = list(mask)
    for i in range(1, len(mask)):
        if mask[i] and not mask[i - 1]:
            n = len(tok.encode(HEADER))
            wide[i - n : i] = [1] * n
    return wide


def from_the_first_value(tok, ids, mask, turns):
    return from_here(ids, ids.index(tok.encode(turns[0][2])[0]))


def as_long_as_the_answer(tok, ids, mask, turns):
    answer = tok.encode(turns[0][2])
    start = ids.index(answer[0])
    return [int(start <= i <= start + len(answer)) for i in range(len(ids))]


def all_values_of_the_answer(tok, ids, mask, turns):
    values = {tok.end, *tok.encode(turns[-1][2])}
    return [int(token in values) for token in ids]


def after_the_first_header(tok, ids, mask, turns):
    header = tok.encode(HEADER)
    return from_here(ids, find(ids, header) + len(header))


def last_turn_only(tok, ids, mask, turns):
    start = len(ids) - len(tok.encode(turns[-1][2])) - 1
    return from_here(ids, start)


MASK_MUTANTS = {  # (tokenizer, ids, right mask, turns) -> wrong mask
    "nothing masked": lambda tok, ids, mask, turns: [1] * len(ids),
    "everything masked": lambda tok, ids, mask, turns: [0] * len(ids),
    "off by one left": lambda tok, ids, mask, turns: mask[1:] + [1],
    "off by one left, end lost": lambda tok, ids, mask, turns: mask[1:] + [0],
    "off by one right": lambda tok, ids, mask, turns: [0] + mask[:-1],
    "mask turned round": lambda tok, ids, mask, turns: [1 - learned for learned in mask],
    "end token masked": lambda tok, ids, mask, turns: [m * (i != tok.end) for m, i in zip(mask, ids)],
    "only the end learned": lambda tok, ids, mask, turns: [int(i == tok.end) for i in ids],
    "header learned": learn_the_header,
    "found by the answer's first value": from_the_first_value,
    "found by value, as long as the answer": as_long_as_the_answer,
    "found by the values of the answer": all_values_of_the_answer,
    "found by the header from the left": after_the_first_header,
}


def plant_mask(monkeypatch, mutant):
    right = encode_example

    def wrong(tokenizer, template, turns, block_size, system):
        ids, mask, trimmed = right(tokenizer, template, turns, block_size, system)
        mask = mutant(tokenizer, ids, mask, turns)
        assert len(mask) == len(ids)
        return ids, mask, trimmed

    monkeypatch.setattr(data, "encode_example", wrong)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("mutant", MASK_MUTANTS)
def test_prepare_stops_a_wrong_mask(monkeypatch, tokenizer, mutant, trap):
    rows = [Row(tuple(TRAPS[trap]), "", "pairs.jsonl:7")]
    prepare(rows, tokenizer, "alpaca", 4096)  # the rows themselves are fine
    plant_mask(monkeypatch, MASK_MUTANTS[mutant])
    with pytest.raises(AssertionError, match="pairs.jsonl:7"):
        prepare(rows, tokenizer, "alpaca", 4096)


def test_prepare_stops_a_mask_that_forgets_the_earlier_turns(monkeypatch, tokenizer):
    plant_mask(monkeypatch, last_turn_only)
    prepare([Row((("q", "", "a"),))], tokenizer, "alpaca", 4096)  # right by luck where there is one turn
    with pytest.raises(AssertionError):
        prepare([Row(tuple(TRAPS["two turns"]))], tokenizer, "alpaca", 4096)


@pytest.mark.parametrize("mutant", ["found by the header from the left", "found by the answer's first value"])
def test_searching_for_the_answer_is_right_by_luck_on_tame_rows(monkeypatch, tokenizer, mutant):
    """Why the traps above are needed: without them these bugs cannot be seen."""
    plant_mask(monkeypatch, MASK_MUTANTS[mutant])
    prepare([Row((("b", "", "~~~"),))], tokenizer, "alpaca", 4096)


def masked(ids, mask):
    return [token if learned else IGNORE for token, learned in zip(ids, mask)]


SHIFT_MUTANTS = {  # what is learned is wrong, so prepare sees it
    "nothing masked": lambda ids, mask: (ids[:-1], ids[1:]),
    "everything masked": lambda ids, mask: (ids[:-1], [IGNORE] * (len(ids) - 1)),
    "mask not shifted": lambda ids, mask: (ids[:-1], masked(ids[1:], mask[:-1])),
    "mask shifted twice": lambda ids, mask: (ids[:-1], masked(ids[1:], mask[2:] + [1])),
    "targets not shifted": lambda ids, mask: (ids[:-1], masked(ids, mask)[:-1]),
    "mask turned round": lambda ids, mask: (ids[:-1], masked(ids[1:], [1 - m for m in mask[1:]])),
}
ALIGNMENT_MUTANTS = {  # the right tokens are learned, at the wrong places: only the alignment can tell
    "no shift at all": lambda ids, mask: (ids, masked(ids, mask)),
    "shifted twice": lambda ids, mask: (ids[:-2], masked(ids[2:], mask[2:])),
    "inputs shifted instead": lambda ids, mask: (ids[1:], masked(ids, mask)[1:]),
    "shifted the wrong way": lambda ids, mask: (ids[1:], [IGNORE] + masked(ids, mask)[1:-1]),
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("mutant", SHIFT_MUTANTS)
def test_prepare_stops_a_wrong_shift(monkeypatch, tokenizer, mutant, trap):
    monkeypatch.setattr(data, "shift", SHIFT_MUTANTS[mutant])
    with pytest.raises(AssertionError, match="pairs.jsonl:7"):
        prepare([Row(tuple(TRAPS[trap]), "", "pairs.jsonl:7")], tokenizer, "alpaca", 4096)


@pytest.mark.parametrize("mutant", SHIFT_MUTANTS | ALIGNMENT_MUTANTS)
def test_the_alignment_oracle_stops_every_wrong_shift(monkeypatch, mutant):
    monkeypatch.setattr(data, "shift", (SHIFT_MUTANTS | ALIGNMENT_MUTANTS)[mutant])
    with pytest.raises(AssertionError):
        check_alignment()


def padded(examples, in_inputs, in_targets, left=False):
    """What collate does, in plain lists, with the choices that it could get wrong."""
    inputs, targets = [], []
    longest = max(len(ids) for ids, _ in examples)
    for ids, mask in examples:
        x, y, n = ids[:-1], masked(ids, mask)[1:], longest - len(ids)
        inputs.append([in_inputs] * n + x if left else x + [in_inputs] * n)
        targets.append([in_targets] * n + y if left else y + [in_targets] * n)
    return torch.tensor(inputs), torch.tensor(targets)


def every_pad_masked(examples, pad):
    """The well-known one: where the end token pads, the real end tokens are masked with the padding."""
    inputs, targets = padded(examples, pad, IGNORE)
    return inputs, targets.masked_fill(targets == pad, IGNORE)


COLLATE_MUTANTS = {
    "padding learned": lambda examples, pad: padded(examples, pad, pad),
    "padding learned as token 0": lambda examples, pad: padded(examples, pad, 0),
    "padding on the left": lambda examples, pad: padded(examples, pad, IGNORE, left=True),
    "IGNORE in the inputs": lambda examples, pad: padded(examples, IGNORE, IGNORE),
    "end tokens masked with the padding": every_pad_masked,
}


@pytest.mark.parametrize("mutant", COLLATE_MUTANTS)
def test_the_padding_oracle_stops_every_wrong_pad(monkeypatch, mutant):
    monkeypatch.setattr(data, "collate", COLLATE_MUTANTS[mutant])
    with pytest.raises(AssertionError):
        check_padding()


def test_the_padding_oracle_lets_a_right_pad_through(monkeypatch):
    monkeypatch.setattr(data, "collate", lambda examples, pad: padded(examples, pad, IGNORE))
    check_padding()


# ------------------------------------------------------------------------------------------------------------
# Truncation, with one token a byte


DIGITS = [("Do.", "0123456789", "answer")]
SIZE = len(alpaca("Do.", "0123456789") + "answer")  # the end token is the one that the model need not read


def test_what_fits_exactly_is_untouched(byte_tokenizer):
    ids, mask, trimmed = encode_example(byte_tokenizer, "alpaca", DIGITS, SIZE)
    text = alpaca("Do.", "0123456789").encode() + b"answer"
    assert (ids, trimmed) == (list(text) + [256], False)
    assert shift(ids, mask)[0] == list(text) and len(text) == SIZE


@pytest.mark.parametrize("less", range(1, 10))
def test_what_does_not_fit_loses_the_end_of_its_input(byte_tokenizer, less):
    ids, mask, trimmed = encode_example(byte_tokenizer, "alpaca", DIGITS, SIZE - less)
    prompt = alpaca("Do.", "0123456789"[:-less]).encode()
    assert (ids, trimmed) == (list(prompt + b"answer") + [256], True)
    assert mask == [0] * len(prompt) + [1] * 7


def test_what_does_not_fit_without_its_input_is_none(byte_tokenizer):
    assert encode_example(byte_tokenizer, "alpaca", DIGITS, SIZE - 10) == (None, None, True)


@pytest.mark.parametrize("context", ["", "x"], ids=["no input", "an input of one token"])
def test_where_there_is_nothing_to_shorten_one_token_too_many_is_none(byte_tokenizer, context):
    turns, size = [("Do.", context, "answer")], len(alpaca("Do.", context) + "answer")
    assert encode_example(byte_tokenizer, "alpaca", turns, size)[0] is not None
    assert encode_example(byte_tokenizer, "alpaca", turns, size - 1) == (None, None, True)


@pytest.mark.parametrize("template", PUBLISHED)
def test_at_every_context_length_the_answers_of_all_turns_are_whole(tokenizer, template):
    turns = [
        ("First.", "한국의 수도는 서울", "one 1"),
        ("Second.", "", HEADER),
        ("Third.", "the cat sat", "three\n"),
    ]
    whole = encode_example(tokenizer, template, turns, 4096)[0]
    fits = []
    for block_size in range(1, len(whole) + 3):
        ids, mask, trimmed = encode_example(tokenizer, template, turns, block_size)
        fits.append(ids is not None)
        if ids is None:
            assert (mask, trimmed) == (None, True)
            continue
        assert len(ids) == min(len(whole), block_size + 1)  # no token more is lost than must be
        assert trimmed == (len(ids) < len(whole))
        assert learned_answers(tokenizer, shift(ids, mask)[1]) == [y + "<|endoftext|>" for _, _, y in turns]
        for i, ((_, prompt), (q, x, _)) in enumerate(zip(runs(ids, mask)[::2], turns)):
            inputs = tokenizer.encode(x)
            shorter = [inputs[:n] for n in range(1, len(inputs) + 1)] or [[]]
            head, _, tail = encode_prompt(tokenizer, template, q, x, i == 0)
            assert prompt in [head + some + tail for some in shorter]
    inputs = sum(max(0, len(tokenizer.encode(x)) - 1) for _, x, _ in turns)
    assert fits == sorted(fits) and sum(fits) == inputs + 1 + 3  # all but one token of each input could go


def test_prepare_counts_what_it_shortened_and_what_it_dropped(byte_tokenizer):
    rows = [
        Row((("Do.", "", "yes"),), "", "f.jsonl:1"),
        Row((("Do.", "0123456789abc", "answer"),), "", "f.jsonl:2"),
        Row((("Do.", "", "answer" * 50),), "", "f.jsonl:5"),
        Row((("Do.", "0123456789", "answer"),), "", "f.jsonl:6"),
        Row((("Do." * 100, "x", "answer"),), "", "f.jsonl:9"),
    ]
    examples, audit = prepare(rows, byte_tokenizer, "alpaca", SIZE)
    assert (audit.rows, audit.kept, len(examples)) == (5, 3, 3)
    assert audit.trimmed == ["f.jsonl:2"]
    assert dict(audit.dropped) == {"does not fit in the context": ["f.jsonl:5", "f.jsonl:9"]}
    assert audit.learned == len("yes") + 1 + 2 * (len("answer") + 1)
    assert audit.tokens == len(alpaca("Do.", "") + "yes") + 1 + 2 * (SIZE + 1)
    report = "\n".join(audit.lines())
    assert "3 of 5" in report and "does not fit in the context" in report and "f.jsonl:9" in report


# ------------------------------------------------------------------------------------------------------------
# The loader: what is read

PAIR = {"instruction": "i", "input": "x", "output": "o"}
PAIR_TURNS = (("i", "x", "o"),)


def write(folder, content, name="pairs.jsonl"):
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return path


def lines(*rows, end="\n", **options):
    return end.join(json.dumps(row, **options) for row in rows) + end


def pair(number):
    return {"instruction": f"i{number}", "input": "", "output": f"o{number}"}


def found(path):
    """-> {line number: turns} of the rows kept"""
    rows, _ = load_rows(path)
    assert all(row.place.startswith(f"{path}:") for row in rows)
    return {int(row.place.rpartition(":")[2]): row.turns for row in rows}


def messages(*turns):
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def conversation(*turns):
    return {"id": "identity_0", "conversations": [{"from": role, "value": text} for role, text in turns]}


NO_INPUT = (("i", "", "o"),)
TWO_PAIRS = [("user", "i1"), ("assistant", "o1"), ("user", "i2"), ("assistant", "o2")]
ODD = {"instruction": " i\r\n", "input": "\t", "output": "\no "}

ROWS = {
    "Alpaca": (PAIR, PAIR_TURNS),
    "Alpaca without input": ({"instruction": "i", "output": "o"}, NO_INPUT),
    "Alpaca with an empty input": ({"instruction": "i", "input": "", "output": "o"}, NO_INPUT),
    "Alpaca with an input of null": ({"instruction": "i", "input": None, "output": "o"}, NO_INPUT),
    "Alpaca with more fields": (PAIR | {"id": 7, "tags": []}, PAIR_TURNS),
    "Dolly": ({"instruction": "i", "context": "x", "response": "o", "category": "open_qa"}, PAIR_TURNS),
    "Dolly without context": ({"instruction": "i", "context": "", "response": "o"}, NO_INPUT),
    "FLAN": ({"inputs": "i", "targets": "o", "task": "cola"}, NO_INPUT),
    "messages": (messages(("user", "i"), ("assistant", "o")), NO_INPUT),
    "messages, two turns": (messages(*TWO_PAIRS), (("i1", "", "o1"), ("i2", "", "o2"))),
    "messages, system": (messages(("system", "S"), *TWO_PAIRS), (("i1", "", "o1"), ("i2", "", "o2"))),
    "messages, system and no question": (messages(("system", "S"), ("assistant", "o")), (("S", "", "o"),)),
    "messages, two questions": (messages(("user", "a"), ("user", "b"), ("assistant", "o")), (("a\n\nb", "", "o"),)),
    "a placeholder for an input": (PAIR | {"input": "<No input>"}, NO_INPUT),
    "self-instruct": ({"instruction": "i", "instances": [{"input": "x", "output": "o"}]}, PAIR_TURNS),
    "natural instructions": ({"Definition": ["i"], "Instances": [{"input": "x", "output": ["o", "p"]}]}, PAIR_TURNS),
    "ShareGPT": (conversation(("human", "i"), ("gpt", "o")), NO_INPUT),
    "ShareGPT, two turns": (
        conversation(("human", "i1"), ("gpt", "o1"), ("human", "i2"), ("gpt", "o2")),
        (("i1", "", "o1"), ("i2", "", "o2")),
    ),
    "white space is kept": (ODD, ((" i\r\n", "\t", "\no "),)),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_every_known_format_becomes_its_turns(tmp_path, name):
    row, turns = ROWS[name]
    assert found(write(tmp_path, lines(row, PAIR))) == {1: turns, 2: PAIR_TURNS}


def test_formats_can_be_mixed_in_one_file(tmp_path):
    rows = [row for row, _ in ROWS.values()]
    assert list(found(write(tmp_path, lines(*rows))).values()) == [turns for _, turns in ROWS.values()]


def test_the_task_of_a_row_is_kept(tmp_path):
    rows, _ = load_rows(write(tmp_path, lines(PAIR | {"task": "sums"}, PAIR)))
    assert [row.task for row in rows] == ["sums", "pairs"], "else it is the file's name"


def test_a_system_text_is_kept_apart_and_its_row_says_what_it_was(tmp_path):
    (row,), _ = load_rows(write(tmp_path, lines(messages(("system", "S"), *TWO_PAIRS))))
    assert (row.system, row.format, row.turns[0][0]) == ("S", "messages", "i1")


def test_a_task_file_over_many_lines_gives_a_row_for_every_instance(tmp_path):
    task = {"Definition": ["Add."], "Instances": [{"input": f"1 {n}", "output": [str(n + 1)]} for n in range(3)]}
    rows, _ = load_rows(write(tmp_path, json.dumps(task, indent=2), "task7_add.json"))
    assert [row.turns for row in rows] == [(("Add.", f"1 {n}", str(n + 1)),) for n in range(3)]
    assert {row.task for row in rows} == {"task7_add"} and rows[2].place.endswith("task7_add.json:3")


def test_lists_of_turns_line_by_line_and_as_one_array(tmp_path):
    turns = messages(*TWO_PAIRS)["messages"]
    for content in (lines(turns, turns), json.dumps([turns, turns])):
        assert [len(row.turns) for row in load_rows(write(tmp_path, content))[0]] == [2, 2]


def test_a_format_that_is_said_is_the_only_one_that_fits(tmp_path):
    path = write(tmp_path, lines({"inputs": "i", "targets": "o"}, PAIR))
    rows, dropped = load_rows(path, format="flan")
    assert len(rows) == 1 and list(dropped) == ["missing fields: inputs and targets"]


def test_a_placeholder_for_an_answer_is_no_answer(tmp_path):
    rows, dropped = load_rows(write(tmp_path, lines(PAIR, PAIR | {"output": "<nooutput>"}, PAIR | {"output": "None"})))
    assert len(rows) == 2 and list(dropped) == ["a placeholder for an answer"]


def rows_of(task, n):
    return [Row(((f"{task} {i}", "", "o"),), task) for i in range(n)]


def test_a_mixture_takes_shares_and_caps_its_tasks():
    a, b = rows_of("a", 100), rows_of("b", 10)
    assert data.mix([(a, 1), (b, 1)], 0, 0) == a + b
    mixed = data.mix([(a, 0.3), (b, 2)], 0, 0)
    assert len(set(mixed) & set(a)) == 30 and sum(row in b for row in mixed) == 20
    capped = data.mix([(a, 1), (b, 1)], 25, 0)
    assert sum(row.task == "a" for row in capped) == 25 and sum(row.task == "b" for row in capped) == 10
    assert data.mix([(a, 1)], 25, 0) != data.mix([(a, 1)], 25, 1), "which rows are taken is drawn"


@pytest.mark.parametrize(
    "name, path, weight",
    [("a.json:0.3", "a.json", 0.3), ("a.json", "a.json", 1), ("C:\\a.json", "C:\\a.json", 1), ("a:b:2", "a:b", 2)],
)
def test_a_weight_stands_behind_the_last_colon(name, path, weight):
    assert data.split_weight(name) == (path, weight)


def test_the_audit_notes_what_looks_odd(tmp_path, tokenizer):
    odd = [PAIR, PAIR, PAIR | {"instruction": "a [INST] b"}, PAIR | {"input": "n/a"}, PAIR | {"output": "x </s>"}]
    rows, dropped = load_rows(write(tmp_path, lines(*odd)))
    _, audit = prepare(rows, tokenizer, "alpaca", 4096, dropped)
    assert list(audit.notes.values()) == [2, 2, 1], audit.notes
    assert audit.as_json()["formats"] == {"alpaca": 5} and audit.as_json()["dropped"] == {}


THREE = {n: ((f"i{n}", "", f"o{n}"),) for n in (1, 2, 3)}
LF, CRLF = (lines(*map(pair, THREE), end=end).encode() for end in ("\n", "\r\n"))

FILES = {
    "LF": LF,
    "CRLF": CRLF,
    "no newline at the end": LF[:-1],
    "no CRLF at the end": CRLF[:-2],
    "BOM": BOM + LF,
    "BOM and CRLF": BOM + CRLF,
    "blank lines at the end": LF + b"\n  \n\t\r\n",
    "array": b"[" + LF[:-1].replace(b"\n", b",\n") + b"]",
    "array, BOM and CRLF": BOM + b"[" + CRLF[:-2].replace(b"\r", b",\r") + b"]\r\n",
    "array, commas first": b"[" + LF.replace(b"\n{", b"\n, {") + b"]\n\n",
}


@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz", "pairs.json"])
def test_rows_are_read_with_their_line_numbers(tmp_path, content, name):
    assert found(write(tmp_path, FILES[content], name)) == THREE


def test_blank_lines_count_as_lines(tmp_path):
    content = "\n\n" + lines(pair(1)) + "  \n\t\n" + lines(pair(2)) + "\r\n" + lines(pair(3))
    assert found(write(tmp_path, content)) == {3: THREE[1], 6: THREE[2], 8: THREE[3]}


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_line_separators_inside_a_text_are_no_line_ends(tmp_path, mark):
    odd = {"instruction": f"a{mark}b", "input": mark, "output": f"{mark}c"}
    turns = ((f"a{mark}b", mark, f"{mark}c"),)
    assert found(write(tmp_path, lines(odd, pair(2), ensure_ascii=False))) == {1: turns, 2: THREE[2]}
    array = json.dumps([odd, pair(2)], ensure_ascii=False, indent=0)
    assert found(write(tmp_path, array)) == {2: turns, 7: THREE[2]}


def test_an_array_over_many_lines_has_physical_line_numbers(tmp_path):
    content = json.dumps([pair(1), pair(2), pair(3)], indent=4)
    starts = [n for n, line in enumerate(content.split("\n"), 1) if line == "    {"]
    assert found(write(tmp_path, content)) == dict(zip(starts, THREE.values()))
    assert found(write(tmp_path, "\n \n" + content)) == {n + 2: THREE[k] for n, k in zip(starts, THREE)}


def test_brackets_and_commas_inside_texts_do_not_end_an_array(tmp_path):
    odd = {"instruction": "], [", "input": '"},\n{', "output": ",]"}
    rows, _ = load_rows(write(tmp_path, json.dumps([odd, pair(2)])))
    assert [row.turns for row in rows] == [(("], [", '"},\n{', ",]"),), THREE[2]]


def test_a_half_character_from_an_escape_does_not_stop_the_run(tmp_path, tokenizer):
    rows, _ = load_rows(write(tmp_path, lines({"instruction": "\ud83d?", "output": "a\ude00"})))
    examples, _ = prepare(rows, tokenizer, "alpaca", 4096)
    assert learned_answers(tokenizer, shift(*examples[0])[1]) == ["a\ufffd<|endoftext|>"]


# ------------------------------------------------------------------------------------------------------------
# The loader: what is refused


BAD_ROWS = {
    "cut off": '{"instruction": "i", "outp',
    "plain text": "hello",
    "two rows on a line": json.dumps(PAIR) * 2,
    "single quotes": str(PAIR),
    "a number": 5,
    "a text": "text",
    "null": None,
    "a list": ["i", "x", "o"],
    "true": True,
    "no fields": {},
    "no instruction": {"input": "x", "output": "o"},
    "no output": {"instruction": "i", "input": "x"},
    "other fields": {"question": "i", "answer": "o"},
    "instruction is a number": PAIR | {"instruction": 5},
    "instruction is null": PAIR | {"instruction": None},
    "instruction is a list": PAIR | {"instruction": ["i"]},
    "input is a number": PAIR | {"input": 5},
    "input is zero": PAIR | {"input": 0},
    "input is false": PAIR | {"input": False},
    "input is a list": PAIR | {"input": ["x"]},
    "input is an empty list": PAIR | {"input": []},
    "input is an object": PAIR | {"input": {"x": 1}},
    "output is a number": PAIR | {"output": 5},
    "output is null": PAIR | {"output": None},
    "output is a list": PAIR | {"output": ["o"]},
    "output is true": PAIR | {"output": True},
    "empty instruction": {"instruction": "", "output": "o"},
    "blank instruction": {"instruction": " \n\t", "input": " ", "output": "o"},
    "empty answer": PAIR | {"output": ""},
    "blank answer": PAIR | {"output": " \n"},
    "Dolly with a null response": {"instruction": "i", "context": "", "response": None},
    "FLAN with empty targets": {"inputs": "i", "targets": ""},
    "messages is null": {"messages": None},
    "messages is a text": {"messages": "i"},
    "messages is empty": {"messages": []},
    "messages without an answer": messages(("system", "S"), ("user", "i")),
    "messages with an empty second answer": messages(*TWO_PAIRS[:3], ("assistant", "")),
    "messages with a null answer": messages(("user", "i"), ("assistant", None)),
    "messages with a number as question": messages(("user", 5), ("assistant", "o")),
    "messages with parts as question": messages(("user", [{"text": "i"}]), ("assistant", "o")),
    "messages with an unknown role": messages(("user", "i"), ("tool", "{}"), ("assistant", "o")),
    "messages without a question": messages(("assistant", "o")),
    "messages of texts": {"messages": ["i", "o"]},
    "a message without its role": {"messages": [{"content": "i"}, {"role": "assistant", "content": "o"}]},
    "a message without its text": {"messages": [{"role": "user"}, {"role": "assistant", "content": "o"}]},
    "ShareGPT without an answer": {"conversations": [{"from": "human", "value": "i"}]},
}
NOT_JSON = ["cut off", "plain text", "two rows on a line", "single quotes"]


def as_line(name):
    return BAD_ROWS[name] if name in NOT_JSON else json.dumps(BAD_ROWS[name])


def user_error(path, **options):
    """-> the message, which is one line and names the file"""
    with pytest.raises(UserError) as caught:
        load_rows(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}:"), message
    assert message.splitlines() == [message]
    return message


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_left_out_and_counted_with_its_place(tmp_path, name):
    path = write(tmp_path, lines(pair(1)) + "\n" + as_line(name) + "\n" + lines(pair(2)))
    rows, dropped = load_rows(path)
    assert [row.turns for row in rows] == [THREE[1], THREE[2]]
    assert list(dropped.values()) == [[f"{path}:3"]]
    assert all(reason.strip() for reason in dropped)


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_an_error_at_its_place_when_strict(tmp_path, name):
    path = write(tmp_path, lines(pair(1)) + "\n" + as_line(name) + "\n" + lines(pair(2)))
    assert user_error(path, strict=True).startswith(f"{path}:3: ")


@pytest.mark.parametrize("name", [name for name in BAD_ROWS if name not in NOT_JSON])
def test_a_bad_row_in_an_array_is_left_out_and_counted_with_its_place(tmp_path, name):
    content = f"[\n{json.dumps(pair(1))},\n{as_line(name)},\n\n{json.dumps(pair(2))}\n]"
    path = write(tmp_path, content, "pairs.json")
    rows, dropped = load_rows(path)
    assert [row.place for row in rows] == [f"{path}:2", f"{path}:5"]
    assert list(dropped.values()) == [[f"{path}:3"]]
    assert user_error(path, strict=True).startswith(f"{path}:3: ")


def test_bad_rows_are_counted_by_reason(tmp_path):
    bad = [PAIR | {"output": ""}, 5, PAIR | {"output": "\n"}, PAIR, None, {"instruction": "", "output": "o"}]
    path = write(tmp_path, lines(*bad) + "nonsense\n")
    _, dropped = load_rows(path)
    assert sorted(dropped.values()) == [[f"{path}:{n}" for n in group] for group in ([1, 3], [2, 5], [6], [7])]
    assert dropped["empty answer"] == [f"{path}:1", f"{path}:3"]
    assert dropped["empty instruction"] == [f"{path}:6"]


def test_good_rows_are_no_error_when_strict(tmp_path):
    rows, dropped = load_rows(write(tmp_path, lines(*(row for row, _ in ROWS.values()))), strict=True)
    assert len(rows) == len(ROWS) and not dropped


@pytest.mark.parametrize("name", ["no.jsonl", "no.jsonl.gz", "no/such/folder.json"])
def test_a_missing_file_is_named(tmp_path, name):
    user_error(tmp_path / name)
    user_error(str(tmp_path / name))


@pytest.mark.parametrize("name", ["folder", "folder.gz"])
def test_a_folder_is_not_a_file(tmp_path, name):
    (tmp_path / name).mkdir()
    user_error(tmp_path / name)


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
@pytest.mark.parametrize("content", [b"", BOM, b"\n", b" \r\n\t\n", BOM + b"\n \n"])
def test_a_file_without_text_is_named(tmp_path, content, name):
    assert "empty" in user_error(write(tmp_path, content, name))


NOT_UTF8 = [
    (b"\xff", 1), (b"{}\n\xff", 2), (b"{}\n\n\xff\n", 3), (b"{}\nab\xff\n", 2),
    (b"{}\n\nabcdefgh \xed\x95", 3), (b"{}\r\n\r\n\r\n{\xe9}\r\n", 4),
]  # fmt: skip


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
@pytest.mark.parametrize("bom", [b"", BOM], ids=["", "BOM"])
@pytest.mark.parametrize(("content", "line"), NOT_UTF8)
def test_a_file_that_is_not_utf8_is_named_with_the_line(tmp_path, content, line, bom, name):
    path = write(tmp_path, bom + content, name)
    assert user_error(path).startswith(f"{path}:{line}: not UTF-8")


GZ = gzip.compress(LF * 60, mtime=0)


@pytest.mark.parametrize("length", [1, 5, 12, len(GZ) // 2, len(GZ) - 9, len(GZ) - 4, len(GZ) - 1])
def test_a_gz_that_was_cut_off_is_named(tmp_path, length):
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(GZ[:length])
    user_error(path)


@pytest.mark.parametrize("content", [LF, GZ[:10] + b"\xff" * 40], ids=["plain text", "damaged"])
def test_a_gz_that_is_none_or_is_damaged_is_named(tmp_path, content):
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(content)
    user_error(path)


ROW = json.dumps(PAIR)
BAD_ARRAYS = {
    "not closed": (f"[\n{ROW},\n{ROW}\n", None),
    "closed inside a row": (f"[\n{ROW},\n{ROW[:-9]}\n]", 3),
    "cut off after a comma": (f"[{ROW},", 1),
    "nothing but a bracket": ("[", 1),
    "a word in it": (f"[\n{ROW},\nnonsense,\n{ROW}]", 3),
    "single quotes": (f"[\n\n{PAIR}]", 3),
    "a brace that is not closed": ('[\n{"instruction": "i",\n"output": "o"\n', None),
    "no comma between rows": (f"[{ROW}\n{ROW}]", None),
    "two commas between rows": (f"[{ROW},\n,{ROW}]", None),
    "text after it": (f"[{ROW}]\nnonsense", 2),
    "a row after it": (f"[{ROW}]\n{ROW}", 2),
    "too deep": ("[" * 100_000, 1),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_an_array_that_is_not_json_is_named(tmp_path, name, strict):
    content, line = BAD_ARRAYS[name]
    with pytest.raises((ValueError, RecursionError)):  # Python's reader of whole files refuses it
        json.loads(content)
    path = write(tmp_path, content, "pairs.json")
    message = user_error(path, strict=strict)
    assert message.startswith(f"{path}:{line}: " if line else f"{path}:")


def test_a_row_that_is_too_deep_is_a_bad_row(tmp_path):
    path = write(tmp_path, lines(PAIR) + '{"a":' * 100_000 + "\n")
    rows, dropped = load_rows(path)
    assert len(rows) == 1 and list(dropped.values()) == [[f"{path}:2"]]


NO_ROWS = ["[]", " [ ]\n", "{}", "[{}]", "hello\nworld\n", lines(PAIR | {"output": ""}), "5"]


@pytest.mark.parametrize("content", NO_ROWS)
def test_a_file_without_a_usable_row_is_named(tmp_path, content):
    user_error(write(tmp_path, content))
    user_error(write(tmp_path, content), strict=True)


# ------------------------------------------------------------------------------------------------------------
# Public files, where this machine has them. The numbers are from their READMEs, or read here by json alone.


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip("no shared data here")
    return path


def test_dolly_loads_whole():
    path = shared("dolly/databricks-dolly-15k.jsonl.gz")
    rows, dropped = load_rows(path, strict=True)
    assert (len(rows), dict(dropped)) == (15_015, {})
    assert sum(not row.turns[0][1] for row in rows) == 10_418  # and one "N/A"
    assert len(rows[1868].turns[0][2]) == 26_097 and rows[1868].place == f"{path}:1869"
    assert rows[266].turns == rows[7681].turns


def test_alpaca_loads_but_for_its_empty_outputs():
    path = shared("alpaca/alpaca_data.json")
    rows, dropped = load_rows(path)
    empty = [
        284, 1223, 1347, 1736, 7723, 9038, 11263, 11355, 11471, 14634, 15015, 23488, 24322, 24449, 24541,
        25034, 28250, 30605, 31653, 32425, 35802, 44274, 45538, 46258, 46811, 49181, 49248, 51388,
    ]  # fmt: skip
    nothing = len(dropped["a placeholder for an answer"])  # "<nooutput>" and its spellings
    assert len(rows) == 52_002 - 28 - nothing and 23 <= nothing <= 53
    assert dropped["empty answer"] == [f"{path}:{2 + 5 * n}" for n in empty]  # a row is five lines
    assert sum(row.placeholder for row in rows) > 600
    assert rows[-1].place == f"{path}:{2 + 5 * 52_001}"


def test_the_book_set_loads_whole():
    rows, dropped = load_rows(shared("rasbt_ch07/instruction-data.json"), strict=True)
    assert (len(rows), sum(not row.turns[0][1] for row in rows), dict(dropped)) == (1_100, 775, {})


def test_seed_tasks_load_by_their_instances():
    rows, dropped = load_rows(shared("alpaca/seed_tasks.jsonl"))
    assert len(rows) + sum(map(len, dropped.values())) == 175 and {row.format for row in rows} == {"self_instruct"}


def test_sharegpt_conversations_load_turn_by_turn():
    path = shared("chat/dummy_conversation.json")
    rows, dropped = load_rows(path, strict=True)
    expected = []
    for row in json.loads(path.read_text("utf-8")):
        values = [message["value"] for message in row["conversations"]]
        expected.append(tuple((q, "", a) for q, a in zip(values[::2], values[1::2])))
    assert [row.turns for row in rows] == expected and len(rows) == 500 and not dropped


def test_openai_messages_load_with_all_their_turns(tokenizer):
    path = shared("chat/toy_chat_fine_tuning.jsonl")
    rows, _ = load_rows(path, strict=True)
    system = "You are a happy assistant that puts a positive spin on everything."
    assert [len(row.turns) for row in rows] == [1, 4, 1, 1, 1]
    assert (rows[0].system, rows[0].turns[0][0]) == (system, "I fell off my bike today.")
    assert rows[1].system == system and not any(system in turn[0] for turn in rows[1].turns)
    assert rows[2].turns[0][0] == "I lost my book today."  # no system text
    assert rows[3].turns == ((system, "", "You're great!"),)  # no question: the system text is all there is
    assert rows[4].turns[0][2] == "Eat a banana!" * 2000

    examples, audit = prepare(rows, tokenizer, "alpaca", 1024)
    assert dict(audit.dropped) == {"does not fit in the context": [f"{path}:5"]}
    assert examples[1][0].count(tokenizer.end) == 4


def test_public_rows_keep_the_mask_contract(tokenizer):
    rows, _ = load_rows(shared("chat/dummy_conversation.json"))
    rows += load_rows(shared("rasbt_ch07/instruction-data.json"))[0]
    for template in PUBLISHED:
        examples, audit = prepare(rows[::10], tokenizer, template, 4096)
        assert audit.kept == len(rows[::10]) and not audit.trimmed
        for row, (ids, mask) in zip(rows[::10], examples):
            assert learned_answers(tokenizer, shift(ids, mask)[1]) == [y + "<|endoftext|>" for _, _, y in row.turns]


# ------------------------------------------------------------------------------------------------------------
# Batches


def test_a_corpus_is_its_passages_with_an_end_after_each(tokenizer):
    passages = ["the cat sat", "한국의\n\n수도", "<|endoftext|>"]
    stream = data.encode_corpus(tokenizer, passages)
    assert stream.dtype == torch.long and stream.ndim == 1
    ends = [i for i, token in enumerate(stream.tolist()) if token == tokenizer.end]
    starts = [0] + [i + 1 for i in ends]
    assert [tokenizer.decode(stream[a:b].tolist()) for a, b in zip(starts, ends)] == passages
    assert ends[-1] == len(stream) - 1


@pytest.mark.parametrize("length", [41, 42, 45, 49])
@pytest.mark.parametrize("batch_size", [1, 3, 5])
def test_a_stream_is_read_in_order_and_from_the_start_again(length, batch_size):
    window, stream = 4, torch.arange(length) + 1000
    read = []
    for step in range(40):
        inputs, targets = data.corpus_batch(stream, step, batch_size, window)
        assert inputs.shape == targets.shape == (batch_size, window)
        assert torch.equal(targets, inputs + 1)  # the stream counts up, so one later is one more
        read += inputs.flatten().tolist()
    once = list(range(1000, 1000 + (length - 1) // window * window))
    assert read == (once * (len(read) // len(once) + 1))[: len(read)]


def test_a_batch_larger_than_the_stream_goes_round():
    inputs, targets = data.corpus_batch(torch.arange(5), 0, 7, 2)
    assert inputs.tolist() == [[0, 1], [2, 3]] * 3 + [[0, 1]]
    assert targets.tolist() == [[1, 2], [3, 4]] * 3 + [[1, 2]]


def test_a_batch_depends_on_its_step_alone():
    stream = torch.randint(0, 50, (200,), generator=torch.Generator().manual_seed(0))
    first = data.corpus_batch(stream, 11, 3, 8)
    data.corpus_batch(stream, 2, 3, 8)
    assert all(torch.equal(a, b) for a, b in zip(first, data.corpus_batch(stream, 11, 3, 8)))


def some_examples(n, seed=0):
    """Every one has another first id, so that it can be told apart."""
    rng = random.Random(seed)
    return [([i] + [7] * rng.randint(1, 100), [0, 1]) for i in range(n)]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 64, 65, 333])
@pytest.mark.parametrize("batch_size", [1, 8, 400])
def test_an_epoch_has_every_example_once(n, batch_size):
    examples = some_examples(n)
    before = list(examples)
    batches = data.epoch_batches(examples, batch_size, 0)
    assert sorted(example[0][0] for batch in batches for example in batch) == list(range(n))
    assert all(example == examples[example[0][0]] for batch in batches for example in batch)
    assert sorted(map(len, batches), reverse=True)[: n // batch_size] == [batch_size] * (n // batch_size)
    assert len(batches) == -(-n // batch_size)
    assert examples == before  # and the caller's list is left as it was


def test_an_epoch_is_fixed_by_its_seed():
    examples = some_examples(200)
    first = data.epoch_batches(examples, 8, 3)
    random.random()  # the global generator has no say in it
    assert data.epoch_batches(examples, 8, 3) == first
    assert data.epoch_batches(examples, 8, 4) != first


def test_another_seed_puts_other_rows_together():
    examples = [([i] + [7] * i, [0, 1]) for i in range(200)]  # no two of one length, so sorting alone decides all

    def together(seed):
        return {frozenset(ids[0] for ids, _ in batch) for batch in data.epoch_batches(examples, 8, seed)}

    assert not together(3) & together(4)


def padding(batches):
    return sum(max(len(ids) for ids, _ in batch) * len(batch) - sum(len(ids) for ids, _ in batch) for batch in batches)


def test_rows_of_like_length_go_together():
    examples = some_examples(640)
    shuffled = random.Random(1).sample(examples, len(examples))
    at_random = [shuffled[i : i + 16] for i in range(0, len(shuffled), 16)]
    assert padding(data.epoch_batches(examples, 16, 0)) < padding(at_random) / 3


def test_batches_do_not_come_in_the_order_of_their_length():
    longest = [max(len(ids) for ids, _ in batch) for batch in data.epoch_batches(some_examples(640), 16, 0)]
    upward = sum(a < b for a, b in pairwise(longest))
    assert 8 < upward < len(longest) - 8
