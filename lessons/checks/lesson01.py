"""Checks of lesson 1: each takes the learner's function and names the likely mistake."""

import re
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from checks import by_hand, call


@by_hand("data.corpus_batch")
def read_windows(function):
    stream = torch.arange(10, 30)  # 20 ids: 4 windows of 4, the last ids are left out
    cases = [
        (0, 2, [[10, 11, 12, 13], [14, 15, 16, 17]]),
        (1, 2, [[18, 19, 20, 21], [22, 23, 24, 25]]),
        (2, 2, [[10, 11, 12, 13], [14, 15, 16, 17]]),
        (1, 3, [[22, 23, 24, 25], [10, 11, 12, 13], [14, 15, 16, 17]]),
    ]
    for step, batch_size, expected in cases:
        case = f"20 ids, step {step}, batch_size {batch_size}, window 4"
        result = call(function, stream, step, batch_size, 4)
        assert (
            isinstance(result, (tuple, list)) and len(result) == 2
        ), "return two things: inputs, targets"
        inputs, targets = result
        assert all(
            isinstance(x, torch.Tensor) for x in result
        ), "inputs and targets are tensors (torch.stack of the rows)"
        assert inputs.dtype == targets.dtype == torch.long, "ids are whole numbers (torch.long)"
        assert inputs.shape == targets.shape == (batch_size, 4), (
            f"{case}: shapes are {tuple(inputs.shape)} and {tuple(targets.shape)}, expected"
            f" ({batch_size}, 4) for both; the last window must leave one id for its last target"
        )
        rows = inputs.tolist()
        if rows != expected and step > 0 and rows == cases[0][2][:batch_size]:
            raise AssertionError(
                f"{case}: these are the windows of step 0; `step` moves the start by step *"
                " batch_size"
            )
        assert rows[0] == expected[0], (
            f"{case}: the first window is {rows[0]}, expected {expected[0]}; window number step *"
            " batch_size + i begins at that number times `window`"
        )
        assert rows == expected, (
            f"{case}: inputs are {rows}, expected {expected}; after the last full window comes"
            " window 0"
        )
        assert (
            targets.tolist() != rows
        ), f"{case}: the targets equal the inputs; a target is the id that comes next"
        shifted = [[i + 1 for i in row] for row in expected]
        assert (
            targets.tolist() == shifted
        ), f"{case}: targets are {targets.tolist()}, expected {shifted}, one position further"
    exact = call(function, torch.arange(9), 1, 1, 4)
    assert exact[1].tolist() == [
        [5, 6, 7, 8]
    ], "9 ids contain two windows of 4: the second one's last target is the last id"
    print("right: the stream is read in order, every target is the id that comes next")


class SumsUp:
    """Stand in for a model: the next token is the sum of all ids so far, modulo 7."""

    config = SimpleNamespace(block_size=128, vocab_size=7)

    def __call__(self, ids, *args, **kwargs):
        assert (
            isinstance(ids, torch.Tensor) and ids.dim() == 2
        ), "the model takes a batch: a tensor of shape (1, T)"
        return F.one_hot(ids.cumsum(1) % 7, 7).float()  # (1, T, 7)

    def eval(self):
        return self


@by_hand("generate.generate", "generate.stream_ids")
def continue_greedily(function):
    ids = [1, 2]
    result = call(function, SumsUp(), ids, 4)  # 1 + 2 = 3, + 3 = 6, + 6 = 12 = 5, + 5 = 17 = 3
    assert ids == [1, 2], "you changed the caller's list; work on a copy"
    assert not isinstance(
        result, torch.Tensor
    ), "return a plain list of ids (.item() makes a number)"
    result = list(result)
    assert all(
        isinstance(i, int) for i in result
    ), "return plain numbers (.item() makes one of a tensor)"
    assert result[:2] != [1, 2], "the prompt is in your result; return only what is new"
    assert len(result) == 4, f"{len(result)} new ids, asked for 4"
    assert result[:1] != [
        1
    ], "the first id comes from position 0; the next token is told at the last position, -1"
    assert result != [
        2, 2, 2, 2,
    ], "only the last id was read; the model needs the whole text so far"
    assert result != [
        3, 3, 3, 3,
    ], "the new ids are not appended, so every round reads the same text"
    assert result[:1] != [0], "that is not the likeliest token; take argmax of the logits"
    assert result == [
        3, 6, 5, 3,
    ], f"[1, 2] goes on with [3, 6, 5, 3] in the toy model, you have {result}"
    assert call(function, SumsUp(), [3], 0) in ([], ()), "n = 0 means nothing new"
    print("right: one token at a time, each chosen with all before it")


def begins_with(continuation, value):
    """Compare whole words, by a pattern. The lesson goes on with this one."""
    return re.match(r"\s*" + re.escape(value) + r"(?![^\W_])", continuation) is not None


@by_hand("checks.lesson01.begins_with", "common.table.begins_right")
def completes(function):
    cases = [
        (" Paris. The teacher", "Paris", True, "the value is at the beginning"),
        (" Paris", "Paris", True, "the value may be all there is"),
        (" New Delhi.", "New Delhi", True, "a value may have two words"),
        (" a neigh. The", "a neigh", True, "a value may have two words"),
        (" Paris, which is old", "Paris", True, "any sign but a letter or a digit may follow"),
        (" Paris! The", "Paris", True, "any sign but a letter or a digit may follow"),
        (" Paris?\nWhat", "Paris", True, "any sign but a letter or a digit may follow"),
        ("Paris\n", "Paris", True, "any sign but a letter or a digit may follow"),
        (" 고양이. The", "고양이", True, "letters of any alphabet count"),
        (" Rome. The", "Paris", False, "another value"),
        (" Rome. Not Paris.", "Paris", False, "the value is later; only the beginning counts"),
        (
            " Parisian food", "Paris", False,
            "a longer word begins alike; look at the character after the value",
        ),
        (" 12. The", "1", False, "a longer number begins alike; digits count too"),
        (" 고양이들. The", "고양이", False, "letters of any alphabet count, also after the value"),
        (" paris.", "Paris", False, "small and capital letters differ"),
        ("", "Paris", False, "nothing was said"),
        (" Par", "Paris", False, "half a value"),
    ]
    for continuation, value, expected, why in cases:
        result = call(function, continuation, value)
        assert result is not None, "nothing was returned"
        assert (
            bool(result) == expected
        ), f"{continuation!r} and {value!r}: expected {expected} ({why})"
    print("right: whole words at the beginning, nothing else")
