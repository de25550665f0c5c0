"""Checks of lesson 13: making things up."""

import random
from collections import namedtuple

import torch

from checks import by_hand, call, call_on_targets
from model import IGNORE

Question = namedtuple("Question", "name task value kind")


def toy_questions():
    cells = [
        ("Narnia", "capital"),
        ("France", "capital"),
        ("Narnia", "language"),
        ("Peru", "capital"),
        ("France", "language"),
        ("Oz", "capital"),
        ("Peru", "language"),
        ("Oz", "language"),
    ]
    return [Question(name, task, "", "new name") for name, task in cells]


@by_hand()
def split_by_name(f):
    """Check that whole names are held out."""
    questions = toy_questions()
    before = list(questions)
    draws = set()
    for seed in range(8):
        result = call(f, questions, 2, seed)
        assert (
            result is not None and len(result) == 2
        ), "give two lists back: questions to keep, questions held out"
        keep, held = map(list, result)
        assert questions == before, "the list that was given has changed; make new ones"
        both = {q.name for q in keep} & {q.name for q in held}
        assert not both, f"{sorted(both)} is on both sides: you drew questions, not names"
        assert len(keep) + len(held) == len(questions), "some questions are lost or occur twice"
        n = len({q.name for q in held})
        assert (
            n == 2
        ), f"{n} names are held out instead of n_held = 2 (the second list is the held-out one)"
        for side in (keep, held):
            assert side == [
                q for q in before if q in side
            ], "the order of the questions has changed"
        again = f(list(before), 2, seed)
        assert [list(side) for side in again] == [
            keep,
            held,
        ], "the same seed gave another split: use random.Random(seed)"
        draws.add(tuple(sorted({q.name for q in held})))
    assert len(draws) > 1, "every seed holds out the same names: draw them with the seed"
    held = f(questions, 3, 0)[1]
    assert len({q.name for q in held}) == 3, "with n_held = 3, three names must be held out"
    print("right: no name is on both sides")


@by_hand()
def error_rates(f):
    """Check three fractions, each with its own denominator."""
    cases = [
        ([(True, "right"), (True, "refused"), (False, "wrong")], (1, 0.5, 0)),
        (
            [(True, "right")] * 6
            + [(True, "wrong")] * 2
            + [(True, "refused")] * 2
            + [(False, "refused")] * 3
            + [(False, "wrong")],
            (0.25, 0.2, 0.2),
        ),
        ([(False, "refused")] * 5 + [(True, "refused")] * 2, (0, 1, 0)),
        (
            [
                (False, "right"),
                (False, "refused"),
                (True, "right"),
                (True, "right"),
                (True, "wrong"),
                (True, "wrong"),
            ],
            (0.5, 0, 0.5),
        ),
    ]
    for verdicts, expected in cases:
        result = call(f, list(verdicts))
        names = {"false answers", "false refusals", "wrong"}
        assert (
            isinstance(result, dict) and set(result) == names
        ), f"give a dict with the keys {sorted(names)}"
        n_known = sum(known for known, _ in verdicts)
        n_unknown = len(verdicts) - n_known
        for name, right, own in zip(
            ("false answers", "false refusals", "wrong"), expected, (n_unknown, n_known, n_known)
        ):
            if abs(result[name] - right) < 1e-9:
                continue
            hint = "look at which questions it counts"
            if abs(result[name] - 100 * right) < 1e-9:
                raise AssertionError(
                    f"{name}: {result[name]:.3g} is in percent; give a fraction between 0 and 1"
                )
            if abs(result[name] - right * own / len(verdicts)) < 1e-9:
                hint = "the denominator: you divided by all questions"
            elif abs(result[name] - right * own) < 1e-9:
                hint = "that is a count; give a fraction"
            elif name == "wrong":
                hint = (
                    "only known questions can be wrong here; an answer to an unknown one is a false"
                    " answer"
                )
            elif name == "false refusals":
                hint = "to refuse an unknown question is right"
            elif name == "false answers":
                hint = (
                    "an unknown question that is not refused is a false answer, whatever the answer"
                )
            raise AssertionError(
                f"{name}: {result[name]:.3g} instead of {right:.3g} for {verdicts}: {hint}"
            )
    print("right: two kinds of error, each with its own denominator")


def naive_probability(logits, targets):
    out = []
    for row, expected in zip(logits.double(), targets.tolist()):
        product = 1.0
        for t, target in enumerate(expected):
            if target != IGNORE:
                exps = [float(x.exp()) for x in row[t]]
                product *= exps[target] / sum(exps)
        out.append(product)
    return out


@by_hand()
def answer_probability(f):
    """Compare with a loop over tokens."""
    logits, targets, result = call_on_targets(f, 0)
    result, expected = result.double(), torch.tensor(
        naive_probability(logits, targets), dtype=torch.float64
    )
    if torch.allclose(result, expected, atol=1e-6):
        print("right: the product of the supervised tokens' probabilities")
        return
    n = (targets != IGNORE).sum(1)
    assert not torch.allclose(
        result, expected.log(), atol=1e-4
    ), "that is the logarithm; take exp at the end"
    assert not torch.allclose(
        result, expected ** (1 / n), atol=1e-5
    ), "that is the mean over the tokens; a product was asked for, so sum the logarithms"
    padded = naive_probability(logits, targets.clamp(min=0))
    assert not torch.allclose(
        result, torch.tensor(padded, dtype=torch.float64), atol=1e-6
    ), "positions with IGNORE are counted, as if their target were token 0"
    raw = (
        torch.where(
            targets == IGNORE, 0.0, logits.gather(2, targets.clamp(min=0)[..., None])[..., 0]
        )
        .sum(1)
        .exp()
    )
    assert not torch.allclose(
        result, raw.double(), atol=1e-4
    ), "logits are not log-probabilities: log_softmax is missing"
    assert (
        result <= 1.00001
    ).all(), f"a probability of {float(result.max()):.3g}: sum logarithms, or multiply"
    raise AssertionError(
        f"rows give {result.tolist()} instead of {expected.tolist()}; the softmax is over the last"
        " axis"
    )


@by_hand()
def choose_threshold(f):
    """Compare with trying every number, and with cases made by hand."""
    cases = [
        ([0.9, 0.6, 0.2], [0.1, 0.3], 0.6),
        ([0.8, 0.9], [0.1, 0.2], 0.8),
        ([0.5], [0.5], 0.5),
        ([0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4], [0.6, 0.1], 0.4),
        ([0.9, 0.6], [0.7, 0.1], 0.6),  # 0.9 does as well
        ([0.7, 0.8] * 10, [0.75], 0.8),  # many known, one not: shares, not counts
    ]
    rng = random.Random(0)
    for _ in range(20):
        known = [round(rng.random() ** 0.5, 2) for _ in range(rng.randint(3, 12))]
        unknown = [round(rng.random() ** 2, 2) for _ in range(rng.randint(1, 5))]
        best = None
        for t in sorted(known + unknown):
            total = len([p for p in known if p < t]) / len(known) + len(
                [p for p in unknown if p >= t]
            ) / len(unknown)
            if best is None or total < best[0] - 1e-12:
                best = (total, t)
        cases.append((known, unknown, best[1]))
    for known, unknown, expected in cases:
        result = call(f, list(known), list(unknown))
        result = result.item() if torch.is_tensor(result) and result.numel() == 1 else result
        assert isinstance(result, (int, float)), f"give one number, not {result!r}"
        assert (
            0 <= result <= 1
        ), f"{result} is no probability; the threshold is one of the numbers given"
        assert (
            result in known + unknown
        ), f"{result} is none of the numbers given; only those need to be tried"
        false_refusals = sum(p < result for p in known) / len(known)
        false_answers = sum(p >= result for p in unknown) / len(unknown)
        least = sum(p < expected for p in known) / len(known) + sum(
            p >= expected for p in unknown
        ) / len(unknown)
        assert false_refusals + false_answers <= least + 1e-9, (
            f"known {known}, unknown {unknown}: {result} gives {false_refusals:.2f} false refusals"
            f" and {false_answers:.2f} false answers; {expected} gives less together (shares, not"
            " counts; below t is refused)"
        )
        assert (
            result <= expected or abs(false_refusals + false_answers - least) > 0
        ), f"{expected} does as well as {result} and is smaller: take the smallest"
    print("right: the least sum of both shares of errors")
