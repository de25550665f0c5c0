"""The mask, against oracles that share no code with it.

- Supervised is every answer with its eos and nothing else; the rest is the published prompt.
- Seeded bugs: a wrong mask is stopped by `prepare` itself, a wrong shift or padding by the oracles here.
- Truncation: inputs become shorter, answers never.
"""

import random
from itertools import groupby

import pytest
import torch
from helpers import (
    EOS,
    FAMILY,
    HEADER,
    alpaca,
    audited,
    encode_turns,
    flat,
    plain,
    prompt_ids,
    row_of,
    supervised_answers,
    turns_of,
)

import data
from data import Turn, encode, prepare, render, shift
from extras.datasets import TEMPLATES
from model import IGNORE

# ------------------------------------------------------------------------------------------------------------
# The mask contract. The prompts are written out here as they were published, not taken from the code.

PREAMBLE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
)


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
SYSTEM, E = "Be brief.", EOS
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
}


@pytest.mark.parametrize("template", CHATS)
def test_a_chat_with_a_system_text_is_the_published_text(tokenizer, template):
    ids, mask, _ = encode_turns(tokenizer, template, TWO_TURNS, 4096, SYSTEM)
    assert tokenizer.decode(ids) == CHATS[template]
    assert supervised_answers(tokenizer, shift(ids, mask)[1]) == ["Hello." + E, "A model." + E]


def test_every_template_is_checked_against_its_published_form():
    assert set(TEMPLATES) == set(PUBLISHED) | set(CHATS)


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


def runs(ids, mask):
    """Returns [(learned or not, ids that stand together)]"""
    assert len(ids) == len(mask) and set(mask) <= {0, 1}
    groups = groupby(zip(ids, mask), key=lambda pair: pair[1])
    return [(learned, [token for token, _ in group]) for learned, group in groups]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_learned_is_every_answer_with_its_end_in_order_and_nothing_else(tokenizer, template, name):
    turns = CONVERSATIONS[name]
    ids, mask, trimmed = encode_turns(tokenizer, template, turns, 4096)
    assert not trimmed
    assert supervised_answers(tokenizer, shift(ids, mask)[1]) == [answer + EOS for _, _, answer in turns]
    assert ids.count(tokenizer.eos_id) == len(turns) and ids[-1] == tokenizer.eos_id


@pytest.mark.parametrize("template", PUBLISHED)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_prompts_are_the_published_text_and_alternate_with_the_answers(tokenizer, template, name):
    turns = CONVERSATIONS[name]
    ids, mask, _ = encode_turns(tokenizer, template, turns, 4096)
    expected = []
    for i, (instruction, context, answer) in enumerate(turns):
        expected += [(0, PUBLISHED[template](instruction, context, i == 0)), (1, answer + "<|endoftext|>")]
    assert [(learned, tokenizer.decode(run)) for learned, run in runs(ids, mask)] == expected


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_prepare_accepts_every_right_mask(tokenizer, template, name):
    examples, audit = audited([row_of(*CONVERSATIONS[name])], tokenizer, template, 4096)
    ids, mask = examples[0]
    assert (audit.rows, audit.kept, audit.tokens, audit.learned) == (1, 1, len(ids), sum(mask))
    assert not audit.trimmed and not audit.dropped


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("context", ["", "\nx"])
@pytest.mark.parametrize("answer", ["a", " a", "\n", "\n\na", "#", "\u0301", "\u200d", ":", "1", "_", "한", "\r\n"])
def test_prompt_and_answer_are_tokenized_apart(tokenizer, template, context, answer):
    prompt = prompt_ids(tokenizer, template, "q", context)
    ids, mask, _ = encode_turns(tokenizer, template, [("q", context, answer)], 4096)
    assert ids == prompt + tokenizer.encode(answer) + [tokenizer.eos_id]
    assert mask == [0] * len(prompt) + [1] * (len(ids) - len(prompt))


def test_tokenizing_them_together_would_have_moved_the_boundary(tokenizer):
    prompt = prompt_ids(tokenizer, "alpaca", "q")
    assert tokenizer.encode(tokenizer.decode(prompt) + "\n\na")[: len(prompt)] != prompt


@pytest.mark.parametrize("text", ["\n", "\n\na\n\n", " a ", "#", ":\n", "\u0301", "a"])
def test_a_users_word_never_melts_into_a_header(tokenizer, text):
    ids = prompt_ids(tokenizer, "alpaca", text, text)
    parts = ["### Instruction:\n", text, "\n\n", "### Input:\n", text, "\n\n", "### Response:\n"]
    assert ids == flat(tokenizer.encode(part) for part in parts)


def test_every_piece_says_what_it_is():
    turns = [Turn("q", "some text", "a"), Turn("r", output="b"), Turn("s")]
    pieces = render(turns, "alpaca", "S")
    kinds = [(text, kind) for text, kind in pieces if kind != "frame"]
    asked = [("S", "system"), ("q", "instruction"), ("some text", "input"), ("a", "answer")]
    assert kinds == asked + [("r", "instruction"), ("b", "answer"), ("s", "instruction")]
    assert pieces[-1] == ("### Response:\n", "frame"), "a turn without an answer ends where it begins"


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_prompt_of_a_conversation_is_what_stands_before_its_last_answer_in_training(tokenizer, template, name):
    turns = turns_of(CONVERSATIONS[name])
    whole = encode_turns(tokenizer, template, turns, 4096, SYSTEM)[0]
    prompt = encode_turns(tokenizer, template, [*turns[:-1], turns[-1]._replace(output=None)], 4096, SYSTEM)[0]
    assert whole == prompt + tokenizer.encode(turns[-1].output) + [tokenizer.eos_id]


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
    values = {tok.eos_id, *tok.encode(turns[-1][2])}
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
    "end token masked": lambda tok, ids, mask, turns: [m * (i != tok.eos_id) for m, i in zip(mask, ids)],
    "only the end learned": lambda tok, ids, mask, turns: [int(i == tok.eos_id) for i in ids],
    "header learned": learn_the_header,
    "found by the answer's first value": from_the_first_value,
    "found by value, as long as the answer": as_long_as_the_answer,
    "found by the values of the answer": all_values_of_the_answer,
    "found by the header from the left": after_the_first_header,
}


def plant_mask(monkeypatch, mutant):
    def wrong(pieces, tokenizer, block_size):
        ids, mask, shortened = encode(pieces, tokenizer, block_size)
        mask = mutant(tokenizer, ids, mask, [("", "", text) for text, kind in pieces if kind == "answer"])
        assert len(mask) == len(ids)
        return ids, mask, shortened

    monkeypatch.setattr(data, "encode", wrong)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("mutant", MASK_MUTANTS)
def test_prepare_stops_a_wrong_mask(monkeypatch, tokenizer, mutant, trap):
    rows = [row_of(*TRAPS[trap], where="pairs.jsonl:7")]
    prepare(rows, tokenizer, "alpaca", 4096)  # the rows themselves are fine
    plant_mask(monkeypatch, MASK_MUTANTS[mutant])
    with pytest.raises(AssertionError, match="pairs.jsonl:7"):
        prepare(rows, tokenizer, "alpaca", 4096)


def test_prepare_stops_a_mask_that_forgets_the_earlier_turns(monkeypatch, tokenizer):
    plant_mask(monkeypatch, last_turn_only)
    prepare([row_of(("q", "", "a"))], tokenizer, "alpaca", 4096)  # right by luck where there is one turn
    with pytest.raises(AssertionError):
        prepare([row_of(*TRAPS["two turns"])], tokenizer, "alpaca", 4096)


@pytest.mark.parametrize("mutant", ["found by the header from the left", "found by the answer's first value"])
def test_searching_for_the_answer_is_right_by_luck_on_tame_rows(monkeypatch, tokenizer, mutant):
    """Why the traps above are needed: without them these bugs cannot be seen."""
    plant_mask(monkeypatch, MASK_MUTANTS[mutant])
    prepare([row_of(("b", "", "~~~"))], tokenizer, "alpaca", 4096)


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
        prepare([row_of(*TRAPS[trap], where="pairs.jsonl:7")], tokenizer, "alpaca", 4096)


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
    ids, mask, trimmed = encode_turns(byte_tokenizer, "alpaca", DIGITS, SIZE)
    text = alpaca("Do.", "0123456789").encode() + b"answer"
    assert (ids, trimmed) == (list(text) + [256], False)
    assert shift(ids, mask)[0] == list(text) and len(text) == SIZE


@pytest.mark.parametrize("less", range(1, 10))
def test_what_does_not_fit_loses_the_end_of_its_input(byte_tokenizer, less):
    ids, mask, trimmed = encode_turns(byte_tokenizer, "alpaca", DIGITS, SIZE - less)
    prompt = alpaca("Do.", "0123456789"[:-less]).encode()
    assert (ids, trimmed) == (list(prompt + b"answer") + [256], True)
    assert mask == [0] * len(prompt) + [1] * 7


def test_what_does_not_fit_without_its_input_is_none(byte_tokenizer):
    assert encode_turns(byte_tokenizer, "alpaca", DIGITS, SIZE - 10) == (None, None, True)


@pytest.mark.parametrize("context", ["", "x"], ids=["no input", "an input of one token"])
def test_where_there_is_nothing_to_shorten_one_token_too_many_is_none(byte_tokenizer, context):
    turns, size = [("Do.", context, "answer")], len(alpaca("Do.", context) + "answer")
    assert encode_turns(byte_tokenizer, "alpaca", turns, size)[0] is not None
    assert encode_turns(byte_tokenizer, "alpaca", turns, size - 1) == (None, None, True)


@pytest.mark.parametrize("template", PUBLISHED)
def test_at_every_context_length_the_answers_of_all_turns_are_whole(tokenizer, template):
    turns = [
        ("First.", "한국의 수도는 서울", "one 1"),
        ("Second.", "", HEADER),
        ("Third.", "the cat sat", "three\n"),
    ]
    whole = encode_turns(tokenizer, template, turns, 4096)[0]
    fits = []
    for block_size in range(1, len(whole) + 3):
        ids, mask, trimmed = encode_turns(tokenizer, template, turns, block_size)
        fits.append(ids is not None)
        if ids is None:
            assert (mask, trimmed) == (None, True)
            continue
        assert len(ids) == min(len(whole), block_size + 1)  # no token more is lost than must be
        assert trimmed == (len(ids) < len(whole))
        assert supervised_answers(tokenizer, shift(ids, mask)[1]) == [y + EOS for _, _, y in turns]
        for i, ((_, prompt), (q, x, _)) in enumerate(zip(runs(ids, mask)[::2], turns)):
            inputs = tokenizer.encode(x)
            shorter = [inputs[:n] for n in range(1, len(inputs) + 1)] or [[]]
            asked = render([Turn("")] * (i > 0) + [Turn(q, x)], template)[5 * (i > 0) :]
            around = [(tokenizer.encode(text), kind) for text, kind in asked]
            assert prompt in [flat(some if kind == "input" else ids for ids, kind in around) for some in shorter]
    inputs = sum(max(0, len(tokenizer.encode(x)) - 1) for _, x, _ in turns)
    assert fits == sorted(fits) and sum(fits) == inputs + 1 + 3  # all but one token of each input could go


def test_prepare_counts_what_it_shortened_and_what_it_dropped(byte_tokenizer):
    rows = [
        row_of(("Do.", "", "yes"), where="f.jsonl:1"),
        row_of(("Do.", "0123456789abc", "answer"), where="f.jsonl:2"),
        row_of(("Do.", "", "answer" * 50), where="f.jsonl:5"),
        row_of(("Do.", "0123456789", "answer"), where="f.jsonl:6"),
        row_of(("Do." * 100, "x", "answer"), where="f.jsonl:9"),
    ]
    examples, audit = audited(rows, byte_tokenizer, "alpaca", SIZE)
    assert (audit.rows, audit.kept, len(examples)) == (5, 3, 3)
    assert audit.trimmed == ["f.jsonl:2"]
    assert dict(audit.dropped) == {"does not fit in the context": ["f.jsonl:5", "f.jsonl:9"]}
    assert audit.learned == len("yes") + 1 + 2 * (len("answer") + 1)
    assert audit.tokens == len(alpaca("Do.", "") + "yes") + 1 + 2 * (SIZE + 1)
    report = "\n".join(audit.lines())
    assert "3 of 5" in report and "does not fit in the context" in report and "f.jsonl:9" in report
