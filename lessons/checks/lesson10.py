"""Checks of lesson 10: complaints about a row, how alike two instructions are, a swapped answer,
one loss for each row."""

import math
import random
import re  # noqa: F401  what a learner's function may use

import torch

from checks import by_hand, call
from data import Row, Turn
from model import IGNORE


@by_hand()
def complaints(learner):
    cases = [  # instruction, input, output, what is wrong, why
        ("When?", "In 1861. [1]", "In 1861.", {"bare", "copied"}, "the mark [1] doesn't count"),
        ("Name a city.", "", "Lima is a city.", set(), "a good row"),
        ("http://a.org/x", "What is it?", "It is a page.", {"link"}, "a link as the instruction"),
        ("What is at http://a.org?", "", "It is a page.", set(), "a link inside is fine"),
        ("Who?", "Ann sings.[12]  She plays.", "Ann sings. She plays.", {"copied"},
         "two digits, and spaces don't count"),
        ("Who?", "Ann sings. She plays.", "Ann sings.", {"bare"}, "a part is no copy"),
        ("Name one.", "", "", {"bare"}, "no input: an empty answer is no copy of it"),
        ("Name one.", "", "A very-good camera", set(), "three words are enough"),
        ("List.", "", "a (b c) d) e", {"brackets"}, "more closed than opened"),
        ("List.", "", "a (b and (c) d", {"brackets"}, "more opened than closed"),
        ("Who?", "(see below)", "It was Ann (twice).", set(), "brackets of the input don't count"),
    ]
    for instruction, text, answer, expected, why in cases:
        row = {"instruction": instruction, "input": text, "output": answer}
        copy = dict(row)
        result = call(learner, row)
        assert row == copy, "you changed the caller's row"
        is_names = isinstance(result, (set, frozenset, list, tuple))
        assert is_names, f"return a set of names, not {type(result).__name__}"
        assert set(result) == expected, (
            f"{instruction!r}, {text!r} -> {answer!r}: expected {sorted(expected)}, you have"
            f" {sorted(result)} ({why})"
        )
    print("Right: four things that can be seen without knowing anything.")


class Answer(str):
    """A text whose position in a set can be chosen. Usual texts move with every Python process."""

    positions = {}

    def __hash__(self):
        return self.positions[str(self)]


def draws_in(learner, order):
    """Return the draws if a set had the answers in this order."""
    Answer.positions = {f"a{i}": position for i, position in enumerate(order)}
    rows = [Row((Turn(f"q{i}", "", Answer(f"a{i}")),), "capital") for i in range(len(order))]
    return [str(learner(rows, 0, random.Random(seed)).turns[0].output) for seed in range(12)]


@by_hand()
def swapped(learner):
    rows = [
        Row((Turn("q1", "x1", "a1"),), "capital", "file:1"),
        Row((Turn("q2", "x2", "a2"),), "capital", "file:2"),
        Row((Turn("q3", "x3", "a3"),), "sum", "file:3"),
        Row((Turn("q4", "x4", "a1"),), "capital", "file:4"),
        Row((Turn("q5", "x5", "a5"),), "capital", "file:5"),
    ]
    copies = list(rows)
    draws = set()
    for seed in range(40):
        result = learner(rows, 0, random.Random(seed))
        assert (
            rows == copies
        ), "you changed the caller's list: give a new Row and leave the list alone"
        assert isinstance(result, Row), f"give a Row, not {type(result).__name__}"
        question, context, answer = result.turns[0]
        assert (
            question == "q1"
        ), f"the question must stay q1, yours is {question}: only the answer is swapped"
        assert (
            context == "x1"
        ), f"the input must stay x1, yours is {context!r}: only the answer is swapped"
        assert (
            answer != "a3"
        ), "a3 answers a question of another task: swap within the task, it shall look right"
        assert (
            answer != "a1"
        ), "the answer is still a1: another row may have the same answer, choose one that differs"
        assert result.task == "capital", "keep the task: the rows are counted by it"
        draws.add(answer)
        assert (
            learner(rows, 0, random.Random(seed)) == result
        ), "the same rng must give the same row: draw with rng only"
    assert draws == {
        "a2",
        "a5",
    }, f"draw from all answers that differ, a2 and a5; in 40 draws yours were {sorted(draws)}"
    assert (
        learner(rows, 2, random.Random(0)) == rows[2]
    ), "no other row of task sum: give back the row as it is"
    assert draws_in(learner, [0, 1, 2, 3, 4, 5]) == draws_in(learner, [0, 5, 4, 3, 2, 1]), (
        "the draw depends on the order of a set, which is another one in every Python process: draw"
        " from a list in the order of the rows, or sort it"
    )
    print("Right: a wrong answer that looks like a right one.")


@by_hand()
def row_losses(learner):
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 5)
    targets = torch.tensor([[IGNORE, 2, 3, 4], [IGNORE, IGNORE, 1, IGNORE], [0, 1, 2, 3]])
    before = targets.clone()
    result = learner(logits, targets)
    assert torch.equal(targets, before), "you changed the caller's targets: work on a copy"
    assert isinstance(result, torch.Tensor) and result.shape == (3,), (
        "one number for each of the 3 rows, shape (3,); yours has"
        f" {tuple(getattr(result, 'shape', ()))}"
    )
    expected, sums, all_positions = [], [], []
    for b in range(3):
        each = []
        for t in range(4):
            target = targets[b, t].item()
            if target != IGNORE:
                total = sum(math.exp(value) for value in logits[b, t].tolist())
                each.append(-math.log(math.exp(logits[b, t, target].item()) / total))
        expected.append(sum(each) / len(each))
        sums.append(sum(each))
        all_positions.append(sum(each) / 4)
    near = lambda numbers: torch.allclose(result, torch.tensor(numbers), atol=1e-4)  # noqa: E731
    assert not near(
        sums
    ), "these are sums: divide by the row's supervised targets, or long answers look suspicious"
    assert not near(
        all_positions
    ), "you divided by all 4 positions: only those whose target is not IGNORE count"
    assert not near([sum(sums) / 8] * 3) and not near([value / 8 for value in sums]), (
        "you divided by the supervised targets of the whole batch: each row has its own number of"
        " them"
    )
    assert not near([-value for value in expected]), "the sign is wrong: the loss is MINUS log p"
    assert near(
        expected
    ), f"expected {[round(x, 4) for x in expected]}, yours {[round(x, 4) for x in result.tolist()]}"
    print("Right: each row's loss over its own supervised targets.")


@by_hand()
def overlap(learner):
    cases = [
        ("a b c d", "a x c", 4 / 7, "the words in common in the same order are a and c"),
        ("a b c", "a b c", 1.0, "the same words"),
        ("a b c", "x y z", 0.0, "no word in common"),
        ("a b c", "c b a", 2 / 6, "the order counts: only one word can be matched here"),
        ("a x b y c", "a b c", 6 / 8, "words between may be left out: a, b, c"),
        ("a b", "a b c d", 4 / 6, "both lengths count: 2 * 2 / (2 + 4)"),
        ("a b c d", "a b", 4 / 6, "both lengths count: 2 * 2 / (4 + 2)"),
        ("a a a", "a", 2 / 4, "a word is matched once, not three times"),
        ("a", "a a a", 2 / 4, "a word is matched once, not three times"),
        ("x a b", "a b", 4 / 5, "they need not begin at the same position"),
        ("b a c a b", "a b c a", 6 / 9, "a greedy walk is not enough: the longest is a, c, a"),
        (
            "a b c x y", "x y a k b k c", 6 / 12,
            "the longest run of neighbors is not always a part of it: a, b, c",
        ),
        ("", "a", 0.0, "one list is empty"),
        ("", "", 0.0, "both are empty: 0, no division by zero"),
    ]
    for first, second, expected, why in cases:
        copies = first.split(), second.split()
        try:
            result = learner(*copies)
        except ZeroDivisionError:
            raise AssertionError(f"{first!r}, {second!r}: ZeroDivisionError: {why}") from None
        assert copies == (first.split(), second.split()), "you changed the caller's lists"
        assert isinstance(result, (int, float)) and not isinstance(
            result, bool
        ), f"return a number, not {result!r}"
        assert abs(result - expected) < 1e-9, (
            f"[{first.replace(' ', ', ')}] and [{second.replace(' ', ', ')}]: expected"
            f" {expected:.3f}, yours {result:.3f}: {why}"
        )
    print("Right: the longest common subsequence, in proportion to both lengths.")
