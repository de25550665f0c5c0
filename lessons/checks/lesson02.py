"""Checks of lesson 2: each takes the learner's function and names the likely mistake."""

import re
from collections import Counter

from checks import by_hand, call
from data import WORD, Tokenizer


@by_hand()
def count_pairs(function):
    parts, counts = [[1, 2, 1, 2], [2, 3], [4]], [1, 10, 5]
    result = call(function, parts, counts)
    assert parts == [[1, 2, 1, 2], [2, 3], [4]], "you changed the words; counting leaves them alone"
    assert isinstance(result, dict), "return a Counter (or a dict) {(id, id): count}"
    assert all(
        isinstance(pair, tuple) and len(pair) == 2 for pair in result
    ), "a key is a pair: a tuple of two ids"
    result = {pair: count for pair, count in result.items() if count}
    across = [pair for pair in result if pair in ((3, 4), (2, 2))]
    assert not across, f"{across[0]} is across two words; pairs are neighbors in one word"
    assert (
        2,
        1,
    ) in result, (
        "in [1, 2, 1, 2] the pair (2, 1) is missing; neighbors overlap, so do not step by two"
    )
    assert (
        result.get((2, 3)) != 1
    ), "(2, 3) is in a word that occurs 10 times in the text; count it 10 times"
    assert result.get((1, 2)) != 1, "(1, 2) occurs twice in [1, 2, 1, 2]; every position counts"
    assert result == {
        (1, 2): 2,
        (2, 1): 1,
        (2, 3): 10,
    }, f"expected (1, 2): 2, (2, 1): 1, (2, 3): 10, you have {result}"
    assert dict(call(function, [[7, 7, 7]], [2])) == {
        (7, 7): 4
    }, "[7, 7, 7], twice in the text, has (7, 7) 4 times"
    print("right: neighbors in a word, as often as the word occurs in the text")


@by_hand("data.merge")
def join_pair(function):
    ids = [1, 2, 3, 1, 2]
    result = call(function, ids, (1, 2), 9)
    assert ids == [1, 2, 3, 1, 2], "you changed the caller's list; build a new one"
    assert isinstance(result, (list, tuple)), "return a list"
    result = list(result)
    assert result != [
        9, 2, 3, 9, 2,
    ], "the second id of the pair is still there; after a join go on behind both"
    assert result != [9, 3, 1, 2], "only the first position was joined; join every one"
    cases = [
        ([1, 2, 3, 1, 2], (1, 2), [9, 3, 9], "the pair at both ends"),
        ([3, 1, 2, 4], (1, 2), [3, 9, 4], "the last id must not get lost"),
        ([2, 1, 2, 1], (1, 2), [2, 9, 1], "the order of the pair matters: (2, 1) is another pair"),
        ([1, 1, 1], (1, 1), [9, 1], "three equal ids contain the pair once, from the left"),
        ([1, 1, 1, 1], (1, 1), [9, 9], "four equal ids contain the pair twice"),
        ([5], (1, 2), [5], "a list with one id"),
        ([], (1, 2), [], "an empty list"),
    ]
    for ids, pair, expected, why in cases:
        result = list(call(function, list(ids), pair, 9))
        assert (
            result == expected
        ), f"{ids} with {pair} -> 9: expected {expected}, you have {result} ({why})"
    again = call(function, [1, 1, 2, 2], (1, 2), 1)
    assert list(again) == [1, 1, 2], "a new id must not be joined again in the same walk"
    print("right: from the left, each position once")


def oracle(text, vocab_size):
    """Train the same vocabulary slowly: words stay lists of byte strings, and all pairs are counted
    anew each time."""
    words = [[bytes([byte]) for byte in word.encode()] for word in re.findall(WORD, text)]
    tokens = [bytes([byte]) for byte in range(256)]
    while len(tokens) < vocab_size - 1:
        pairs = Counter((a, b) for word in words for a, b in zip(word, word[1:]))
        if not pairs:
            break
        most = max(pairs.values())
        ids = {token: i for i, token in enumerate(tokens)}
        a, b = min((p for p in pairs if pairs[p] == most), key=lambda p: (ids[p[0]], ids[p[1]]))
        tokens.append(a + b)
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == (a, b):
                    word[i : i + 2] = [a + b]
                i += 1
    return tokens


@by_hand("data.train_bpe", "checks.lesson02.oracle")
def train_slowly(function):
    bytes_only = [bytes([byte]) for byte in range(256)]
    result = call(function, "aaab aaab", 258)
    assert isinstance(result, (list, tuple)) and all(
        isinstance(t, bytes) for t in result
    ), "return a list of bytes"
    result = list(result)
    assert result[:256] == bytes_only, "the list begins with the 256 single bytes, in order"
    assert len(result) != 258, "one id is kept for the eos: 258 ids are 257 tokens"
    assert len(result) == 257, f"asked for 258 ids: expected 257 tokens, you have {len(result)}"
    assert (
        result[256] == b"aa"
    ), f"in 'aaab aaab' the most frequent pair is b'aa', you joined {result[256]}"
    long = call(function, "ab ab", 400)
    assert len(long) < 399, "no pair was left, and the list still grew"
    assert (
        b"ab ab" not in long and b"b " not in long
    ), "a token spans two words; cut the text with WORD first"
    assert list(long[256:]) == [
        b"ab",
        b" ab",
    ], f"'ab ab' gives b'ab', then b' ab', you have {long[256:]}"
    tie = call(function, "zy ba", 258)
    assert (
        tie[256] == b" b"
    ), f"a tie goes to the smaller pair of ids: expected b' b', you have {tie[256]}"
    often = call(function, "abc bbc xy xy xy", 258)
    assert (
        often[256] == b" x"
    ), f"a word that occurs three times counts three times: expected b' x', you have {often[256]}"
    for text in ("a banana, a bandana, bananas and a banner", "고양이 고양이 개 개 개"):
        result, expected = call(function, text, 270), oracle(text, 270)
        wrong = next(
            (i for i, pair in enumerate(zip(result, expected)) if pair[0] != pair[1]), None
        )
        assert (
            wrong is None
        ), f"{text!r}: token {wrong} should be {expected[wrong]}, you have {result[wrong]}"
        assert len(result) == len(
            expected
        ), f"{text!r}: expected {len(expected)} tokens, you have {len(result)}"
    print("right: count, take the most frequent pair, join, repeat")


def clean_border(tokenizer, prompt, answer):
    """Test whether some token ends exactly where the prompt ends. The lesson goes on with this one.
    """
    ends = [0]
    for token in tokenizer.encode(prompt + answer):
        ends.append(ends[-1] + len(tokenizer.token_bytes(token)))
    return len(prompt.encode()) in ends


@by_hand("checks.lesson02.clean_border")
def border(function):
    joined = [b"Th", b"The", b" The", b"on", b"one", b"\xeb\xac", b"\xeb\xac\xbc"]
    tokenizer = Tokenizer([bytes([byte]) for byte in range(256)] + joined)
    cases = [
        ("A:\n", "The", 3, True, "A : newline | The"),
        (
            "A: ", "The", 3, False,
            "A : and ' The', which begins in the prompt and reaches into the answer",
        ),
        ("A:", " The", 2, True, "A : | ' The'"),
        (
            "물:\n", "The", 3, True,
            "물 is one token of three bytes, then : and newline; count bytes, not characters",
        ),
        (
            "개: ", "The", 5, False,
            "개 is three tokens, each one byte, then : and ' The'; count bytes, not characters",
        ),
        ("A:\no", "ne", 4, False, "A : newline and 'one'"),
        ("", "The", 0, True, "nothing begins in an empty prompt"),
        ("A:", "", 2, True, "an empty answer"),
    ]
    for prompt, answer, n, clean, why in cases:
        result = call(function, tokenizer, prompt, answer)
        assert (
            isinstance(result, (tuple, list)) and len(result) == 2
        ), "return two things: (n, clean)"
        case = f"{prompt!r} + {answer!r} ({why})"
        assert (
            bool(result[1]) == clean
        ), f"{case}: expected clean {clean}, you have {result[1]}; look at the last byte of a token"
        assert result[0] == n, (
            f"{case}: expected n {n}, you have {result[0]}; count the tokens that begin in the"
            " prompt"
        )
    print("right: the border is where a token ends, or inside one")
