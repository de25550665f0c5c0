"""The mask, against oracles that share no code with it.

- Supervised is every answer with its eos, and nothing else. The rest is the published prompt.
- Seeded bugs: `prepare` itself stops a wrong mask; the oracles here stop a wrong shift or padding.
- Truncation: inputs become shorter, answers never.
"""

import random
from itertools import groupby

import pytest
import torch
from helpers import EOS, FAMILY, HEADER, alpaca, encode_turns, row_of, supervised_answers

import data
from data import TEMPLATES, Turn, encode, prepare, render, shift
from model import IGNORE

# --------------------------------------------------------------------------------------------------
# The format. The prompts are written out here as they were published.

BELOW = "Below is an instruction that describes a task"
WRITE = "Write a response that appropriately completes the request.\n\n"
ALONE = f"{BELOW}. {WRITE}"
PAIRED = f"{BELOW}, paired with an input that provides further context. {WRITE}"


def plain(instruction, input):
    return f"Question: {instruction}\n" + (f"Text: {input}\n" if input else "") + "Answer: "


PUBLISHED = {  # (instruction, input, first turn?) -> the text before the answer
    "alpaca": lambda q, x, first: ("" if first else "\n\n") + alpaca(q, x),
    "alpaca_preamble": lambda q, x, first: (
        ((PAIRED if x else ALONE) if first else "\n\n") + alpaca(q, x)
    ),
    "plain": lambda q, x, first: ("" if first else "\n\n") + plain(q, x),
}

# Whole conversations as the makers of the models show them, with our eos instead of theirs.
SYSTEM = "Be brief."
TWO_TURNS = [("Hi.", "", "Hello."), ("Who are you?", "", "A model.")]
CHATS = {
    "chatml": f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n"
    f"<|im_start|>assistant\nHello.{EOS}\n<|im_start|>user\nWho are you?<|im_end|>\n"
    f"<|im_start|>assistant\nA model.{EOS}",
    # Meta's code has one more space before the eos
    "llama2": f"<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi. [/INST] Hello.{EOS}"
    f"<s>[INST] Who are you? [/INST] A model.{EOS}",
    "llama3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi.<|eot_id|>"
    f"<|start_header_id|>assistant<|end_header_id|>\n\nHello.{EOS}"
    "<|start_header_id|>user<|end_header_id|>\n\nWho are you?<|eot_id|>"
    f"<|start_header_id|>assistant<|end_header_id|>\n\nA model.{EOS}",
    # without a system prompt of its own: it comes before the first question
    "mistral": f"<s>[INST] Be brief.\n\nHi. [/INST] Hello.{EOS}"
    f"[INST] Who are you? [/INST] A model.{EOS}",
    "zephyr": f"<|system|>\nBe brief.</s>\n<|user|>\nHi.</s>\n<|assistant|>\nHello.{EOS}"
    f"\n<|user|>\nWho are you?</s>\n<|assistant|>\nA model.{EOS}",
    "tulu": f"<|system|>\nBe brief.\n<|user|>\nHi.\n<|assistant|>\nHello.{EOS}"
    f"\n<|user|>\nWho are you?\n<|assistant|>\nA model.{EOS}",
    "alpaca": f"Be brief.\n\n### Instruction:\nHi.\n\n### Response:\nHello.{EOS}"
    f"\n\n### Instruction:\nWho are you?\n\n### Response:\nA model.{EOS}",
}


@pytest.mark.parametrize("template", CHATS)
def test_a_chat_with_a_system_prompt_is_the_published_text(tokenizer, template):
    ids, mask, _ = encode_turns(tokenizer, template, TWO_TURNS, 4096, SYSTEM)
    assert tokenizer.decode(ids) == CHATS[template]
    assert supervised_answers(tokenizer, shift(ids, mask)[1]) == ["Hello." + EOS, "A model." + EOS]


def test_every_template_is_compared_with_its_published_form():
    assert set(TEMPLATES) == set(PUBLISHED) | set(CHATS)


CONVERSATIONS = [
    [("What is the capital of France?", "", "Paris.")],
    [("Translate.", "cat", "고양이")],
    [("Hi.", "", "Hello."), ("And now?", "some text", "Bye.")],
    [(f"q{i}", "x" * (i % 2), f"a{i}") for i in range(4)],
    [("Yes?", "Yes.", "Yes."), ("Yes.", "", "Yes.")],  # the same text everywhere
    [("수도는?", FAMILY, "e\u0301 서울 \U0001f600\u2028")],
    [("q", "x", HEADER)],  # the answer is a header
    [("q", "", alpaca("a", "b") + "c")],  # the answer has all headers
    [(HEADER, HEADER, "### Response:")],
    [("{}", "{0} {} {x}", "{} {{}}")],
    [(EOS, f"a {EOS}", EOS), ("q", "", f"b{EOS}")],  # the eos as text
    [(" q \n", "\n x\t", "\n\n a \n")],
    [("q", "x", "a")],
    [("q\r\n", "x\r\ny", "a\r\nb")],
]


def runs(ids, mask) -> list:
    """Split into [(supervised or not, consecutive ids)]."""
    assert len(ids) == len(mask) and set(mask) <= {0, 1}
    groups = groupby(zip(ids, mask), key=lambda pair: pair[1])
    return [(supervised, [token for token, _ in group]) for supervised, group in groups]


@pytest.mark.parametrize("template", TEMPLATES)
def test_exactly_the_answers_with_their_eos_are_supervised(tokenizer, template):
    for turns in CONVERSATIONS:
        ids, mask, truncated = encode_turns(tokenizer, template, turns, 4096)
        answers = supervised_answers(tokenizer, shift(ids, mask)[1])
        assert answers == [answer + EOS for _, _, answer in turns] and not truncated
        assert ids.count(tokenizer.eos_id) == len(turns) and ids[-1] == tokenizer.eos_id
        assert prepare([row_of(*turns)], tokenizer, template, 4096) == ([(ids, mask)], [], [])


@pytest.mark.parametrize("template", PUBLISHED)
def test_published_prompts_alternate_with_the_answers(tokenizer, template):
    for turns in CONVERSATIONS:
        ids, mask, _ = encode_turns(tokenizer, template, turns, 4096)
        expected = []
        for i, (instruction, input, answer) in enumerate(turns):
            expected.append((0, PUBLISHED[template](instruction, input, i == 0)))
            expected.append((1, answer + EOS))
        assert [(kind, tokenizer.decode(run)) for kind, run in runs(ids, mask)] == expected


def test_every_piece_says_what_it_is():
    turns = [Turn("q", "some text", "a"), Turn("r", output="b"), Turn("s")]
    pieces = render(turns, "alpaca", "S")
    kinds = [(text, kind) for text, kind in pieces if kind != "frame"]
    first = [("S", "system"), ("q", "instruction"), ("some text", "input"), ("a", "answer")]
    assert kinds == first + [("r", "instruction"), ("b", "answer"), ("s", "instruction")]
    assert pieces[-1] == (HEADER, "frame"), "an open turn ends where its answer begins"


def test_pieces_are_tokenized_apart(tokenizer):
    """So no word of a user merges into a header, and no answer into the prompt before it."""
    for text in ("a", " a", "\n", "\n\na\n\n", "#", "\u0301", "\u200d", ":\n", "_", "한", "\r\n"):
        ids = encode_turns(tokenizer, "alpaca", [(text, text, text)], 4096)[0]
        parts = ["### Instruction:\n", text, "\n\n", "### Input:\n", text, "\n\n", HEADER, text]
        assert ids == sum(map(tokenizer.encode, parts), []) + [tokenizer.eos_id]
    together = alpaca("q", "") + "\n\na"  # is the test needed? This text's tokens cross the border
    prompt = encode_turns(tokenizer, "alpaca", [("q",)], 4096)[0]
    assert tokenizer.encode(together)[: len(prompt)] != prompt


# --------------------------------------------------------------------------------------------------
# The shift and the padding


def test_shift_by_hand():
    assert shift([5, 6, 7, 8], [0, 0, 1, 1]) == ([5, 6, 7], [IGNORE, 7, 8])
    assert shift([5, 6, 7, 8], [0, 1, 0, 1]) == ([5, 6, 7], [6, IGNORE, 8])
    assert shift([5, 6, 7], [1, 0, 0]) == ([5, 6], [IGNORE, IGNORE])  # nothing predicts the first
    assert shift([0, 0, 0], [0, 1, 1]) == ([0, 0], [0, 0])  # id 0 is a token like any other
    assert IGNORE == -100


def check_alignment():
    """Position t reads token t and predicts t + 1. All tokens differ, so none can be confused."""
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
    """Three rows of different lengths, which contain the padding's token, too."""
    examples = [([1, 99], [0, 1]), ([3, 4, 5, 99, 7], [0, 0, 1, 1, 1]), ([99, 8, 99], [0, 0, 1])]
    inputs, targets = data.collate(examples, 99)
    assert inputs.tolist() == [[1, 99, 99, 99], [3, 4, 5, 99], [99, 8, 99, 99]]
    assert targets.tolist() == [[99, -100, -100, -100], [-100, 5, 99, 7], [-100, 99, -100, -100]]
    assert inputs.dtype == targets.dtype == torch.long


def test_targets_are_the_inputs_one_later():
    check_alignment()


def test_padding_is_on_the_right_and_never_supervised():
    check_padding()


def test_lengths_are_rounded_up_with_padding_only():
    examples = [([3, 4, 5], [0, 1, 1]), ([3, 4], [0, 1])]
    for multiple, length in ((1, 2), (2, 2), (16, 16)):
        inputs, targets = data.collate(examples, 9, multiple)
        assert inputs.tolist()[0] == [3, 4] + [9] * (length - 2)
        assert targets.tolist()[0] == [4, 5] + [IGNORE] * (length - 2)


# --------------------------------------------------------------------------------------------------
# Seeded bugs. On these rows each bug changes what is supervised.

TRAPS = [
    # the question begins with the header, and contains the answer's first word
    [(HEADER + "Paris or Rome?", "Paris", "Paris, the capital.")],
    [(HEADER + "Say yes.", "yes", "yes yes"), ("yes?", "", f"yes {EOS}")],
]


def from_position(ids, start):
    return [0] * start + [1] * (len(ids) - start)


def header_supervised(tok, ids, mask, answers):
    wide = list(mask)
    for i in range(1, len(mask)):
        if mask[i] and not mask[i - 1]:
            n = len(tok.encode(HEADER))
            wide[i - n : i] = [1] * n
    return wide


def from_first_value(tok, ids, mask, answers):
    return from_position(ids, ids.index(tok.encode(answers[0])[0]))


def as_long_as_the_answer(tok, ids, mask, answers):
    answer = tok.encode(answers[0])
    start = ids.index(answer[0])
    return [int(start <= i <= start + len(answer)) for i in range(len(ids))]


def all_values(tok, ids, mask, answers):
    values = {tok.eos_id, *tok.encode(answers[-1])}
    return [int(token in values) for token in ids]


def after_first_header(tok, ids, mask, answers):
    header = tok.encode(HEADER)
    first = next(i for i in range(len(ids)) if ids[i : i + len(header)] == header)
    return from_position(ids, first + len(header))


def last_turn_only(tok, ids, mask, answers):
    return from_position(ids, len(ids) - len(tok.encode(answers[-1])) - 1)


MASK_MUTANTS = {  # (tokenizer, ids, right mask, answers) -> wrong mask
    "nothing masked": lambda tok, ids, mask, answers: [1] * len(ids),
    "everything masked": lambda tok, ids, mask, answers: [0] * len(ids),
    "off by one left": lambda tok, ids, mask, answers: mask[1:] + [1],
    "off by one left, eos lost": lambda tok, ids, mask, answers: mask[1:] + [0],
    "off by one right": lambda tok, ids, mask, answers: [0] + mask[:-1],
    "inverted": lambda tok, ids, mask, answers: [1 - bit for bit in mask],
    "eos masked": lambda tok, ids, mask, answers: [
        bit * (token != tok.eos_id) for bit, token in zip(mask, ids)
    ],
    "only the eos": lambda tok, ids, mask, answers: [int(token == tok.eos_id) for token in ids],
    "header supervised": header_supervised,
    "found by the answer's first token": from_first_value,
    "found by value, as long as the answer": as_long_as_the_answer,
    "found by the tokens of the answer": all_values,
    "found by the header from the left": after_first_header,
}


def plant_mask(monkeypatch, mutant):
    def wrong(pieces, tokenizer, block_size):
        ids, mask, truncated = encode(pieces, tokenizer, block_size)
        answers = [text for text, kind in pieces if kind == "answer"]
        return ids, mutant(tokenizer, ids, mask, answers), truncated

    monkeypatch.setattr(data, "encode", wrong)


@pytest.mark.parametrize("mutant", MASK_MUTANTS)
def test_prepare_stops_a_wrong_mask(monkeypatch, tokenizer, mutant):
    rows = [row_of(*turns, source="pairs.jsonl:7") for turns in TRAPS]
    assert len(prepare(rows, tokenizer, "alpaca", 4096)[0]) == 2  # the rows themselves are fine
    plant_mask(monkeypatch, MASK_MUTANTS[mutant])
    for row in rows:
        with pytest.raises(AssertionError, match="pairs.jsonl:7"):
            prepare([row], tokenizer, "alpaca", 4096)


def test_prepare_stops_a_mask_that_forgets_the_earlier_turns(monkeypatch, tokenizer):
    plant_mask(monkeypatch, last_turn_only)
    prepare([row_of(("q", "", "a"))], tokenizer, "alpaca", 4096)  # right by luck
    with pytest.raises(AssertionError):
        prepare([row_of(*TRAPS[1])], tokenizer, "alpaca", 4096)


def test_searching_for_the_answer_is_right_by_luck_on_tame_rows(monkeypatch, tokenizer):
    """The traps above are needed: without them these bugs can't be seen."""
    for mutant in (after_first_header, from_first_value):
        plant_mask(monkeypatch, mutant)
        prepare([row_of(("b", "", "~~~"))], tokenizer, "alpaca", 4096)


def masked(ids, mask):
    return [token if supervised else IGNORE for token, supervised in zip(ids, mask)]


SHIFT_MUTANTS = {  # other tokens are supervised, so prepare sees it
    "nothing masked": lambda ids, mask: (ids[:-1], ids[1:]),
    "everything masked": lambda ids, mask: (ids[:-1], [IGNORE] * (len(ids) - 1)),
    "mask not shifted": lambda ids, mask: (ids[:-1], masked(ids[1:], mask[:-1])),
    "mask shifted twice": lambda ids, mask: (ids[:-1], masked(ids[1:], mask[2:] + [1])),
    "targets not shifted": lambda ids, mask: (ids[:-1], masked(ids, mask)[:-1]),
    "mask inverted": lambda ids, mask: (ids[:-1], masked(ids[1:], [1 - m for m in mask[1:]])),
}
ALIGNMENT_MUTANTS = {  # the right tokens at wrong positions: only the alignment shows it
    "no shift": lambda ids, mask: (ids, masked(ids, mask)),
    "shifted twice": lambda ids, mask: (ids[:-2], masked(ids[2:], mask[2:])),
    "inputs shifted": lambda ids, mask: (ids[1:], masked(ids, mask)[1:]),
    "wrong direction": lambda ids, mask: (ids[1:], [IGNORE] + masked(ids, mask)[1:-1]),
}


@pytest.mark.parametrize("mutant", SHIFT_MUTANTS | ALIGNMENT_MUTANTS)
def test_a_wrong_shift_is_stopped(monkeypatch, tokenizer, mutant):
    monkeypatch.setattr(data, "shift", (SHIFT_MUTANTS | ALIGNMENT_MUTANTS)[mutant])
    with pytest.raises(AssertionError):
        check_alignment()
    for turns in TRAPS if mutant in SHIFT_MUTANTS else ():
        with pytest.raises(AssertionError, match="pairs.jsonl:7"):
            prepare([row_of(*turns, source="pairs.jsonl:7")], tokenizer, "alpaca", 4096)


def padded(examples, in_inputs, in_targets, left=False):
    """Do the same as collate in plain lists, with the choices that it could get wrong."""
    inputs, targets = [], []
    longest = max(len(ids) for ids, _ in examples)
    for ids, mask in examples:
        x, y, n = ids[:-1], masked(ids, mask)[1:], longest - len(ids)
        inputs.append([in_inputs] * n + x if left else x + [in_inputs] * n)
        targets.append([in_targets] * n + y if left else y + [in_targets] * n)
    return torch.tensor(inputs), torch.tensor(targets)


def every_pad_masked(examples, pad):
    """The well-known bug: the eos pads, so real eos are masked with the padding."""
    inputs, targets = padded(examples, pad, IGNORE)
    return inputs, targets.masked_fill(targets == pad, IGNORE)


COLLATE_MUTANTS = {
    "padding supervised": lambda examples, pad: padded(examples, pad, pad),
    "padding supervised as token 0": lambda examples, pad: padded(examples, pad, 0),
    "padding on the left": lambda examples, pad: padded(examples, pad, IGNORE, left=True),
    "IGNORE in the inputs": lambda examples, pad: padded(examples, IGNORE, IGNORE),
    "eos masked with the padding": every_pad_masked,
}


def test_the_padding_oracle_stops_every_wrong_padding(monkeypatch):
    monkeypatch.setattr(data, "collate", lambda examples, pad: padded(examples, pad, IGNORE))
    check_padding()  # a right one passes
    for mutant in COLLATE_MUTANTS.values():
        monkeypatch.setattr(data, "collate", mutant)
        with pytest.raises(AssertionError):
            check_padding()


# --------------------------------------------------------------------------------------------------
# Truncation, with one token a byte

DIGITS = [("Do.", "0123456789", "answer")]
SIZE = len(alpaca("Do.", "0123456789") + "answer")  # the model needn't read the eos


def test_inputs_are_truncated_at_the_end_and_keep_one_token(byte_tokenizer):
    for n_cut in range(10):  # 0: it fits exactly
        ids, mask, truncated = encode_turns(byte_tokenizer, "alpaca", DIGITS, SIZE - n_cut)
        prompt = alpaca("Do.", "0123456789"[: 10 - n_cut]).encode()
        assert (ids, truncated) == (list(prompt + b"answer") + [256], n_cut > 0)
        assert mask == [0] * len(prompt) + [1] * 7
        assert len(shift(ids, mask)[0]) == SIZE - n_cut
    assert encode_turns(byte_tokenizer, "alpaca", DIGITS, SIZE - 10) == (None, None, True)


def test_one_token_too_many_without_an_input_to_truncate_is_none(byte_tokenizer):
    for input in ("", "x"):
        turns, size = [("Do.", input, "answer")], len(alpaca("Do.", input) + "answer")
        assert encode_turns(byte_tokenizer, "alpaca", turns, size)[0] is not None
        assert encode_turns(byte_tokenizer, "alpaca", turns, size - 1) == (None, None, True)


def test_kinds_are_truncated_in_the_given_order(byte_tokenizer):
    pieces = [("s" * 9, "system"), ("q" * 9, "instruction"), ("x" * 9, "input"), ("a", "answer")]
    order = ("input", "instruction", "system")
    left = []
    for size in (27, 20, 12, 4):
        ids = encode(pieces, byte_tokenizer, size, order)[0]
        left.append(tuple(ids.count(ord(letter)) for letter in "sqxa"))
    assert left == [(9, 9, 8, 1), (9, 9, 1, 1), (9, 1, 1, 1), (1, 1, 1, 1)]
    assert encode(pieces, byte_tokenizer, 3, order) == (None, None, True)


@pytest.mark.parametrize("template", PUBLISHED)
def test_at_every_context_length_all_answers_are_whole(tokenizer, template):
    turns = [("First.", "한국의 수도는 서울", "one 1"), ("Second.", "", HEADER)]
    turns.append(("Third.", "the cat sat", "three\n"))
    whole = encode_turns(tokenizer, template, turns, 4096)[0]
    fits = []
    for block_size in range(1, len(whole) + 3):
        ids, mask, truncated = encode_turns(tokenizer, template, turns, block_size)
        fits.append(ids is not None)
        if ids is None:
            assert (mask, truncated) == (None, True)
            continue
        assert len(ids) == min(len(whole), block_size + 1)  # no token more is lost than must be
        assert truncated == (len(ids) < len(whole))
        answers = supervised_answers(tokenizer, shift(ids, mask)[1])
        assert answers == [answer + EOS for _, _, answer in turns]

        # every prompt is the published one, with a beginning of its input
        prompts = [run for supervised, run in runs(ids, mask) if not supervised]
        for i, (prompt, (question, input, _)) in enumerate(zip(prompts, turns)):
            tokens = tokenizer.encode(input)
            inputs = [tokenizer.decode(tokens[:n]) for n in range(1, len(tokens) + 1)] or [""]
            texts = [PUBLISHED[template](question, text, i == 0) for text in inputs]
            assert tokenizer.decode(prompt) in texts
    n_cut = sum(max(0, len(tokenizer.encode(input)) - 1) for _, input, _ in turns)
    assert fits == sorted(fits) and sum(fits) == n_cut + 1 + 3


def test_prepare_reports_truncated_rows_and_rows_that_do_not_fit(byte_tokenizer):
    turns = [("Do.", "", "yes"), ("Do.", "0123456789abc", "answer"), ("Do.", "", "answer" * 50)]
    turns += [DIGITS[0], ("Do." * 100, "x", "answer")]
    rows = [row_of(turn, source=f"f.jsonl:{i}") for i, turn in enumerate(turns)]
    examples, truncated, too_long = prepare(rows, byte_tokenizer, "alpaca", SIZE)
    assert len(examples) == 3
    assert [row.source for row in truncated] == ["f.jsonl:1"]
    assert [row.source for row in too_long] == ["f.jsonl:2", "f.jsonl:4"]
