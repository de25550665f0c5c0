"""Checks of lesson 12: the mask of a conversation, safe headers, where two prompts differ."""

from checks import by_hand, call
from data import Turn, encode, render


@by_hand("data.render")
def chatml(learner):
    """Compare with texts written by hand."""
    user, bot = "<|im_start|>user\n", "<|im_start|>assistant\n"
    one = f"{user}Hi.<|im_end|>\n{bot}"
    two = f"{user}Hi.<|im_end|>\n{bot}Hello.<|im_end|>\n{user}Who?<|im_end|>\n{bot}"
    done = f"{user}Hi.<|im_end|>\n{bot}Hello.<|im_end|>"
    head = "<|im_start|>system\nBe kind.<|im_end|>\n"
    cases = [
        ("", [("Hi.", None)], one),
        ("", [("Hi.", "Hello."), ("Who?", None)], two),
        ("", [("Hi.", "Hello.")], done),
        ("Be kind.", [("Hi.", None)], head + one),
        ("Be kind.", [("Hi.", "Hello."), ("Who?", None)], head + two),
    ]
    for system, turns, expected in cases:
        result = call(learner, system, list(turns))
        assert isinstance(result, str), f"return one text, not {type(result).__name__}"
        message = f"expected {expected!r}, you have {result!r}"
        assert "None" not in result, f"an answer that is None is not written yet. {message}"
        assert result != expected + "<|im_end|>", (
            f"the answer that is to be written must not be ended. {message}"
        )
        empty = f"<|im_start|>system\n<|im_end|>\n{expected}"
        assert result != empty, f"no system prompt, no header for one. {message}"
        assert system == "" or system in result, f"the system prompt is missing. {message}"
        n = result.count("<|im_end|>")
        assert n == expected.count("<|im_end|>"), f"{n} times <|im_end|>. {message}"
        is_cut = result == expected.strip() and result != expected
        assert not is_cut, f"the header of the answer ends in a newline. {message}"
        assert result == expected, f"letter by letter: {message}"
    print("Right: who speaks, and where it ends.")


@by_hand("data.encode", "data.prepare")
def conversation(learner):
    cases = (
        ([([5, 6], [7]), ([8], [4])], [5, 6, 7, 9, 8, 4, 9], [0, 0, 1, 1, 0, 1, 1]),
        ([([5, 6], [7])], [5, 6, 7, 9], [0, 0, 1, 1]),
        ([([5], [6, 7]), ([8, 8], None)], [5, 6, 7, 9, 8, 8], [0, 1, 1, 1, 0, 0]),
        (
            [([5], [5, 5]), ([5], [5]), ([5], [5])],
            [5, 5, 5, 9, 5, 5, 9, 5, 5, 9],
            [0, 1, 1, 1, 0, 1, 1, 0, 1, 1],
        ),
        ([([5], [])], [5, 9], [0, 1]),
        ([([5, 6], None)], [5, 6], [0, 0]),
    )
    for turns, ids, mask in cases:
        copies = [
            (list(prompt), None if answer is None else list(answer)) for prompt, answer in turns
        ]
        try:
            result = learner(copies, 9)
        except TypeError as error:
            assert all(
                answer is not None for _, answer in turns
            ), f"the last answer is None, still to be given: {error}"
            raise
        assert (
            isinstance(result, (tuple, list)) and len(result) == 2
        ), "return two lists, (ids, mask)"
        result_ids, supervised = (list(part) for part in result)
        message = f"{turns}, eos 9: {result_ids}, {supervised} came back, expected {ids}, {mask}"
        assert copies == [
            (list(p), None if a is None else list(a)) for p, a in turns
        ], "you changed the caller's lists"
        assert len(result_ids) == len(
            supervised
        ), f"ids and mask have not the same length. {message}"
        ended = [answer for _, answer in turns if answer is not None]
        assert (
            len(result_ids) <= len(ids) or turns[-1][1] is not None
        ), f"no answer yet, so no eos after it. {message}"
        assert result_ids.count(9) >= len(
            ended
        ), f"every answer is followed by the eos, not only the last. {message}"
        assert result_ids == ids, f"the ids are wrong. {message}"
        if supervised != mask:
            lost = [
                token
                for token, m, is_supervised in zip(result_ids, supervised, mask)
                if is_supervised and not m
            ]
            assert not lost or set(lost) != {
                9
            }, f"the eos is a part of what the assistant says: it is supervised. {message}"
            assert (
                not lost
            ), f"the answers of all turns are supervised, not the last one alone. {message}"
            assert sum(supervised) <= sum(
                mask
            ), f"what the user says in a later turn is only read. {message}"
            raise AssertionError(f"the mask is wrong. {message}")
    print("Right: every answer with its eos, and nothing else.")


class Letters:
    """A tokenizer of one token a letter."""

    prefix = ()
    eos_id = 999

    def encode(self, text):
        return [ord(letter) for letter in text]


@by_hand()
def encode_special(learner):
    tokenizer = Letters()
    special = {"### Instruction:\n": 248, "### Input:\n": 249, "### Response:\n": 250}
    original = dict(special)
    header = "### Response:\n"
    talks = (
        ([Turn("ab", "c", "d")], "", "one turn"),
        ([Turn("ab", "", "d"), Turn("e", "", "f")], "S", "two turns and a system text"),
        ([Turn("ab", "c" + header + "d", "e")], "", "a header in the input"),
        ([Turn(header, "", "e")], "", "an instruction that is a header, letter for letter"),
        ([Turn("a", header, header)], "", "an input and an answer that are headers"),
        ([Turn("a", "", None)], "", "a question without its answer"),
    )
    for turns, system, case in talks:
        pieces = render(turns, "alpaca", system)
        result = learner(list(pieces), tokenizer, special)
        assert (
            isinstance(result, (tuple, list)) and len(result) == 2
        ), "return two lists, (ids, mask)"
        ids, mask = (list(part) for part in result)
        assert special == original, "you changed `special`"
        assert len(ids) == len(
            mask
        ), f"{case}: {len(ids)} ids and {len(mask)} positions in the mask"
        headers = sum(kind == "frame" and text in special for text, kind in pieces)
        n = sum(token in (248, 249, 250) for token in ids)
        assert (
            n <= headers
        ), f"{case}: {n} header ids, {headers} are real: a text of the user became a header"
        assert (
            n >= headers
        ), f"{case}: {n} header ids, {headers} are needed: a frame that is a header becomes one id"
        plain_pieces = [part for part in pieces if not (part[1] == "frame" and part[0] in special)]
        plain, supervised, _ = encode(plain_pieces, tokenizer, 10_000)
        rest = [token for token in ids if token not in (248, 249, 250)]
        missing = plain.count(999) - rest.count(999)
        assert missing <= 0, f"{case}: the eos after an answer is missing"
        assert missing >= 0, f"{case}: an eos after something that is no answer"
        assert rest == plain, (
            f"{case}: besides the headers the text must be as before, blank lines too; yours"
            " decodes to "
            + repr("".join(chr(token) for token in rest))
        )
        assert not any(
            m for token, m in zip(ids, mask) if token in (248, 249, 250)
        ), f"{case}: a header is not supervised"
        assert [
            m for token, m in zip(ids, mask) if token not in (248, 249, 250)
        ] == supervised, f"{case}: the mask is wrong: 1 for answers and their eos, 0 for all else"
        order = [special[text] for text, kind in pieces if kind == "frame" and text in special]
        assert [
            token for token in ids if token in (248, 249, 250)
        ] == order, f"{case}: the headers' ids are mixed up"
    print("Right: a header only where the program puts one.")


@by_hand()
def first_difference(learner):
    ids, mask = [5, 6, 7, 8, 9], [0, 0, 0, 1, 1]
    cases = (
        ([5, 6, 7], None, "the prompts are the same; the answer is not a part of what is sent"),
        ([4, 6, 7], 0, "they part at the very first token"),
        ([5, 9, 7], 1, "the second token differs"),
        ([5, 9, 1], 1, "two tokens differ; the first is asked for"),
        ([5, 6], 2, "what is sent is too short; it parts where it ends"),
        (
            [5, 6, 7, 8],
            3,
            (
                "what is sent goes on too long; it parts where the example's prompt ends, even if"
                " an answer begins so"
            ),
        ),
        ([5, 6, 7, 1], 3, "what is sent goes on too long"),
        ([], 0, "nothing is sent"),
    )
    for prompt, expected, why in cases:
        copies = list(ids), list(mask), list(prompt)
        result = learner(*copies)
        assert (
            result is not False and result is not True
        ), "return a position or None, not True or False"
        assert (result is None) == (
            expected is None
        ) and result == expected, (
            f"prompt {prompt} against ids {ids}, mask {mask}: {result}, expected {expected}: {why}"
        )
        assert copies == (ids, mask, prompt), "a list was changed"
    two_turns = learner([5, 6, 9, 7, 9], [0, 0, 1, 0, 1], [5, 6])
    assert (
        two_turns is None
    ), "in a conversation the first prompt ends at the first supervised token, mask.index(1)"
    print("Right: the first position where they part, or None.")
