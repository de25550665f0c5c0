"""Checks of lesson 11: the rules of sampling, decoding with a cache, the best of n."""

import functools
import itertools
import math
import time
from unittest import mock

import torch

import generate as project
from checks import by_hand, call
from generate import Sampling
from model import GPT, GPTConfig

DRAWING = ("generate.sample_next", "checks.lesson11.project_distribution")
DECODING = ("generate.generate", "generate.stream_ids")


def on_rows(function, rows, number, name):
    """Run the function on a copy of rows (B, V) and test what all rules promise. Returns its
    result."""
    copy = rows.clone()
    case = f"{name} {number}"
    result = call(function, copy, number)
    assert result is not None, "nothing came back; return the probabilities"
    assert torch.is_tensor(result) and result.shape == rows.shape, (
        f"{case}: expected a tensor of shape {tuple(rows.shape)}, "
        f"you have {tuple(result.shape) if torch.is_tensor(result) else type(result).__name__}"
    )
    assert torch.equal(copy, rows), f"{case}: you changed the caller's tensor; work on a copy"
    assert (
        not result.isnan().any()
    ), f"{case}: there is NaN (not a number) in the result: 0 / 0, or exp of a large number"
    assert (
        result >= 0
    ).all(), (
        f"{case}: there are negative numbers (or -inf); what is not kept gets the probability 0"
    )
    return result.double()


def show_row(row):
    return "[" + ", ".join(f"{x:.3g}" for x in row) + "]"


# --------------------------------------------------------------------------------------------------
# Temperature.


@by_hand(*DRAWING)
def with_temperature(function):
    log = math.log
    cases = [
        ([[0.0, log(3)]], 1, [[0.25, 0.75]]),
        ([[0.0, log(3)]], 0.5, [[0.1, 0.9]]),
        ([[log(9), 0.0]], 2, [[0.75, 0.25]]),
        ([[0.0, log(3)], [log(4), 0.0]], 1.0, [[0.25, 0.75], [0.8, 0.2]]),
    ]
    for logits, temperature, expected in cases:
        case = f"logits {show_row(logits[0])}, temperature {temperature}"
        result = on_rows(function, torch.tensor(logits), temperature, "temperature")
        expected = torch.tensor(expected, dtype=torch.float64)
        if torch.allclose(result, expected, atol=1e-5):
            continue
        scores = torch.tensor(logits, dtype=torch.float64)
        assert not torch.allclose(
            result, (scores * temperature).softmax(-1), atol=1e-5
        ), f"{case}: multiplied; a high temperature must make the distribution flatter, so divide"
        assert not torch.allclose(
            result, scores.softmax(-1) / temperature, atol=1e-5
        ), f"{case}: the probabilities were divided; divide the logits, before the softmax"
        assert not torch.allclose(result, (scores / temperature).softmax(0), atol=1e-5), (
            f"{case}: the softmax is over the rows of the batch; it is over the vocabulary, the"
            " last axis"
        )
        raise AssertionError(
            f"{case}: expected {show_row(expected[0])}, you have {show_row(result[0])}"
        )
    for temperature in (0, 0.0):
        result = on_rows(
            function, torch.tensor([[1.0, 3.0, 2.0], [5.0, -1.0, 4.9]]), temperature, "temperature"
        )
        assert not torch.allclose(
            result, torch.full_like(result, 1 / 3)
        ), "temperature 0: all tokens alike is the limit of a high temperature"
        assert result.argmax(-1).tolist() == [
            1,
            0,
        ], f"temperature 0: the most probable are 1 and 0, you have {result.tolist()}"
        assert result.tolist() == [
            [0, 1, 0],
            [1, 0, 0],
        ], f"temperature 0: all of it to argmax, you have {show_row(result[0])}"
        result = on_rows(
            function, torch.tensor([[2.0, 7.0, 7.0]]), temperature, "temperature, two equal logits,"
        )
        assert sorted(result[0].tolist()) == [0, 0, 1], (
            "temperature 0 with two equal logits: one token, as argmax takes one; you have"
            f" {show_row(result[0])}"
        )
    huge = on_rows(
        function, torch.tensor([[1000.0, 999.0, 0.0]]), 0.01, "logits of 1000 and temperature"
    )
    assert torch.allclose(
        huge[0], torch.tensor([1.0, 0.0, 0.0]).double()
    ), f"large logits: you have {show_row(huge[0])}"
    print("right: the logits divided, and argmax at 0")


# --------------------------------------------------------------------------------------------------
# Cutting.


def not_divided(result, probabilities, case):
    """Test that the tokens that stay keep their probability."""
    token_sets = result > 0
    if torch.allclose(result[token_sets], probabilities.double()[token_sets], atol=1e-7):
        return
    sums = result.sum(-1)
    assert not torch.allclose(
        sums, torch.ones_like(sums), atol=1e-5
    ), f"{case}: divided by the sum; what is kept stays as it was, the draw divides by itself"
    assert torch.allclose(result.sort(-1).values[:, -1], probabilities.double().max(-1).values), (
        f"{case}: from {show_row(probabilities[0])} you have {show_row(result[0])}; what is kept"
        " must keep its probability"
    )
    raise AssertionError(
        f"{case}: probabilities are at other tokens than before; put them back at their own"
        " positions"
    )


@by_hand(*DRAWING)
def top_k(function):
    P = torch.tensor
    cases = [
        (P([[0.1, 0.6, 0.3]]), 2, [{1, 2}]),
        (P([[0.1, 0.6, 0.3]]), 1, [{1}]),
        (P([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]), 2, [{0, 1}, {2, 3}]),
        (P([[0.1, 0.6, 0.3]]), 3, [{0, 1, 2}]),
        (P([[0.1, 0.6, 0.3]]), 50, [{0, 1, 2}]),
    ]
    for probabilities, k, expected in cases:
        case = f"{show_row(probabilities[0])}, k = {k}"
        try:
            result = on_rows(function, probabilities, k, "k =")
        except AssertionError as error:
            if k > probabilities.shape[1] and "stopped with" in str(error):
                raise AssertionError(f"{case}: k is larger than V, so all stay; {error}") from error
            raise
        token_sets = [set(row.nonzero()[:, 0].tolist()) for row in result]
        counts = [len(row) for row in token_sets]
        if token_sets != expected:
            lowest = [
                set(row.topk(min(k, len(row)), largest=False).indices.tolist())
                for row in probabilities
            ]
            assert token_sets != lowest, f"{case}: the least probable were kept"
            right = [len(row) for row in expected]
            first = [set(range(min(k, len(row)))) for row in probabilities]
            assert token_sets != first, (
                f"{case}: the first {k} tokens of the vocabulary were kept, not the most probable"
                " ones"
            )
            assert counts == right, f"{case}: {counts} tokens a row are kept, expected {right}"
            raise AssertionError(f"{case}: the tokens {token_sets} are kept, expected {expected}")
        not_divided(result, probabilities, case)
    ties = [(P([[0.25, 0.25, 0.25, 0.25]]), 2, set()), (P([[0.2, 0.4, 0.2, 0.2]]), 2, {1})]
    for probabilities, k, sure in ties:
        result = on_rows(function, probabilities, k, "k =")
        token_sets = set(result[0].nonzero()[:, 0].tolist())
        assert len(token_sets) == k, (
            f"ties, {show_row(probabilities[0])}, k = {k}: {len(token_sets)} are kept; exactly k,"
            " whichever of the equal ones"
        )
        assert (
            sure <= token_sets
        ), f"ties, {show_row(probabilities[0])}, k = {k}: the most probable token is not kept"
        not_divided(result, probabilities, f"ties, k = {k}")
    print("right: exactly k, as they were")


def down_to(row, p):
    """Find the tokens of a row that stay, by the definition, in a loop."""
    order, total, token_sets = sorted(range(len(row)), key=lambda i: -row[i]), 0.0, set()
    for i in order:
        if token_sets and total >= p:
            break
        token_sets.add(i)
        total += row[i]
    return {i for i in token_sets if row[i] > 0}


def without_crossing(row, p):
    """Make the plausible mistake: stop before p is crossed."""
    order, total, token_sets = sorted(range(len(row)), key=lambda i: -row[i]), 0.0, set()
    for i in order:
        total += row[i]
        if total <= p:
            token_sets.add(i)
    return token_sets


def up_to(row, p):
    """Make the plausible mistake: begin with the least probable."""
    order, total, token_sets = sorted(range(len(row)), key=lambda i: row[i]), 0.0, set()
    for i in order:
        if total <= p:
            token_sets.add(i)
        total += row[i]
    return {i for i in token_sets if row[i] > 0}


@by_hand(*DRAWING, "checks.lesson11.down_to")
def top_p(function):
    cases = [
        ([[0.35, 0.05, 0.2, 0.4]], 0.8),
        ([[0.1, 0.6, 0.3]], 0.7),
        ([[0.1, 0.6, 0.3]], 0.5),
        ([[0.05, 0.06, 0.89], [0.31, 0.29, 0.4]], 0.65),
        ([[0.1, 0.6, 0.3]], 0),
        ([[0.1, 0.6, 0.3], [0.3, 0.1, 0.6]], 1.0),
        ([[0.0, 1.0, 0.0]], 0.5),
        ([[0.0, 1.0, 0.0]], 1.0),
        ([[0.0, 0.5, 0.3, 0.0]], 0.6),  # as top-k leaves it: it does not sum to 1
        ([[0.0, 0.5, 0.3, 0.0]], 0.95),
    ]
    for rows, p in cases:
        probabilities = torch.tensor(rows)
        case = f"{show_row(rows[0])}, p = {p}"
        result = on_rows(function, probabilities, p, "p =")
        token_sets = [set(row.nonzero()[:, 0].tolist()) for row in result]
        expected = [down_to(row, p) for row in rows]
        if token_sets != expected:
            assert all(token_sets), (
                f"{case}: nothing is kept, so nothing can be drawn; the most probable token always"
                " stays"
            )
            alone = torch.allclose(
                result.sort(-1).values,
                torch.tensor(
                    [
                        sorted(x * (i in w) for i, x in enumerate(row))
                        for row, w in zip(rows, expected)
                    ]
                ).double(),
            )
            assert not alone, (
                f"{case}: the right ones, but at the positions of others: put back what stays at"
                " its own position"
            )
            assert [*map(len, token_sets)] != [*map(len, expected)], (
                f"{case}: as many tokens as expected, but others: {token_sets}, not {expected}. Go"
                " down from the most probable, within each row, and put what stays back at its own"
                " position"
            )
            rising = [up_to(row, p) for row in rows]
            assert token_sets != rising, (
                f"{case}: {token_sets} is kept, expected {expected}. Go down from the most"
                " probable, not up"
            )
            big = [
                {i for i, x in enumerate(row) if x >= p}
                or {max(range(len(row)), key=row.__getitem__)}
                for row in rows
            ]
            smaller = [without_crossing(row, p) or {row.index(max(row))} for row in rows]
            scaled = [down_to([x / sum(row) for x in row], p) for row in rows]
            assert (
                token_sets != scaled
            ), f"{case}: divided by the sum first; p counts in the probabilities as they were given"
            assert token_sets != smaller, (
                f"{case}: {token_sets} is kept, expected {expected}: the token that crosses p is"
                " kept as well"
            )
            assert token_sets != big, (
                f"{case}: {token_sets} is kept: p is not the least probability of a token, but the"
                " sum of those kept"
            )
            raise AssertionError(f"{case}: the tokens {token_sets} are kept, expected {expected}")
        not_divided(result, probabilities, case)
    # at exactly 0.5 both readings of "crosses" are fine
    for p, allowed in (
        (0.6, (3,)),
        (0.3, (2,)),
        (0.5, (2, 3)),
    ):
        result = on_rows(function, torch.full((1, 4), 0.25), p, "p =")
        n = int((result > 0).sum())
        assert n in allowed, (
            f"ties, four tokens of 0.25, p = {p}: {n} are kept, expected {allowed[0]}, whichever of"
            " the equal"
        )
        not_divided(result, torch.full((1, 4), 0.25), f"ties, p = {p}")
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        probabilities = torch.randn(3, 11, generator=generator).softmax(-1)
        p = float(torch.rand(1, generator=generator))
        result = on_rows(function, probabilities, p, "p =")
        expected = [down_to(row, p) for row in probabilities.tolist()]
        token_sets = [set(row.nonzero()[:, 0].tolist()) for row in result]
        assert (
            token_sets == expected
        ), f"random rows of 11, p = {p:.3f}: kept {token_sets}, expected {expected}"
        not_divided(result, probabilities, f"random rows, p = {p:.3f}")
    print("right: down to the token that crosses p")


# --------------------------------------------------------------------------------------------------
# The project's own.


def project_distribution(logits, sampling):
    """Return the probabilities (B, V) from which the project's sample_next draws.

    We replace the draw by one that takes rank 0, 1, 2, ... in turn, which tells the token of each
    rank."""
    result, positions = [], []
    for rank in range(logits.shape[1]):

        def draw(probabilities, n, generator=None):
            result.append(probabilities.clone())
            return torch.full((len(probabilities), 1), rank)

        with mock.patch.object(torch, "multinomial", draw):
            positions.append(project.sample_next(logits.clone(), sampling, None))
    if not result:  # temperature 0 draws nothing
        return torch.nn.functional.one_hot(positions[0], logits.shape[1]).double()
    by_rank = result[0].double() / result[0].double().sum(-1, keepdim=True)
    return torch.zeros_like(by_rank).scatter(-1, torch.stack(positions, 1), by_rank)


def against_the_project(function):
    """Compare function(logits, Sampling), probabilities (B, V), with those of the project."""
    generator = torch.Generator().manual_seed(1)
    random = torch.randn(4, 12, generator=generator) * 3
    cases = {
        "random": random,
        "equal": random.round() / 2,
        "all equal": torch.zeros(1, 12),
        "extreme": random * 300,
    }
    compared = skipped = 0
    for name, logits in cases.items():
        for temperature, k, p in itertools.product(
            (0.0, 0.3, 1.0, 2.5), (0, 1, 3, 12, 50), (0.0, 0.37, 0.83, 1.0)
        ):
            sampling = Sampling(temperature, k, p)
            result, expected = function(logits.clone(), sampling).double(), project_distribution(
                logits, sampling
            )
            for row, row_result, row_expected in zip(logits, result, expected):
                if temperature and 0 < p < 1:
                    whole = (row / temperature).double().softmax(-1).sort(descending=True).values
                    if ((whole.cumsum(-1) - p).abs() < 1e-5).any():  # rounding decides
                        skipped += 1
                        continue
                alone = (row[:, None] == row).sum(-1) == 1  # of equal logits any may be kept
                same = torch.allclose(
                    row_result.sort().values, row_expected.sort().values, atol=1e-5
                )
                same = same and torch.allclose(row_result[alone], row_expected[alone], atol=1e-5)
                assert same, (
                    f"{name} logits, {sampling}: you have {show_row(row_result)}, generate.py draws"
                    f" from {show_row(row_expected)}"
                )
                compared += 1
    print(
        f"the same distribution as generate.py in {compared} of {compared} cases"
        + f" ({skipped} left out, where rounding decides)" * bool(skipped)
    )


# --------------------------------------------------------------------------------------------------
# Decoding with a cache.


V = 30  # of the toy models


class Watched(GPT):
    """A small random model that records the shape (B, T) and the positions of every call."""

    def __init__(self, seed, **config):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            super().__init__(
                GPTConfig(
                    **dict(vocab_size=V, block_size=40, n_layer=2, n_head=2, n_embd=16) | config
                )
            )
            # else so small a model says the same token again and again
            self.mix = torch.randn(
                V, V
            )
        self.calls = []
        self.eval()

    def hidden(self, ids, positions=None, mask=None, cache=None):
        given_positions = None if positions is None else positions.tolist()
        self.calls.append((tuple(ids.shape), given_positions, cache is not None))
        return super().hidden(ids, positions, mask, cache)

    def forward(self, ids, *args, **kwargs):
        return super().forward(ids, *args, **kwargs) @ self.mix


@torch.inference_mode()
def plainly(model, prompt, n):
    """Decode greedily without a cache: every step reads everything again. Returns tokens and logits
    (n, V)."""
    ids, logits = list(prompt), []
    for _ in range(n):
        logits.append(model(torch.tensor([ids]))[0, -1])
        ids.append(int(logits[-1].argmax()))
    return ids[len(prompt) :], torch.stack(logits)


@by_hand(*DECODING)
def decode(function):
    for seed, position, B, P, n in (
        (0, "rotary", 3, 5, 8),
        (1, "learned", 1, 7, 6),
        (2, "rotary", 2, 1, 4),
    ):
        model = Watched(seed, position=position)
        ids = torch.randint(V, (B, P), generator=torch.Generator().manual_seed(seed))
        case = f"prompts {(B, P)}, n = {n}"
        try:
            with torch.inference_mode():
                result = call(function, model, ids.clone(), n)
        except AssertionError as error:
            if [T for (_, T), *_ in model.calls[1:2]] not in ([], [1]):
                T = model.calls[1][0][1]
                raise AssertionError(
                    f"{case}: the second call reads {T} tokens a row; read the newest one only."
                    f" {error}"
                ) from error
            raise
        calls = list(model.calls)
        assert (
            isinstance(result, (tuple, list)) and len(result) == 2
        ), "return two things: tokens (B, n), logits (B, n, V)"
        tokens, logits = result
        assert torch.is_tensor(tokens) and torch.is_tensor(
            logits
        ), "tokens and logits are tensors (torch.stack)"
        assert tokens.shape != (
            B,
            P + n,
        ), f"{case}: the prompt is in the tokens; return only the new ones"
        assert tokens.shape == (
            B,
            n,
        ), f"{case}: tokens should be {(B, n)}, yours are {tuple(tokens.shape)}"
        assert logits.shape == (
            B, n, V,
        ), f"{case}: logits should be {(B, n, V)}, yours are {tuple(logits.shape)}"
        read = sum(T for (_, T), *_ in calls)
        assert read <= P + n, (
            f"{case}: {read} positions went through the model for each row, {P + n - 1} are"
            " enough: "
            + (
                "no cache was used, so"
                if not any(cached for *_, cached in calls)
                else "after the prompt, read one token a call;"
            )
            + " every step reads the old tokens again"
        )
        right = [plainly(model, row.tolist(), n) for row in ids]
        expected = torch.stack([step for _, step in right])
        if torch.allclose(logits, expected, atol=1e-4):
            same = tokens.tolist() == [step for step, _ in right]
            assert same, (
                f"{case}: the logits are right, the tokens are not: take argmax over the last axis"
                " of the newest logits"
            )
            continue
        assert torch.allclose(
            logits[:, 0], expected[:, 0], atol=1e-4
        ), f"{case}: already the first logits, after the prompt, differ"
        assert all(
            cached for *_, cached in calls
        ), f"{case}: the cache was not given to the model: cache=cache"
        later = [positions for _, positions, _ in calls[1:]]
        assert not all(at in (None, [[0]], [[0]] * B) for at in later), (
            f"{case}: each new token is told that it is at position 0, the first of a text;"
            " give `positions`"
        )
        assert later[0] in ([[P]], [[P]] * B), (
            f"{case}: the first new token is at position {P} (the prompt has 0 to {P - 1}), you"
            f" gave {later[0]}"
        )
        raise AssertionError(
            f"{case}: from the second step on the logits differ from those without a cache. "
            "Use one cache for all steps, and read the token just chosen, once"
        )
    print("right: every position once, and the same logits")


# --------------------------------------------------------------------------------------------------
# The best of n.


@by_hand()
def n_found(function):
    """Compare with counts that anybody can see."""
    cases = [
        (["x", "y"], ["a", "b", "c"], 0),
        (["a", "b", "a", "x"], ["a", "b", "c"], 2),
        (["c", "b", "a"], ["a", "b", "c"], 3),
        (["a", "a", "a", "a"], ["a", "b", "c"], 1),
        ([], ["a", "b", "c"], 0),
        (["ab", "c d", "c d x"], ["abc", "c", "c d", "z"], 1),
    ]
    for texts, right, expected in cases:
        result = call(function, list(texts), list(right))
        case = f"{texts} with right {right}"
        assert isinstance(result, int), f"{case}: return a count, not {result!r}"
        if result == expected:
            continue
        repeated = sum(text in right for text in texts)
        assert result != repeated, f"{case}: a story that was drawn twice was found once"
        assert result != len(set(texts)), f"{case}: count only right stories, not different ones"
        assert result != len(right) - expected, f"{case}: those are the ones that were not found"
        raise AssertionError(f"{case}: expected {expected}, you have {result}")
    print("right: different, and right")


@by_hand()
def best_of(function):
    questions = ["q0", "q1", "q2", "q3"]
    candidates = [
        ["bad", "good", "best"],
        ["bad", "worse", "bad"],
        ["fine", "good", "good too"],
        ["bad", "zero", "worse"],
    ]
    rewards = {
        "worse": -2.0,
        "bad": -1.0,
        "zero": 0.0,
        "fine": 0.5,
        "good": 1.0,
        "good too": 1.0,
        "best": 2.0,
    }
    rewarded = []

    def reward(question, answer):
        rewarded.append((question, answer))
        return rewards[answer]

    copies = [list(answers) for answers in candidates]
    result = call(function, list(questions), copies, reward, 0)
    assert isinstance(
        result, (list, tuple)
    ), f"give a list, one answer or None for each question, not {type(result).__name__}"
    result = list(result)
    assert len(result) == 4, (
        f"4 questions, {len(result)} answers back: put None where no answer is good enough, do not"
        " leave it out"
    )
    assert copies == candidates, "you changed the caller's lists"
    pairs = {(q, a) for q, answers in zip(questions, candidates) for a in answers}
    assert {*rewarded} <= pairs, "reward was called with an answer to another question"
    assert (
        result[0] != "good"
    ), "q0: 'good' is the first answer with a reward above 0; 'best' has the highest"
    assert result[0] == "best", f"q0: 'best' has the highest reward, you have {result[0]!r}"
    assert result[1] is None, (
        f"q1: all rewards are negative, none is above 0, so None; you have {result[1]!r}. A"
        " negative number counts as true in Python"
    )
    assert result[2] != "good too", "q2: 'good' and 'good too' are equal, take the first"
    assert result[2] == "good", f"q2: expected 'good', you have {result[2]!r}"
    assert (
        result[3] is None
    ), f"q3: the highest reward is 0, which is not above 0, so None; you have {result[3]!r}"
    result = list(
        call(function, ["q0", "q1"], [["worse", "bad"], ["zero", "fine"]], reward, -math.inf)
    )
    assert result == ["bad", "fine"], (
        f"above = -inf: expected ['bad', 'fine'], you have {result}: compare with `above`, not with"
        " 0, and let negative rewards win"
    )
    result = list(call(function, ["q0", "q1"], [["good", "fine"], ["best", "good"]], reward, 1.0))
    assert result == [
        None,
        "best",
    ], f"above = 1: expected [None, 'best'], you have {result}: compare with `above`, not with 0"
    print("right: the highest reward, and None where it is not high enough")


# --------------------------------------------------------------------------------------------------
# The open task.


def toy_prompts(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(V, (n,), generator=generator).tolist() for n in (3, 7, 1, 5, 7, 2)]


@functools.cache
def plain_answers(seed, eos, max_new):
    """Decode each toy prompt alone, without a cache. Returns [(ids without eos, stopped), ...]."""
    model = Watched(seed)
    result = []
    for prompt in toy_prompts(seed):
        ids, _ = plainly(model, prompt, max_new)
        result.append((ids[: ids.index(eos)], True) if eos in ids else (ids, False))
    return result


@by_hand(*DECODING)
def generate_all(function, assistant=None, rows=None):
    max_new = 12
    # toys that stop after different numbers of tokens, or not
    for seed, eos in ((2, 5), (57, 3), (10, 10), (5, 21)):
        model = Watched(seed)
        prompts = toy_prompts(seed)
        with torch.inference_mode():
            result = call(function, model, [list(prompt) for prompt in prompts], eos, max_new)
        calls = list(model.calls)
        expected = plain_answers(seed, eos, max_new)
        assert isinstance(result, (list, tuple)) and len(result) == len(
            prompts
        ), "one (ids, stopped) for each prompt"
        assert all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in result
        ), "each is a pair: (ids, stopped)"
        result = [(list(map(int, ids)), bool(stopped)) for ids, stopped in result]
        assert calls[0][0][0] == len(
            prompts
        ), f"the first call has {calls[0][0][0]} row(s): all {len(prompts)} prompts go together"
        assert all(
            T == 1 for (_, T), *_ in calls[1:]
        ), "after the prompts, one token a row and call: use the cache"
        needed = max(len(ids) + stopped for ids, stopped in expected)
        assert (
            len(calls) >= needed
        ), f"{len(calls)} calls, {needed} are needed: all rows were ended when another row stopped"
        longest_first = sorted(zip(prompts, result, expected), key=lambda pair: -len(pair[0]))
        for prompt, (ids, stopped), (right, right_stop) in longest_first:
            case = f"prompt of {len(prompt)} tokens"
            assert ids != right + [eos], f"{case}: the eos is in the answer; leave it out"
            assert not (
                len(prompt) == 7
                and right_stop
                and len(ids) > len(right)
                and ids[: len(right)] == right
            ), (
                f"{case}: the answer goes on behind its eos; other rows may still run, this one has"
                " ended"
            )
            assert ids == right or len(prompt) < 7, (
                f"{case}: {ids} instead of {right}, although it has no padding: look at positions"
                " and cache"
            )
            assert ids == right, (
                f"{case}: {ids} instead of {right}; the longest prompts come out right, so look at"
                " the padding: it is on the left, the mask hides it, and positions count from"
                " the first real token"
            )
            assert (
                stopped == right_stop
            ), f"{case}: stopped should be {right_stop}, you have {stopped}"
        assert (
            len(calls) <= needed
        ), f"{len(calls)} calls, {needed} are enough: stop when all rows have ended, or at max_new"
    print("right: the same as one prompt at a time without a cache, on toy models")
    if assistant is None:
        return
    model, eos, prompts = (
        assistant.model.eval(), assistant.tokenizer.eos_id,
        [assistant.prompt(row.turns) for row in rows],
    )
    sampling, answers, seconds = Sampling(max_new_tokens=48), [], []
    ways = (
        lambda: function(model, prompts, eos, 48),
        lambda: project.generate(model, prompts, eos, sampling),
    )
    for way in ways:
        times = []
        for _ in range(3):
            start = time.process_time()
            outputs = way()
            times.append(time.process_time() - start)
        answers.append(
            [
                (assistant.tokenizer.decode(list(map(int, ids))), bool(stopped))
                for ids, stopped in outputs
            ]
        )
        seconds.append(min(times))
    for row, answer, reference in zip(rows, *answers):
        assert (
            answer == reference
        ), f"{row.turns[0].instruction}: you have {answer}, generate.py {reference}"
    print(
        f"right: {len(rows)} prompts, the same letters as generate.py; {seconds[0]:.3f} s,"
        f" generate.py {seconds[1]:.3f} s"
    )
