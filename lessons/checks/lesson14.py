"""Checks of lesson 14: preferences and DPO."""

import math

import torch

from checks import by_hand, call, call_on_targets
from data import Row, Turn
from model import IGNORE

HEAD = "Here is a story about a fox and a cave: "
FIRST = (
    HEAD + "One day a fox came to a cave. The fox was very happy. It stayed at the cave for ever."
)
ONCE = HEAD + "Once a fox lived near a cave. Every day the fox sat there. It loved the cave."
LONG = HEAD + "Long ago a fox lost its way. It saw a cave and slept. The cave became its home."
SEE = "Here is a sentence about the bag: I see the bag."
LIKE = "Here is a sentence about the bag: I like the bag."
WRONG = HEAD + "A fox."


@by_hand()
def prefer(f):
    """Compare with pairs written by hand."""
    story = Row((Turn("Write a story about a fox and a cave.", "", FIRST),), "story")
    sentence = Row((Turn("Write a sentence about the bag.", "", SEE),), "sentence")
    cases = [
        (ONCE, FIRST, (ONCE, FIRST), "both are right: the shorter is chosen"),
        (
            FIRST, LONG, (LONG, FIRST),
            "both are right: the shorter is chosen, also if it comes second",
        ),
        (
            WRONG, ONCE, (ONCE, WRONG),
            "a wrong answer is never chosen over a right one, however short it is",
        ),
        (
            FIRST, WRONG, (FIRST, WRONG),
            "a wrong answer is never chosen over a right one, however short it is",
        ),
        (WRONG, WRONG + " A cave here.", None, "neither is right: no preference"),
        (ONCE, ONCE, None, "the same answer twice is no preference"),
        (SEE, LIKE, None, "both are right and have as many words: no preference"),
        (LIKE, SEE, None, "both are right and have as many words: no preference"),
    ]
    for a, b, expected, hint in cases:
        result = call(f, sentence if a in (SEE, LIKE) else story, a, b)
        result = tuple(result) if result is not None else None
        if expected is not None and result == expected[::-1]:
            raise AssertionError(f"chosen and rejected are exchanged: {hint}")
        assert result == expected, f"{hint}; you gave {result}"
    print("right: right before wrong, then short before long")


@by_hand()
def answer_logps(f):
    """Compare with a loop over tokens."""
    logits, targets, result = call_on_targets(f, 1)
    expected, padded, raw = [], [], []
    for row, positions in zip(logits.tolist(), targets.tolist()):
        sums = [0.0, 0.0, 0.0]
        for scores, target in zip(row, positions):
            norm = math.log(sum(math.exp(score) for score in scores))
            sums[1] += scores[max(target, 0)] - norm
            if target != IGNORE:
                sums[0] += scores[target] - norm
                sums[2] += scores[target]
        expected.append(sums[0]), padded.append(sums[1]), raw.append(sums[2])
    n = (targets != IGNORE).sum(1)

    def same(other):
        return torch.allclose(
            result.double(), torch.as_tensor(other, dtype=torch.float64), atol=1e-4
        )

    assert not same(padded), "positions with IGNORE are counted, as if their target were token 0"
    assert not same(raw), "logits are not log-probabilities: log_softmax is missing"
    assert not same([-x for x in expected]), "that is the loss; a log-probability is negative"
    assert not same(
        [x / k for x, k in zip(expected, n.tolist())]
    ), "that is the mean over the tokens; DPO needs the sum"
    assert not same(
        [math.exp(x) for x in expected]
    ), "that is the probability; the logarithm was asked for"
    assert same(
        expected
    ), f"{result.tolist()} instead of {expected}; the softmax is over the last axis"
    logits.requires_grad_(True)
    again = call(f, logits, targets)
    again = (
        torch.stack(list(again))
        if isinstance(again, (list, tuple)) and torch.is_tensor(again[0])
        else again
    )
    assert (
        torch.is_tensor(again) and again.requires_grad
    ), "no gradient comes through; do not detach or use numpy"
    print("right: summed over the answer")


@by_hand()
def dpo_loss(f):
    """Compare with plain Python."""
    four = [torch.tensor(x) for x in ([-5.0, -9.0], [-6.0, -4.0], [-7.0, -8.0], [-5.5, -6.0])]

    def naive(chosen, rejected, ref_chosen, ref_rejected, beta):
        total = 0.0
        for c, r, rc, rr in zip(
            *(x.tolist() for x in (chosen, rejected, ref_chosen, ref_rejected))
        ):
            total += -math.log(1 / (1 + math.exp(-beta * ((c - rc) - (r - rr)))))
        return total / len(chosen)

    result, expected = call(f, *four, 0.5), naive(*four, 0.5)
    assert torch.is_tensor(result) and result.dim() == 0, "give one number: the mean over the pairs"
    assert (
        result > 0 or abs(result + expected) < 1e-4
    ), f"a loss of {result:.4f}: -log of a probability is never below 0"
    result, zero = float(result), [torch.zeros(2)] * 2
    c, r, rc, rr = four
    other = {
        "chosen and rejected are exchanged: the model would learn to prefer the rejected answer": (
            naive(r, c, rr, rc, 0.5)
        ),
        "the reference is missing: the loss must see how far the model has moved": naive(
            c, r, *zero, 0.5
        ),
        "beta is missing": naive(*four, 1.0),
        "the minus sign is missing: a loss must fall as the margin grows": -expected,
        "that is the sum over the pairs; take the mean": 2 * expected,
        "the reference's signs: subtract ref_chosen from chosen, and ref_rejected from rejected": (
            naive(c, r, -rc, -rr, 0.5)
        ),
    }
    for hint, value in other.items():
        assert abs(result - value) > 1e-4, f"{hint} ({result:.4f} instead of {expected:.4f})"
    assert abs(result - expected) < 1e-4, f"{result:.4f} instead of {expected:.4f}"
    start = float(f(c, r, c, r, 0.3))
    assert (
        abs(start - math.log(2)) < 1e-5
    ), f"before the first step the loss is {start:.3f} instead of log 2 = 0.693"
    far = f(torch.tensor([-500.0]), torch.tensor([0.0]), *[torch.zeros(1)] * 2, 1.0)
    assert math.isfinite(
        float(far)
    ), "the loss is not finite for a margin of -500: use F.logsigmoid, not log(sigmoid(x))"
    print("right: equation 7")


class Toy(torch.nn.Module):
    """Four numbers that stand for log p of two chosen and two rejected answers."""

    def __init__(self):
        super().__init__()
        self.logps = torch.nn.Parameter(torch.tensor([-3.0, -5.0, -4.0, -2.0]))
        self.logps.grad = torch.full((4,), 7.0)  # what a step before has left

    def forward(self):
        return self.logps * 1.0


@by_hand()
def dpo_step(f):
    """Make one step on four numbers, and compare it with what autograd gives."""
    before = torch.tensor([-4.0, -5.0, -3.0, -3.0])
    shift, rate = torch.tensor([1.0, 0.0, -1.0, 1.0]), 0.5

    def loss_of(chosen, rejected, ref_chosen, ref_rejected):
        gap = (chosen - ref_chosen) - (rejected - ref_rejected)
        return 3 * torch.nn.functional.softplus(-gap).sum()

    def expected_move(weight=1.0, clip=True, leftover=0.0, sign=1.0, roll=0):
        logps = torch.tensor([-3.0, -5.0, -4.0, -2.0], requires_grad=True)
        loss_of(*logps.roll(roll).chunk(2), *(weight * before).roll(roll).chunk(2)).backward()
        gradient = logps.grad + leftover
        norm = gradient.norm()
        gradient = gradient / norm if clip and norm > 1 else gradient
        return -sign * rate * gradient

    model = Toy()
    start = model.logps.detach().clone()
    calls = []

    def logps_of(model):
        calls.append(1)
        return model()

    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    result = call(f, model, optimizer, logps_of, before.clone(), loss_of)
    move = model.logps.detach() - start
    assert move.abs().max() > 1e-6, "the numbers of the model did not change: optimizer.step()"
    hints = {
        "zero_grad() is missing: the gradients of the step before are still there": (
            expected_move(leftover=7.0)
        ),
        "the gradients were not clipped": expected_move(clip=False),
        "the reference is missing: give `before` to the loss": expected_move(weight=0.0),
        "the loss rose: backward() of the loss itself": expected_move(sign=-1.0),
        "chosen answers come first in the batch, rejected ones second": expected_move(roll=2),
    }
    right = expected_move()
    for hint, value in hints.items():
        assert not torch.allclose(move, value, atol=1e-4), hint
    message = f"the model moved by {move.tolist()} instead of {right.tolist()}"
    assert torch.allclose(move, right, atol=1e-4), message
    assert isinstance(result, (tuple, list)) and len(result) == 2, (
        "return two numbers: the change of chosen and of rejected answers"
    )
    first, second = (float(value) for value in result)
    change = shift.view(2, 2).mean(1).tolist()
    message = f"returned {first:.2f} and {second:.2f}, expected {change[0]:.2f} and {change[1]:.2f}"
    assert abs(first - change[1]) > 1e-4, f"chosen comes first. {message}"
    assert abs(first - change[0]) < 1e-4 and abs(second - change[1]) < 1e-4, (
        f"the change is log p before the step minus the reference's. {message}"
    )
    print("right: one step of DPO")
