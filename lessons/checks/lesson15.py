"""Checks of lesson 15: a loss with few logits, padding on the left, the rule that ends a base's answer."""

import torch
import torch.nn.functional as F

from checks import called
from model import IGNORE


class Counted(torch.Tensor):
    """An output matrix; with how many rows of hidden states was it multiplied?"""

    rows = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        found = super().__torch_function__(function, types, args, kwargs or {})
        if torch.is_tensor(found) and found.dim() >= 2 and found.shape[-1] == 11 and found.dtype.is_floating_point:
            Counted.rows = max(Counted.rows, found.numel() // 11)
        return found


def summed_loss(learner):
    generator = torch.Generator().manual_seed(0)
    hidden, head = (torch.randn(*shape, generator=generator) for shape in ((2, 5, 4), (11, 4)))
    targets = torch.tensor([[IGNORE, IGNORE, 3, 10, IGNORE], [IGNORE, 0, 7, IGNORE, IGNORE]])
    kept, Counted.rows = targets.clone(), 0
    found = called(learner, hidden, head.as_subclass(Counted), targets)
    expected = F.cross_entropy((hidden @ head.T).flatten(0, 1), kept.flatten(), ignore_index=IGNORE, reduction="sum")
    assert torch.equal(targets, kept), "the targets that were given have changed"
    assert torch.is_tensor(found) and found.numel() == 1, "return one number: the sum"
    found = torch.as_tensor(found.item())
    said = f"{found:.4f} came back, expected {expected:.4f}"
    assert not torch.isclose(found, expected / 4), f"that is the mean: the loop divides by itself, later. {said}"
    shifted = F.cross_entropy((hidden @ head.T)[:, :-1].flatten(0, 1), kept[:, 1:].flatten(), reduction="sum")
    assert not torch.isclose(found, shifted), f"the targets are shifted already; do not shift them again. {said}"
    assert torch.isclose(found, expected, atol=1e-4), said
    assert Counted.rows <= 4, f"{Counted.rows} rows of logits were made where 4 are needed: pick the hidden states first"
    print("Right: four targets, four rows of logits.")


def pad_left(learner):
    cases = (([[5, 6], [7]], 0, [[5, 6], [0, 7]], [[1, 1], [0, 1]]), ([[1], [2, 3, 4]], 9, [[9, 9, 1], [2, 3, 4]], [[0, 0, 1], [1, 1, 1]]),
             ([[3, 9, 9]], 9, [[3, 9, 9]], [[1, 1, 1]]))
    for prompts, pad, ids, seen in cases:
        given = [list(prompt) for prompt in prompts]
        found = called(learner, given, pad)
        assert given == prompts, "a prompt that was given has changed; make new lists"
        assert isinstance(found, tuple) and len(found) == 2, "return two things: ids, seen"
        found_ids, found_seen = ([list(row) for row in part] for part in found)
        said = f"{prompts} gave {found_ids} and {found_seen}, expected {ids} and {seen}"
        assert len({len(row) for row in found_ids}) == 1, f"the rows differ in length: fill up to the longest. {said}"
        right = [prompt + [pad] * (len(ids[0]) - len(prompt)) for prompt in prompts]
        assert found_ids == ids or found_ids != right, f"the padding is on the right: the answer would begin after it. {said}"
        assert found_ids == ids, said
        assert found_seen != [[1 - s for s in row] for row in seen], f"seen is 1 on the prompt and 0 on the padding. {said}"
        unlike = [[int(token != pad) for token in row] for row in ids]
        assert found_seen == seen or found_seen != unlike, f"a prompt may hold the padding's token itself: count, do not compare. {said}"
        assert found_seen == seen, said
    print("Right: all prompts end at the same place.")


def first_part(learner):
    cases = (
        ("Paris", "Paris", "nothing to cut"),
        ("\nParis\n\n### Answer:\nParis", "Paris", "an empty line; the one at the beginning does not count"),
        ("\n\n Paris.", "Paris.", "empty lines at the beginning do not end an answer"),
        ("Paris ### Answer: Paris", "Paris", "a header without an empty line before it"),
        ("def f(x):\n    return x\n\nprint(f(1))", "def f(x):\n    return x", "one newline does not end an answer, an empty line does"),
        ("a\n \nb", "a", "a line with nothing but a space is empty, too"),
        ("a # b\n\nc", "a", "the first of both ends it"),
        ("a\n\nb # c", "a", "the first of both ends it"),
    )
    for text, expected, why in cases:
        found = called(learner, text)
        assert isinstance(found, str), "return text"
        assert found == expected, f"{text!r} gave {found!r}, expected {expected!r}: {why}"
    print("Right: the base gets the benefit of the doubt.")
