"""Checks of lesson 4: each takes the learner's function and names the likely mistake."""

import torch

from checks import by_hand, call, tensor
from model import IGNORE


def pair(result, names):
    assert isinstance(result, (tuple, list)) and len(result) == 2, f"return two things: {names}"
    return result


@by_hand("data.encode", "data.prepare")
def with_mask(function):
    cases = [
        ([5, 6], [7], 9, [5, 6, 7, 9], [0, 0, 1, 1]),
        ([5, 6, 7], [8, 7, 6], 9, [5, 6, 7, 8, 7, 6, 9], [0, 0, 0, 1, 1, 1, 1]),
        # an eos in the prompt, as after an earlier turn
        (
            [9, 5], [5, 6], 9, [9, 5, 5, 6, 9], [0, 0, 1, 1, 1],
        ),
    ]
    for prompt, answer, eos, ids, mask in cases:
        case = f"prompt {prompt}, answer {answer}, end {eos}"
        copies = list(prompt), list(answer)
        result_ids, result = pair(call(function, *copies, eos), "ids and mask")
        assert copies == (
            prompt,
            answer,
        ), f"{case}: you changed the caller's lists; + makes a new one, += does not"
        assert (
            list(result_ids) != ids[:-1]
        ), f"{case}: the eos is missing, so the model would never learn to stop"
        assert list(result_ids) == ids, f"{case}: ids should be {ids}, you have {list(result_ids)}"
        result = list(map(int, result))
        assert len(result) == len(
            ids
        ), f"{case}: the mask has {len(result)} numbers for {len(ids)} ids"
        assert result != [
            1 - m for m in mask
        ], f"{case}: upside down; 1 is for what is supervised, the answer"
        assert not all(result), f"{case}: everything is supervised; the prompt is only read"
        assert result[-1] == 1, f"{case}: the eos is hidden, so the model would never learn to stop"
        n = len(prompt)
        assert (
            result[n] == 1
        ), f"{case}: the first answer token is hidden; the mask begins one too late"
        assert (
            result[n - 1] == 0
        ), f"{case}: the last prompt token is supervised; the mask begins one too early"
        assert (
            result == mask
        ), f"{case}: mask should be {mask}, you have {result}; count tokens, do not look for values"
    print("right: the answer and the eos, nothing of the prompt")


@by_hand("data.shift")
def inputs_and_targets(function):
    cases = [
        ([5, 6, 7, 9], [0, 0, 1, 1], [IGNORE, 7, 9]),
        ([1, 2, 3, 4, 9], [0, 0, 0, 1, 1], [IGNORE, IGNORE, 4, 9]),
        # two turns; 0 is an id like others
        (
            [1, 0, 0, 9, 2, 0, 9],
            [0, 1, 1, 1, 0, 1, 1],
            [0, 0, 9, IGNORE, 0, 9],
        ),
    ]
    for ids, mask, expected in cases:
        case = f"ids {ids}, mask {mask}"
        copies = list(ids), list(mask)
        inputs, targets = pair(call(function, *copies), "inputs and targets")
        assert copies == (ids, mask), f"{case}: you changed the caller's lists"
        inputs, targets = list(inputs), list(targets)
        assert len(inputs) == len(
            targets
        ), f"{case}: {len(inputs)} inputs and {len(targets)} targets"
        assert inputs != ids, f"{case}: the last id is no input: nothing comes after it"
        assert inputs == ids[:-1], (
            f"{case}: inputs should be {ids[:-1]}, you have {inputs}; the prompt is read, only not"
            " supervised"
        )
        assert targets != ids[1:], f"{case}: nothing is hidden; the mask was not used"
        unshifted = [i if m else IGNORE for i, m in zip(ids[:-1], mask[:-1])]
        assert (
            targets != unshifted
        ), f"{case}: the targets are the inputs; a target is the token that comes next"
        late = [i if m else IGNORE for i, m in zip(ids[1:], mask[:-1])]
        assert targets != late, (
            f"{case}: the mask did not move with the targets, so the first answer token is not"
            " supervised"
        )
        early = [i if m else IGNORE for i, m in zip(ids[1:], mask[2:] + [0])]
        assert (
            targets != early
        ), f"{case}: the mask moved twice, so a prompt token is supervised and the eos is not"
        zero = [i if m else 0 for i, m in zip(ids[1:], mask[1:])]
        assert (
            targets != zero
        ), f"{case}: what is not supervised must be IGNORE; 0 is a token like any other"
        assert targets == expected, f"{case}: targets should be {expected}, you have {targets}"
    print("right: the mask moves with the targets")


@by_hand("data.collate", "extras.packing.collate_packed")
def batch_of(function):
    examples = [
        ([5, 6, 7, 9], [0, 0, 1, 1]),
        ([1, 2, 3, 4, 8, 9], [0, 0, 0, 1, 1, 1]),
        ([3, 9], [0, 1]),
    ]
    inputs, targets = pair(call(function, examples, 9), "inputs and targets")
    inputs, targets = tensor(inputs, "inputs"), tensor(targets, "targets")
    assert inputs.shape != (
        3,
        6,
    ), "T is 6: that is the length of the ids; inputs are one shorter (shift first)"
    assert inputs.shape != (3, 1), "T is the length of the shortest; it must be the longest's"
    assert (
        inputs.shape == targets.shape == (3, 5)
    ), f"expected (3, 5) twice, you have {inputs.shape} and {targets.shape}"
    assert inputs.dtype == targets.dtype == torch.long, "ids are whole numbers (torch.long)"
    x, y = inputs.tolist(), targets.tolist()
    assert IGNORE not in sum(
        x, []
    ), "IGNORE is in the inputs; it is no id, the model cannot read it. Pad inputs with `pad`"
    assert x[0][:2] != [9, 9], "the padding is on the left; in training it is on the right"
    assert x == [[5, 6, 7, 9, 9], [1, 2, 3, 4, 8], [3, 9, 9, 9, 9]], f"inputs are {x}"
    scored = "a padding position is supervised: targets behind the answer's end must be IGNORE"
    assert y[0][3:] != [9, 9] and y[0][3:] != [9, IGNORE], scored
    hidden = "the eos is hidden; it equals the padding, so hide by position, not by value"
    assert y[1][-1] == 9 and y[2][0] == 9, hidden
    i = IGNORE
    assert y == [[i, 7, 9, i, i], [i, i, 4, 8, 9], [9, i, i, i, i]], f"targets are {y}"
    print("right: a rectangle, padded on the right, no padding supervised")


@by_hand()
def masked(function):
    cases = [  # mask, right, off, late, early
        ([0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]),
        ([0, 1, 1, 0, 1], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 1, 1, 0], [1, 1, 0, 1, 0]),
    ]
    for mask, *expected in cases:
        for how, right in zip(("right", "off", "late", "early"), expected):
            copy = list(mask)
            result = call(function, copy, how)
            case = f"{how} of {mask}"
            assert copy == mask, f"{case}: you changed the caller's mask; make a new list"
            assert result is not None, f"{case}: nothing came back; return a list"
            result = list(map(int, result))
            assert len(result) == len(mask), (
                f"{case}: {len(result)} numbers; add one at one end and drop one at the other"
            )
            turned = mask[-1:] + mask[:-1] if how == "late" else mask[1:] + mask[:1]
            assert result == right or result != turned, (
                f"{case}: the number that falls off comes back at the other end; fill with 0"
            )
            opposite = {"late": expected[3], "early": expected[2]}.get(how)
            assert result != opposite, f"{case}: moved the wrong way; late is to the right"
            assert result == right, f"{case}: expected {right}, you have {result}"
    print("right: four masks of the same length")
