"""Checks of lesson 16: ten bugs from real projects, repaired."""

import math
import random
import re

import torch

from checks import by_hand, call
from model import IGNORE


@by_hand("data.collate")
def padded_targets(f):
    """Check that padding is IGNORE and every real eos stays."""
    rows = [[IGNORE, IGNORE, 7, 8, 9], [IGNORE, 5, 9], [9]]
    original = [list(row) for row in rows]
    result = call(f, rows, 9)
    assert rows == original, "the lists that were given have changed"
    assert torch.is_tensor(result) and result.shape == (
        3,
        5,
    ), "give a tensor (B, T), T the longest row"
    for i, row in enumerate(rows):
        for t in range(5):
            have = int(result[i, t])
            if t >= len(row):
                assert have != 9, (
                    f"row {i}, position {t} is padding, and supervised as an eos: the model learns"
                    " to stop again and again"
                )
                assert have == IGNORE, f"row {i}, position {t} is padding: {have} instead of IGNORE"
            elif row[t] == 9:
                assert (
                    have == 9
                ), f"row {i}: the real eos is not supervised, so the model will never stop"
            else:
                assert (
                    have == row[t]
                ), f"row {i}, position {t}: {have} instead of {row[t]}; pad on the right"
    print("right: padding is ignored, the eos is supervised")


@by_hand("data.shift", "data.collate")
def targets_of(f):
    """Check that the targets are the next tokens whose mask is 1."""
    ids, mask = [5, 6, 7, 8, 9], [0, 0, 1, 1, 1]
    copies = list(ids), list(mask)
    result = call(f, *copies)
    assert copies == (ids, mask), "the lists that were given have changed; make a new one"
    assert result is not None, "nothing was returned: return the list of targets"
    result = [int(target) for target in result]
    assert (
        len(result) == 4
    ), f"{len(result)} targets for 4 inputs: the first token is nobody's target"
    assert result != [
        6, 7, 8, 9,
    ], "nothing is masked: position 0 is to predict token 6, which is the prompt's"
    assert result != [
        IGNORE, IGNORE, 8, 9,
    ], "you took the mask of the position, not of its target: the first answer token 7 is lost"
    assert IGNORE in result, "where the mask is 0, the target is IGNORE"
    expected = []
    for t in range(4):
        expected.append(ids[t + 1] if mask[t + 1] == 1 else IGNORE)
    assert result == expected, f"{result} instead of {expected}"
    turns = [int(target) for target in call(f, [1, 2, 3, 4, 5, 6], [0, 1, 1, 0, 0, 1])]
    assert turns == [
        2, 3, IGNORE, IGNORE, 6,
    ], f"two turns: {turns} instead of [2, 3, IGNORE, IGNORE, 6]"
    print("right: only the answer is supervised")


@by_hand()
def answer_mask(f):
    """Check for zeros on the prompt and ones on the answer."""
    for n_prompt, n_answer in ((2, 3), (1, 1), (7, 2)):
        result = call(f, n_prompt, n_answer)
        assert result is not None, "nothing was returned: return the mask"
        result = list(result)
        case = f"{n_prompt} prompt tokens, {n_answer} answer tokens: "
        n = n_prompt + n_answer
        assert len(result) == n, case + f"the mask has {len(result)} entries, the row {n} tokens"
        assert all(m in (0, 1) for m in result), case + "only 0 and 1"
        assert result[-1] == 1, case + "the eos, the last one, is not supervised"
        assert result[n_prompt - 1] == 0, (
            case + "the last token of the prompt's header is supervised"
        )
        assert result[n_prompt] == 1, case + "the first token of the answer is not supervised"
        for i in range(n):
            assert result[i] == (i >= n_prompt), (
                case + f"entry {i} is {int(result[i])}: the answer's tokens are 1, the prompt's 0"
            )
    print("right: the answer and its eos, nothing else")


@by_hand()
def fit(f):
    """Check that the answer is never truncated."""
    cases = [
        ([1], [2, 3, 4], [5], [6, 7], 5, [1, 2, 5, 6, 7]),
        ([1], [2, 3, 4], [5], [6, 7], 9, [1, 2, 3, 4, 5, 6, 7]),
        ([1], [2, 3, 4], [5], [6, 7], 7, [1, 2, 3, 4, 5, 6, 7]),
        ([1], [2, 3, 4], [5], [6, 7], 4, [1, 5, 6, 7]),
        ([1, 1], [], [5], [6, 7], 5, [1, 1, 5, 6, 7]),
        ([1], [2, 3, 4], [5], [6, 7], 3, None),
    ]
    for head, context, tail, answer, limit, expected in cases:
        copies = [list(part) for part in (head, context, tail, answer)]
        result = call(f, *copies, limit)
        case = f"fit({head}, {context}, {tail}, {answer}, {limit}): "
        assert copies == [head, context, tail, answer], (
            case + "the lists that were given have changed; make a new one"
        )
        if expected is None:
            assert result is None, (
                case
                + f"{result} cannot be a whole row; give None, so that the row is dropped and"
                " counted"
            )
            continue
        assert result is not None, case + f"None, but {expected} fits"
        result = list(result)
        assert len(result) <= limit, case + f"{len(result)} tokens do not fit"
        assert result[-len(answer) :] == answer, (
            case + "the answer lost tokens; only the context may"
        )
        assert result[: len(head)] == head, case + "the head lost tokens; only the context may"
        assert result == expected, (
            case
            + f"{result} instead of {expected}: the context loses its end, and only what is needed"
        )
    print("right: only the context is cut")


@by_hand()
def step_loss(f):
    """Check that every token counts alike."""
    parts = [torch.tensor([1.0, 1, 1]), torch.tensor([5.0])]
    result = call(f, parts)
    assert result is not None, "nothing was returned: return the loss"
    result = float(result)
    assert abs(result - 3.0) > 1e-5, (
        "that is the mean of the micro-batches' means: the one token of the second weighs as much"
        " as three"
    )
    assert (
        abs(result - 8.0) > 1e-5
    ), "that is the sum; divide by the number of tokens of the whole step"
    assert (
        abs(result - 4.0) > 1e-5
    ), "you divided by the number of micro-batches; divide by the number of tokens"
    assert abs(result - 2.0) < 1e-5, f"{result:.3f} instead of 2.0"
    result = float(call(f, [torch.tensor([3.0, 1.0]), torch.tensor([])]))
    assert not math.isnan(
        result
    ), "a micro-batch without supervised tokens makes the loss nan: do not take its mean"
    assert (
        abs(result - 2.0) < 1e-5
    ), f"an empty micro-batch changes the loss: {result:.3f} instead of 2.0"
    flat = torch.rand(12, generator=torch.Generator().manual_seed(0))
    for cuts in ((1, 2, 9), (6, 6), (12,)):
        result = float(call(f, list(flat.split(cuts))))
        assert (
            abs(result - sum(flat.tolist()) / 12) < 1e-5
        ), f"micro-batches of {cuts} tokens give {result:.4f}"
    print("right: the same loss for any micro-batch")


@by_hand("data.render")
def prompt_text(f):
    """Compare letter by letter."""
    result = call(f, "Hi.")
    assert isinstance(result, str), "give a string"
    lines = result.split("\n")
    assert not any(
        line.startswith(" ") for line in lines
    ), "a line begins with spaces: the indentation of your program is part of the string"
    assert not result.startswith("\n"), "an empty line is before the header"
    assert "Hi." in lines, f"the instruction is not on a line of its own: {result!r}"
    assert result.endswith(
        "### Response:\n"
    ), f"the prompt must end with the header and one new line, not {result[-16:]!r}"
    assert (
        "Hi.\n\n### Response" in result
    ), "one empty line is between the instruction and the response's header"
    assert (
        result == "### Instruction:\nHi.\n\n### Response:\n"
    ), f"{result!r} is not what the model was tuned with"
    assert (
        call(f, "A\nB") == "### Instruction:\nA\nB\n\n### Response:\n"
    ), "an instruction of two lines comes out changed"
    print("right: letter by letter the prompt of the tuning")


def naive_batch_mask(padding, length):
    out = torch.zeros(len(padding), length, length, dtype=torch.bool)
    for b, n in enumerate(padding):
        for t in range(length):
            for s in range(length):
                out[b, t, s] = (s <= t and s >= n) or s == t
    return out


@by_hand("checks.lesson16.naive_batch_mask")
def batch_mask(f):
    """Compare with three loops."""
    padding, length = [2, 0, 1], 4
    result = call(f, list(padding), length)
    assert torch.is_tensor(result) and result.shape == (
        3, 4, 4,
    ), "give a tensor (B, length, length)"
    assert result.dtype == torch.bool, "the mask must be bool: True where attention is allowed"
    expected = naive_batch_mask(padding, length)
    if torch.equal(result, expected):
        print("right: alone or in a batch is the same")
        return
    assert result.any(
        2
    ).all(), (
        "a row of padding sees nothing: softmax of nothing is nan. Let every position see itself"
    )
    assert not torch.equal(
        result, expected.mT
    ), "t and s are exchanged: dimension 1 looks, dimension 2 is looked at"
    assert not (
        result & ~torch.ones(4, 4).tril().bool()
    ).any(), "a position looks at a later one: the mask is not causal"
    assert not result[0, 3, 0], "row 0 has padding at positions 0 and 1, and position 3 looks at it"
    assert bool(result[1, 3, 0]), "row 1 has no padding, but position 3 does not see position 0"
    raise AssertionError(
        f"for padding {padding}: {result.int().tolist()} instead of {expected.int().tolist()}"
    )


@by_hand("common.lora.LoRA")
def correction(f):
    """Check the scale, alpha / rank."""
    A, B = torch.tensor([[1.0, 2, 0], [0, 1, 1]]), torch.tensor([[1.0, 0], [0, 1], [1, 1], [2, 0]])
    copies = B.clone(), A.clone()
    result = call(f, *copies, 16)
    expected = torch.zeros(4, 3)
    for i in range(4):
        for j in range(3):
            expected[i, j] = 16 / 2 * sum(B[i, r] * A[r, j] for r in range(2))
    assert torch.equal(copies[0], B) and torch.equal(
        copies[1], A
    ), "B or A has changed: they are still to be trained"
    assert torch.is_tensor(result), "give a tensor (out, in)"
    assert result.shape == (
        4,
        3,
    ), f"the shape is {tuple(result.shape)} instead of (out, in) = (4, 3)"
    assert not torch.allclose(result, 2 * expected), "alpha is not divided by the rank"
    assert not torch.allclose(result, expected / 16), "alpha is missing"
    for n, name in ((3, "the input's width"), (4, "the output's width")):
        assert not torch.allclose(result, expected * 2 / n), f"divided by {name}, not by the rank"
    assert torch.allclose(result, expected), f"{result.tolist()} instead of {expected.tolist()}"
    print("right: alpha / rank")


@by_hand("extras.packing.collate_packed")
def packed_mask(f):
    """Compare with loops."""
    lengths = [1, 3, 2]
    result = call(f, list(lengths))
    assert torch.is_tensor(result) and result.shape == (
        6,
        6,
    ), "give a tensor (T, T), T the sum of the lengths"
    assert result.dtype == torch.bool, "the mask must be bool: True where attention is allowed"
    document = [0, 1, 1, 1, 2, 2]
    for t in range(6):
        for s in range(6):
            if s > t:
                assert not result[
                    t, s
                ], f"position {t} looks at the later position {s}: the mask is not causal"
            elif document[t] != document[s]:
                assert not result[t, s], (
                    f"position {t} of document {document[t]} looks at position {s} of document"
                    f" {document[s]}: a leak"
                )
            else:
                assert result[t, s], f"position {t} does not see position {s} of its own document"
    print("right: no document sees another")


@by_hand()
def split(f):
    """Check that no key is on both sides."""
    prompts = [
        "Name A.",
        "name a",
        "Name B?",
        "Name  B",
        "Name C.",
        "Tell D.",
        "Tell E.",
        "Tell F.",
    ]

    def key(prompt):
        return " ".join(re.findall(r"\w+", prompt)).lower()

    draws = set()
    for seed in range(8):
        copies = list(prompts)
        result = call(f, copies, 2, seed)
        assert copies == prompts, "the list that was given has changed; make new ones"
        assert (
            result is not None and len(result) == 2
        ), "give two lists: prompts to tune on, prompts to test on"
        both = {key(p) for p in result[0]} & {key(p) for p in result[1]}
        assert not both, f"{sorted(both)} is on both sides, written another way"
    for seed in range(8):
        to_tune, to_test = map(list, call(f, list(prompts), 2, seed))
        assert len(to_tune) + len(to_test) == len(
            prompts
        ), "prompts are lost; all with a drawn key are tested"
        n = len({key(p) for p in to_test})
        assert n == 2, f"{n} different prompts are tested instead of n_test = 2"
        for side in (to_tune, to_test):
            assert side == [p for p in prompts if p in side], "the order has changed"
        again = [list(side) for side in call(f, list(prompts), 2, seed)]
        assert again == [to_tune, to_test], "the same seed gave another split"
        draws.add(tuple(to_test))
    assert len(draws) > 1, "every seed gives the same test: draw the keys with the seed"
    state = random.getstate()
    call(f, list(prompts), 2, 0)
    assert (
        random.getstate() == state
    ), "use random.Random(seed); you moved everybody's random numbers"
    print("right: no prompt is on both sides")
