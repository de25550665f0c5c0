"""Checks of lesson 15: an example with its mask, a loss, new tokens, pairs, FLOPs."""

from collections import namedtuple

import torch
import torch.nn.functional as F

from checks import by_hand, call
from model import IGNORE

Shape = namedtuple("Shape", "V C L block attention")


@by_hand()
def training_flops(learner):
    """Compare with a list of every product."""
    for shape, tokens, supervised, T in (
        (Shape(11, 2, 1, 46, 2), 7, 3, 4),
        (Shape(50, 4, 3, 200, 6), 40, 10, 8),
        (Shape(7, 8, 2, 90, 4), 12, 12, 4),
    ):
        for frozen in (False, True):
            each = 4 if frozen else 6
            blocks = sum(each * shape.block * tokens for _ in range(shape.L))
            head = each * shape.C * shape.V * supervised
            attention = sum(12 * shape.attention * T * tokens for _ in range(shape.L))
            expected = blocks + head + attention
            result = call(learner, shape, tokens, supervised, T, frozen)
            assert isinstance(result, (int, float)), f"return one number; {result!r} came back"
            if abs(result - expected) < 0.5:
                continue
            case = (
                f"{shape}, {tokens} tokens, {supervised} supervised, T = {T}, frozen {frozen}:"
                f" {result:,} instead of {expected:,}: "
            )
            hints = {
                blocks + head: "the attention term is missing",
                blocks + attention: "the output matrix is missing",
                head + attention: "the blocks' matrices are missing",
                (
                    blocks + head
                ) * 6 / each + attention: (
                    "a frozen matrix costs 4 FLOPs for each number and token, not 6"
                ),
                (
                    blocks + head
                ) * 2 / 3 + attention: (
                    "a trained matrix costs 6 FLOPs for each number and token, not 4"
                ),
                blocks + head * 6 / each + attention: "the output matrix is frozen, too",
                blocks + head + attention * 2 / 3: (
                    "attention has no weights: frozen or not, it costs the same"
                ),
                blocks + head * tokens / supervised + attention: (
                    "the output matrix works at supervised tokens only"
                ),
                (
                    blocks + head
                ) * 2 / each + attention: (
                    "that is the forward pass; the backward pass comes on top"
                ),
                expected / 3: "that is the forward pass only",
                blocks / shape.L + head + attention: "there are L blocks",
                blocks + head + attention / shape.L: "every block has attention",
                blocks + head + attention / T: "each token is compared with T others",
                blocks + head + attention / tokens: "attention works for every token",
                blocks + head + attention * shape.C / shape.attention: (
                    "attention is as wide as its queries: shape.attention"
                ),
            }
            raise AssertionError(
                case
                + next(
                    (hint for n, hint in hints.items() if abs(n - result) < 0.5), "add three terms"
                )
            )
    print("Right: blocks, output matrix and attention; frozen matrices save a third of theirs.")


@by_hand("data.encode", "data.prepare")
def with_mask(learner):
    for prompt, answer, eos in (([5, 6], [7], 9), ([1], [2, 3, 4], 0), ([4, 4, 9], [9, 8], 9)):
        copies = list(prompt), list(answer)
        result = call(learner, *copies, eos)
        assert copies == (prompt, answer), "the lists that were given have changed; make new ones"
        assert isinstance(result, (tuple, list)) and len(result) == 2, "return two lists: ids, mask"
        ids, mask = (list(part) for part in result)
        message = f"{prompt}, {answer}, {eos} gave {ids} and {mask}"
        assert ids != prompt + answer, f"the eos is missing, and nothing would ever end. {message}"
        assert ids == prompt + answer + [eos], f"ids are prompt, answer and the eos. {message}"
        assert len(mask) == len(ids), f"the mask is as long as the ids. {message}"
        n = len(prompt)
        assert mask != [1] * n + [0] * (
            len(ids) - n
        ), f"the mask is the wrong way round: 1 is what the loss looks at. {message}"
        assert mask != [0] * n + [1] * len(answer) + [
            0
        ], f"the eos is part of what is supervised. {message}"
        assert mask != [1] * len(ids), f"the prompt is only read. {message}"
        right = [0] * n + [1] * (len(answer) + 1)
        assert [int(m) for m in mask] == right, f"expected the mask {right}. {message}"
    print("Right: what is read, and what is supervised with its end.")


class Counted(torch.Tensor):
    """An output matrix that counts the rows of hidden states it is multiplied with."""

    rows = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        result = super().__torch_function__(function, types, args, kwargs or {})
        if (
            torch.is_tensor(result)
            and result.dim() >= 2
            and result.shape[-1] == 11
            and result.dtype.is_floating_point
        ):
            Counted.rows = max(Counted.rows, result.numel() // 11)
        return result


@by_hand("model.summed_loss")
def summed_loss(learner):
    generator = torch.Generator().manual_seed(0)
    hidden, head = (torch.randn(*shape, generator=generator) for shape in ((2, 5, 4), (11, 4)))
    targets = torch.tensor([[IGNORE, IGNORE, 3, 10, IGNORE], [IGNORE, 0, 7, IGNORE, IGNORE]])
    original, Counted.rows = targets.clone(), 0
    result = call(learner, hidden, head.as_subclass(Counted), targets)
    expected = F.cross_entropy(
        (hidden @ head.T).flatten(0, 1), original.flatten(), ignore_index=IGNORE, reduction="sum"
    )
    assert torch.equal(targets, original), "the targets that were given have changed"
    assert torch.is_tensor(result) and result.numel() == 1, "return one number: the sum"
    result = torch.as_tensor(result.item())
    message = f"{result:.4f} came back, expected {expected:.4f}"
    assert not torch.isclose(
        result, expected / 4
    ), f"that is the mean: the loop divides by itself, later. {message}"
    shifted = F.cross_entropy(
        (hidden @ head.T)[:, :-1].flatten(0, 1), original[:, 1:].flatten(), reduction="sum"
    )
    assert not torch.isclose(
        result, shifted
    ), f"the targets are shifted already; do not shift them again. {message}"
    assert torch.isclose(result, expected, atol=1e-4), message
    assert (
        Counted.rows <= 4
    ), f"{Counted.rows} rows of logits were made where 4 are needed: pick the hidden states first"
    print("Right: four targets, four rows of logits.")


@by_hand()
def first_choices(learner):
    """Compare with shares that anybody can count."""
    cases = [
        ([[3, 1, 1, 9], [1, 2, 5]], (1 / 2, 2 / 3, 0)),
        ([[1, 1, 1, 1], [2, 3, 1, 1, 1], [1, 4, 2]], (2 / 3, 4 / 6, 2 / 3)),
        ([[5, 1], [1, 1, 7]], (1 / 2, 1, 1 / 2)),
    ]
    for ranks, expected in cases:
        result = call(learner, [list(answer) for answer in ranks])
        is_dict = isinstance(result, dict) and set(result) == {"first", "middle", "last"}
        assert is_dict, f"return a dict with first, middle and last, not {result!r}"
        counts = [len(ranks), sum(len(answer) - 2 for answer in ranks), len(ranks)]
        for name, share, n in zip(("first", "middle", "last"), expected, counts):
            value = result[name]
            if abs(value - share) < 1e-3:
                continue
            message = f"{ranks}: {name} is {value:.3g}, expected {share:.3g}"
            is_count = abs(value - share * n) < 1e-3 and n > 1
            assert not is_count, f"that is a count, not a share. {message}"
            assert value <= 1, f"a share is at most 1. {message}"
            assert name != "middle", (
                f"the middle has all tokens but the first and the last, of all answers. {message}"
            )
            raise AssertionError(f"one token of each answer. {message}")
    print("Right: beginnings, middles, ends.")


@by_hand()
def my_pairs(learner):
    """Read the learner's pairs. Only their form is checked."""
    pairs = call(learner)
    message = "return a list of dicts with instruction and output"
    assert isinstance(pairs, (list, tuple)), message
    assert all(isinstance(pair, dict) for pair in pairs), message
    assert len(pairs) >= 20, f"{len(pairs)} pairs; write at least twenty"
    for number, pair in enumerate(pairs):
        for key in ("instruction", "output"):
            text = pair.get(key)
            is_text = isinstance(text, str) and text.strip()
            assert is_text, f"pair {number}: its {key} is missing or empty"
        is_copy = pair["instruction"].strip() == pair["output"].strip()
        assert not is_copy, f"pair {number}: the output is the instruction again"
    asked = {pair["instruction"].strip().lower() for pair in pairs}
    assert len(asked) == len(pairs), "an instruction occurs twice: ask different things"
    assert len({pair["output"] for pair in pairs}) > len(pairs) // 2, (
        "most outputs are the same text, so a model would learn to say only that"
    )
    print(f"Right: {len(pairs)} pairs, {len(asked)} different questions.")
