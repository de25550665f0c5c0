"""Byte pairs: the fast trainer learns what one that recounts everything learns; encoding loses no character."""

import base64
import json
import random
import re
import time
from collections import Counter
from itertools import pairwise

import pytest
from helpers import FAMILY, HEADER, TRAINING_TEXT

import data
from data import Tokenizer, train_bpe

# ------------------------------------------------------------------------------------------------------------
# Oracles for byte pairs: slow, and nothing is kept between two merges.


def slow_merge(ids, pair, new):
    ids, i = list(ids), 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == pair:
            ids[i : i + 2] = [new]
        i += 1
    return ids


def slow_bpe(text, vocab_size):
    """Returns (tokens, merges in order): all pairs of all words are counted again before every merge."""
    words = [list(word.encode()) for word in re.findall(data.WORD, text)]
    tokens, merges = [bytes([byte]) for byte in range(256)], []
    while len(tokens) + 1 < vocab_size:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        words = [slow_merge(word, pair, len(tokens)) for word in words]
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
    assert (tokenizer.vocab_size, tokenizer.eos_id, len(tokenizer.tokens)) == (300, 299, 299)


def test_no_token_is_learned_twice(tokenizer):
    assert len(set(tokenizer.tokens)) == len(tokenizer.tokens)


@pytest.mark.parametrize("name", TEXTS)
def test_the_words_are_the_text_cut_up(name):
    assert "".join(re.findall(data.WORD, TEXTS[name])) == TEXTS[name]


def test_a_word_keeps_the_space_before_it():
    words = ["One", " two", " ", " 3", "rd", ",", " a", "_", "b", "!", "\n", "\n", "End", " "]
    assert re.findall(data.WORD, "One two  3rd, a_b!\n\nEnd ") == words


MERGED = [
    ([1, 2, 3, 1, 2], [9, 3, 9]), ([1, 2, 1, 2, 1], [9, 9, 1]), ([1, 1, 2], [1, 9]), ([1, 2, 2], [9, 2]),
    ([2, 1], [2, 1]), ([1], [1]), ([], []),
]


@pytest.mark.parametrize(("ids", "merged"), MERGED)
def test_merge_by_hand(ids, merged):
    ids = list(ids)
    before = Counter(zip(ids, ids[1:]))
    for neighbours, change in data.merge(ids, (1, 2), 9):
        before[neighbours] += change
    assert ids == merged and +before == Counter(zip(merged, merged[1:])), "what came and went is told"


@pytest.mark.parametrize(("n", "merged"), [(2, [9]), (3, [9, 1]), (4, [9, 9]), (5, [9, 9, 1])])
def test_merge_takes_a_run_of_one_token_from_the_left(n, merged):
    ids = [1] * n
    list(data.merge(ids, (1, 1), 9))
    assert ids == merged


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
    assert tokenizer.eos_id not in ids and tokenizer.decode(ids) == text
    assert tokenizer.decode([tokenizer.eos_id]) == "<|endoftext|>"  # only the id itself is the end


@pytest.mark.parametrize(
    "through", [lambda state: state, lambda state: json.loads(json.dumps(state))], ids=["", "json"]
)
def test_a_tokenizer_is_the_same_after_its_state(tokenizer, through):
    again = Tokenizer.from_state(through(tokenizer.state()))
    assert (again.tokens, again.pattern, again.eos_id) == (tokenizer.tokens, tokenizer.pattern, tokenizer.eos_id)
    assert again.vocab_size == tokenizer.vocab_size
    for text in STRINGS.values():
        assert again.encode(text) == tokenizer.encode(text)


def slow_encode(text, merges):
    out = []
    for word in re.findall(data.WORD, text):
        ids = list(word.encode())
        for new, pair in enumerate(merges, 256):
            ids = slow_merge(ids, pair, new)
        out += ids
    return out


@pytest.mark.parametrize("name", TEXTS)
def test_encoding_replays_the_merges_in_order(name):
    tokens, merges = slow_bpe(TEXTS[name], 340)
    tokenizer = Tokenizer(tokens)
    other = " aaaaaaaaaaa abcabcabcaba the thermal cathat 서울의 한국 😁😀 Instructions:\n\n12 ###"
    for text in (TEXTS[name], other):
        assert tokenizer.encode(text) == slow_encode(text, merges)


@pytest.mark.parametrize("kind", ["letters", "Chinese", "base64", "one sign"])
def test_text_without_spaces_costs_seconds_and_comes_back(kind):
    """A word as long as the text would cost its square; four seconds a million letters on a slow machine."""
    rng, n = random.Random(0), 100_000
    text = {"letters": "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=n)), "one sign": "=" * n,
            "Chinese": "".join(chr(0x4E00 + int(rng.paretovariate(0.6)) % 4000) for _ in range(n)),
            "base64": base64.b64encode(rng.randbytes(n)).decode()}[kind]
    start = time.process_time()
    tokenizer = Tokenizer(train_bpe(text, 1500))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert time.process_time() - start < 10
