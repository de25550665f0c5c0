"""Byte pairs: the fast trainer learns the tokens of one that recounts everything, and encoding
loses no character."""

import json
import random
import re
from collections import Counter
from itertools import pairwise

import pytest
from helpers import EOS, FAMILY, HEADER, TRAINING_TEXT

import data
from data import Tokenizer, train_bpe

# --------------------------------------------------------------------------------------------------
# Oracles for byte pairs. They are slow, and remember nothing between two merges.


def slow_merge(ids, pair, new):
    ids, i = list(ids), 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == pair:
            ids[i : i + 2] = [new]
        i += 1
    return ids


def slow_bpe(text, vocab_size):
    """Return (tokens, merges in order): count all pairs of all words again before every merge."""
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


def slow_encode(text, merges):
    tokens = []
    for word in re.findall(data.WORD, text):
        ids = list(word.encode())
        for new, pair in enumerate(merges, 256):
            ids = slow_merge(ids, pair, new)
        tokens += ids
    return tokens


def random_text(seed):
    return "".join(random.Random(seed).choices("aaabbcde  \n.,7한é\U0001f600", k=500))


TEXTS = {
    "empty": "",
    "one letter": "a",
    "repeated": "aaaa aaa aaaaa aa aaaaaaa " * 3,
    "overlapping": "abababab bababa aabbaabb abcabcab",
    "ties": "ab cd ef gh ba dc",
    "sentences": "the cat sat on the mat. the rat ran, and the cat ran after the rat.\n\n" * 2,
    "accents": "naïve café, über naïveté; e\u0301te\u0301 Ελληνικά привет привет",
    "Korean": "한국의 수도는 서울이다. 일본의 수도는 도쿄이다. 한국어는 한국의 언어이다.",
    "emoji": f"\U0001f600\U0001f600\U0001f601 {FAMILY}{FAMILY} \U0001f1f0\U0001f1f7\U0001f1f0",
    "headers": TRAINING_TEXT,
    "random": random_text(0),
}
OTHER_TEXT = " aaaaaaaaaaa abcabcabcaba the thermal cathat 서울의 한국 😁😀 Instructions:\n\n12 ###"


@pytest.mark.parametrize("name", TEXTS)
def test_the_trainer_learns_the_tokens_of_one_that_recounts_everything(name):
    text = TEXTS[name]
    tokens, merges = slow_bpe(text, 360)
    for vocab_size in (257, 258, 360):
        assert train_bpe(text, vocab_size) == tokens[: vocab_size - 1]
    assert "".join(re.findall(data.WORD, text)) == text, "the words are the text"

    tokenizer = Tokenizer(tokens)
    for other in (text, OTHER_TEXT):
        assert tokenizer.encode(other) == slow_encode(other, merges)


def test_the_classic_example_by_hand():
    # aaabdaaabac: aa 4 times -> ZabdZabac: Za and ab twice, ab is the smaller -> ZYdZYac: ZY twice
    # -> XdXac: all once, the smaller pair first: ac, then d+X, X+dX, and the whole word
    merged = [b"aa", b"ab", b"aaab", b"ac", b"daaab", b"aaabdaaab", b"aaabdaaabac"]
    assert train_bpe("aaabdaaabac", 256 + 3 + 1)[256:] == merged[:3]
    assert train_bpe("aaabdaaabac", 1000)[256:] == merged  # no pair is left


def test_a_vocabulary_has_its_size_with_the_eos_and_no_token_twice():
    tokenizer = Tokenizer(train_bpe(TRAINING_TEXT, 300))
    sizes = (tokenizer.vocab_size, tokenizer.eos_id, len(tokenizer.tokens))
    assert sizes == (300, 299, 299) and len(set(tokenizer.tokens)) == 299


def test_a_word_keeps_the_space_before_it():
    words = ["One", " two", " ", " 3", "rd", ",", " a", "_", "b", "!", "\n", "\n", "End", " "]
    assert re.findall(data.WORD, "One two  3rd, a_b!\n\nEnd ") == words


@pytest.mark.parametrize(
    ("ids", "pair", "merged"),
    [
        ([1, 2, 3, 1, 2], (1, 2), [9, 3, 9]),
        ([1, 2, 1, 2, 1], (1, 2), [9, 9, 1]),
        ([1, 1, 2], (1, 2), [1, 9]),
        ([2, 1], (1, 2), [2, 1]),
        ([], (1, 2), []),
        ([1] * 4, (1, 1), [9, 9]),
        ([1] * 5, (1, 1), [9, 9, 1]),
    ],
)
def test_merge_by_hand_and_the_pairs_that_it_reports(ids, pair, merged):
    ids = list(ids)
    counts = Counter(pairwise(ids))
    for neighbors, change in data.merge(ids, pair, 9):
        counts[neighbors] += change
    assert ids == merged and +counts == Counter(pairwise(merged))


# --------------------------------------------------------------------------------------------------
# The tokenizer

STRINGS = {
    "empty": "",
    "spaces": "  a   b    ",
    "only spaces": " " * 500,
    "tabs and newlines": "\t\ta\t b\t\n\na\n \n b\n",
    "carriage returns": "a\r\nb\r\n\r\na\rb\r\r",
    "Korean": "한국의 수도는 서울이다. \u1112\u1161\u11ab\u1100\u116e\u11a8",
    "emoji": f"\U0001f600 {FAMILY} \U0001f44d\U0001f3fd",
    "combining marks": "e\u0301 a\u0323\u0302 \u0301 n\u0303o",
    "other scripts": "שלום, العربية \u200f नमस्ते दुनिया",
    "odd white space": "a\u00a0b\u3000c\u200bd\ufeffe\x1cf\x1fg\u2028b\u2029c\u0085d\x0be\x0cf",
    "NUL": "\0a\0\0",
    "other digits": "²³ ½ ٣٤ Ⅷ _1_ __ a_b",
    "one long word": "a" * 5000,
    "beyond the BMP": "\U00010348\U0010ffff",
    "eos as text": f"a{EOS}b {EOS}\n{HEADER}{EOS}",
}


@pytest.mark.parametrize("name", STRINGS)
def test_tokens_are_the_text_and_its_bytes(tokenizer, name):
    text = STRINGS[name]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    assert tokenizer.eos_id not in ids, "only the id itself is the eos"
    again = Tokenizer.from_state(json.loads(json.dumps(tokenizer.state())))
    assert again.encode(text) == ids


def test_every_code_point_comes_back(tokenizer):
    points = [*range(0xD800), *range(0xE000, 0x10000), *range(0x10000, 0x110000, 64)]
    random.Random(0).shuffle(points)
    text = "".join(map(chr, points))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_sequence_of_tokens_decodes(tokenizer, byte_tokenizer):
    ids = random.Random(0).choices(range(tokenizer.vocab_size), k=5000)
    assert isinstance(tokenizer.decode(ids), str)
    assert tokenizer.decode([tokenizer.eos_id]) == EOS
    assert byte_tokenizer.decode([0x61, 0xFF, 0x62]) == "a\ufffdb"  # not UTF-8
    assert byte_tokenizer.decode([0xED, 0x95, 0x9C]) == "한"


def test_text_without_spaces_is_cut_into_words_all_the_same():
    """A word as long as the text would take a time that grows with its square."""
    for letters in ("a" * 1000, "한국어" * 300, "0123456789" * 100, "=_" * 500, "\n" * 1000):
        words = re.findall(data.WORD, f" {letters}")
        assert max(map(len, words)) <= 33 and "".join(words) == f" {letters}"
