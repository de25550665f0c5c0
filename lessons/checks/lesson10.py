"""Checks of lesson 10: a swapped answer, a broken one, one loss for each row."""

import math
import random

import torch

from data import Row, Turn
from model import IGNORE


def swapped(learner):
    rows = [
        Row((Turn("q1", "x1", "a1"),), "capital", "file:1"),
        Row((Turn("q2", "x2", "a2"),), "capital", "file:2"),
        Row((Turn("q3", "x3", "a3"),), "sum", "file:3"),
        Row((Turn("q4", "x4", "a1"),), "capital", "file:4"),
        Row((Turn("q5", "x5", "a5"),), "capital", "file:5"),
    ]
    given = list(rows)
    drawn = set()
    for seed in range(40):
        found = learner(rows, 0, random.Random(seed))
        assert rows == given, "you changed the caller's list: give a new Row and leave the list alone"
        assert isinstance(found, Row), f"give a Row, not {type(found).__name__}"
        question, context, answer = found.turns[0]
        assert question == "q1", f"the question must stay q1, yours is {question}: only the answer is swapped"
        assert context == "x1", f"the input must stay x1, yours is {context!r}: only the answer is swapped"
        assert answer != "a3", "a3 answers a question of another task: swap within the task, it shall look right"
        assert answer != "a1", "the answer is still a1: another row may hold the same answer, choose one that differs"
        assert found.task == "capital", "keep the task: the rows are counted by it"
        drawn.add(answer)
        assert learner(rows, 0, random.Random(seed)) == found, "the same rng must give the same row: draw with rng only"
    assert drawn == {"a2", "a5"}, (
        f"draw from all answers that differ, a2 and a5; in 40 draws yours were {sorted(drawn)}"
    )
    assert learner(rows, 2, random.Random(0)) == rows[2], "no other row of task sum: give back the row as it is"
    print("Right: a wrong answer that looks like a right one.")


def broken(learner):
    cases = [
        ("The capital of Peru is Lima.", False, "a whole sentence"),
        ("The capital of", True, "the end is missing"),
        ("The capital of Peru is Lima", True, "the mark at the end is missing"),
        (".", True, "a full stop alone is no answer"),
        ("", True, "empty; look at the number of words before the last sign"),
        ("   ", True, "only spaces; take them away first"),
        ("It is.", True, "two words are fewer than three"),
        ("It is Lima.", False, "three words are enough"),
        ("  It is Lima. \n", False, "spaces around it do not count"),
        ("The query is: SELECT * FROM cars;", False, "SQL ends with a semicolon"),
        ("A birthday wish for Ann is: Happy birthday, dear Ann!", False, "an exclamation mark ends a sentence too"),
        ("Can you say what it is?", False, "a question mark ends a sentence too"),
        ("The first part. The second", True, "a full stop in the middle does not end the answer"),
    ]
    for answer, expected, why in cases:
        try:
            found = learner(answer)
        except IndexError:
            raise AssertionError(f"{answer!r}: IndexError, it has no last sign: {why}") from None
        assert bool(found) == expected, f"{answer!r}: should be {expected}, yours {bool(found)}: {why}"
    print("Right: too short, or without an end.")


def row_losses(learner):
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 5)
    targets = torch.tensor([[IGNORE, 2, 3, 4], [IGNORE, IGNORE, 1, IGNORE], [0, 1, 2, 3]])
    before = targets.clone()
    found = learner(logits, targets)
    assert torch.equal(targets, before), "you changed the caller's targets: work on a copy"
    assert isinstance(found, torch.Tensor) and found.shape == (3,), (
        f"one number for each of the 3 rows, shape (3,); yours has {tuple(getattr(found, 'shape', ()))}"
    )
    expected, sums, all_places = [], [], []
    for b in range(3):
        each = []
        for t in range(4):
            target = targets[b, t].item()
            if target != IGNORE:
                total = sum(math.exp(value) for value in logits[b, t].tolist())
                each.append(-math.log(math.exp(logits[b, t, target].item()) / total))
        expected.append(sum(each) / len(each))
        sums.append(sum(each))
        all_places.append(sum(each) / 4)
    near = lambda numbers: torch.allclose(found, torch.tensor(numbers), atol=1e-4)  # noqa: E731
    assert not near(sums), "these are sums: divide by the row's learned targets, or long answers look suspicious"
    assert not near(all_places), "you divided by all 4 places: only those whose target is not IGNORE count"
    assert not near([sum(sums) / 8] * 3) and not near([value / 8 for value in sums]), (
        "you divided by the learned targets of the whole batch: each row has its own number of them"
    )
    assert not near([-value for value in expected]), "the sign is wrong: the loss is MINUS log p"
    assert near(expected), f"expected {[round(x, 4) for x in expected]}, yours {[round(x, 4) for x in found.tolist()]}"
    print("Right: each row's loss over its own learned targets.")
